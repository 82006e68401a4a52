"""Results that are kept in docs/results: what the figures of the pages are written from.

A folder holds one finished run without its images and codes: ``facts.json``, ``means.csv`` and
``comparisons.csv``. `keep` writes it, `Shipped.read` reads it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from latentedit.benchmark.results.comparison import Comparison
from latentedit.benchmark.results.keys import ALL_TASKS, MetricKey
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.records import Results
from latentedit.benchmark.results.rows import Measure
from latentedit.files.artefacts import read_json, write_bytes, write_json
from latentedit.files.tables import csv_text
from latentedit.report.findings import primary

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
BY_TASK = ("reach", "identity similarity", "true leakage")
"""Metrics whose means are kept task by task; of all others only the means over all tasks are."""

Row = TypeVar("Row", Measure, Comparison)


@dataclass(frozen=True)
class Facts:
    """What was compared, and with which software.

    Args:
        editors: plugin and stated options, by the name of the editor.
        controls: with `bounds`, the names of the floor and of the ceiling.
        tasks: what each one asks, by name.
        judge_errors: mean error of the judge, in σ, by attribute.
        left_out: by task, how many faces it asks and how many of them no edit can do.
        versions: of Python, the project and the packages that it computes with.
    """

    suite: str
    summary: str
    bank: str
    faces: int
    n_fit: int
    seeds: tuple[int, ...]
    effect: float
    confidence: float
    strengths: tuple[float, ...]
    strength_limit: float | None
    editors: dict[str, dict[str, Any]]
    controls: tuple[str, ...]
    bounds: dict[str, str]
    tasks: dict[str, dict[str, Any]]
    recognisers: tuple[str, ...]
    judge_errors: dict[str, float]
    left_out: dict[str, tuple[int, int]]
    tuned: bool
    versions: dict[str, str]


@dataclass(frozen=True)
class Shipped:
    """The kept results of one run.

    Args:
        means: at the first effect, or at none.
        comparisons: of primary endpoints.
    """

    facts: Facts
    means: tuple[Measure, ...]
    comparisons: tuple[Comparison, ...]

    @classmethod
    def read(cls, folder: Path) -> Shipped:
        """What `keep` wrote."""
        return cls(
            Facts(**read_json(folder / "facts.json")),
            tuple(_rows(folder / "means.csv", Measure)),
            tuple(_rows(folder / "comparisons.csv", Comparison)),
        )

    def mean(self, entrant: str, metric: MetricKey, task: str = ALL_TASKS) -> Measure | None:
        wanted = (entrant, metric, task)
        return next((m for m in self.means if (m.editor, m.metric, m.task) == wanted), None)

    def against(self, first: str, second: str) -> list[Comparison]:
        """`first` less `second`, a row an endpoint; empty if they were not compared."""
        rows = (row for row in self.comparisons if {first, second} == set(row.pair))
        return [row if row.first == first else row.turned() for row in rows]


def keep(run: Run, folder: Path) -> None:
    """Write what the pages need of a run that was summarised."""
    results = run.results
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "facts.json", asdict(facts(results)))
    means = [
        row
        for row in results.measures
        if results.at_effect(row) and (row.task == ALL_TASKS or row.metric.name in BY_TASK)
    ]
    compared = [row for row in primary(results.comparisons) if results.at_effect(row)]
    write_bytes(folder / "means.csv", _csv(means, Measure).encode())
    write_bytes(folder / "comparisons.csv", _csv(compared, Comparison).encode())


def facts(results: Results) -> Facts:
    suite, made_by = results.suite, results.provenance
    judge = results.estimators.get("judge")
    return Facts(
        suite=suite.name,
        summary=suite.summary,
        bank=results.bank_hash,
        faces=results.faces,
        n_fit=suite.bank.n_fit,
        seeds=tuple(suite.seeds),
        effect=results.effect,
        confidence=suite.statistics.confidence,
        strengths=tuple(suite.strengths),
        strength_limit=suite.strength_limit,
        editors={
            name: {"plugin": use.plugin, **use.options} for name, use in suite.editors.items()
        },
        controls=tuple(results.controls),
        bounds=dict(made_by.bounds),
        tasks={task.name: task.model_dump(mode="json", exclude_none=True) for task in suite.tasks},
        recognisers=tuple(str(use) for use in suite.identity),
        judge_errors={}
        if judge is None
        else {task.attribute: judge.attributes[task.attribute].mae_sigma for task in suite.tasks},
        left_out={row.task: (row.faces, row.left_out) for row in results.left_out},
        tuned=suite.tune is not None,
        versions={"latentedit": made_by.latentedit, "python": made_by.python, **made_by.packages},
    )


def _csv(rows: Iterable[Row], kind: type[Row]) -> str:
    """A line a row; the parts of its metric are columns of their own."""
    columns = [field.name for field in fields(kind)]
    at = columns.index("metric")
    lines: list[list[object]] = [
        [*columns[:at], "metric", "recogniser", "edits", *columns[at + 1 :]]
    ]
    for row in rows:
        values = [_rounded(getattr(row, column)) for column in columns]
        key: MetricKey = row.metric
        lines.append([*values[:at], key.name, key.recogniser, key.edits, *values[at + 1 :]])
    return csv_text(lines)


def _rounded(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _rows(path: Path, kind: type[Row]) -> Iterator[Row]:
    read = {"str": str, "int": int, "float": float, "Verdict": str}
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            values: dict[str, Any] = {
                "metric": MetricKey(line["metric"], line["recogniser"], int(line["edits"]))
            }
            for field in fields(kind):
                if field.name != "metric" and field.name in line:
                    (name, *_), cell = str(field.type).split(" | "), line[field.name]
                    values[field.name] = read[name](cell) if cell else None
            yield kind(**values)
