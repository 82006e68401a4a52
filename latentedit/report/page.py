"""The report of a run: one page that holds everything it shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from latentedit.benchmark.folder import RunFolder
from latentedit.benchmark.results.comparison import Comparison
from latentedit.benchmark.results.costs import read_costs
from latentedit.benchmark.results.keys import ALL_TASKS, in_order
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.reading_errors import ReadingError
from latentedit.benchmark.results.records import Results
from latentedit.benchmark.results.rows import Leakage, Source
from latentedit.files.artefacts import write_bytes
from latentedit.measures.headline import IN_TRUTH, ROUND_TRIP, SCALES, brief, headlines
from latentedit.measures.metrics import TOLERANCE
from latentedit.report.faces import Shown, face_blocks
from latentedit.report.figures import colours, curve_figures, forest
from latentedit.report.findings import best_editor, findings
from latentedit.report.names import short_names
from latentedit.report.picker import picker_data
from latentedit.report.scores import explorer, group_tables, groups, matched_off, run_scores
from latentedit.report.tables import Column, MeanTable, columns, mean_table
from latentedit.report.template import render
from latentedit.report.verdicts import verdicts
from latentedit.report.ways import way_table


def write_report(folder: Path) -> Path:
    """Write ``report/index.html`` of a run that `summarise` has been through.

    Returns:
        The path of the page, which needs no other file and no network.
    """
    RunFolder.open(folder)
    run = Run(folder)
    results = run.results
    palette = colours(results.suite.editors, results.controls)
    suite, provenance = (m.model_dump(mode="json") for m in (results.suite, results.provenance))
    page = render(
        "page.html.jinja",
        results=results,
        shown=results.subject,
        tolerance=TOLERANCE,
        scales={name: SCALES.get(metric.unit, "") for name, metric in results.metrics.items()},
        costs={row.editor: row for row in read_costs(folder)},
        verdicts=verdicts(results),
        findings=findings(results),
        colours=palette,
        headline=_table(results, tuple(headlines(results.metrics))),
        in_truth=_table(results, IN_TRUTH),
        round_trip=_table(results, ROUND_TRIP),
        ways=way_table(results),
        curves=curve_figures(results.curves, palette, results.controls),
        forests=_forests(results),
        picker=_picker(results),
        leakage=_leakage(results),
        faces=face_blocks([Shown(name, name, run) for name in run.suite.entrants]),
        suite_yaml=yaml.safe_dump(suite, sort_keys=False, allow_unicode=True),
        provenance_yaml=yaml.safe_dump(provenance, sort_keys=False),
        **_every_face(run),
    )
    path = folder / "report" / "index.html"
    write_bytes(path, page.encode())
    return path


def _every_face(run: Run) -> dict[str, Any]:
    """What the page says of single images and groups of them."""
    scores, found = run_scores(run), groups(run)
    return {
        "explorer": explorer(run, scores, found),
        "group_tables": group_tables(run, scores, found),
        "off": matched_off(scores, run.suite.effects[0]),
        "short": short_names(run.reference.thresholds),
    }


def _table(results: Results, names: tuple[str, ...]) -> MeanTable:
    """The metrics `names` over all tasks."""
    measures = [m for m in results.measures if m.task == ALL_TASKS and results.at_effect(m)]
    keys = in_order((m.metric for m in measures), names)
    return mean_table(
        columns(keys, results.metrics),
        results.entrants,
        measures,
        lambda metric: best_editor(results, metric),
    )


@dataclass(frozen=True)
class Forest:
    """The paired differences of one metric over all tasks, drawn."""

    column: Column
    svg: Markup


def _forests(results: Results) -> list[Forest]:
    """A picture a brief metric: the first editor less each other one."""
    focus = next(iter(results.suite.editors))
    rows = [
        row
        for row in _compared(results)
        if row.first == focus and row.task == ALL_TASKS and row.second not in results.controls
    ]
    keys = dict.fromkeys(row.metric for row in rows)
    return [
        Forest(
            column,
            forest(
                [row for row in rows if row.metric == column.key],
                column.definition.unit,
                bool(column.definition.higher_is_better),
            ),
        )
        for column in columns(keys, results.metrics)
    ]


def _picker(results: Results) -> dict[str, Any]:
    """Every two editors, task by task, in the brief metrics."""
    rows = [row for row in _compared(results) if not set(row.pair) & set(results.controls)]
    heads = columns(in_order((row.metric for row in rows), brief(results.metrics)), results.metrics)
    tasks = [task.name for task in results.suite.tasks]
    return picker_data(tasks, heads, rows, results.subject)


def _compared(results: Results) -> list[Comparison]:
    """The comparisons in brief metrics, at the first effect or at none."""
    names = brief(results.metrics)
    return [
        row for row in results.comparisons if results.at_effect(row) and row.metric.name in names
    ]


@dataclass(frozen=True)
class LeakageCell:
    """How much one attribute changed.

    Args:
        shade: in [0, 1].
        own: it is the attribute that was edited.
        noise: it lies below the judge's own mean error.
    """

    value: float
    own: bool
    noise: bool

    @property
    def shade(self) -> float:
        return min(1.0, self.value / 1.5)


@dataclass(frozen=True)
class LeakageMatrix:
    """How much every attribute changed (columns) when one was edited (rows), of one editor."""

    editor: str
    by: Source
    attributes: tuple[str, ...]
    rows: dict[str, list[LeakageCell]]


def _leakage(results: Results) -> list[LeakageMatrix]:
    """Per editor its matrices: by the judge, and the truth where it is known."""
    judge = results.estimators["judge"].attributes if results.estimators else {}
    sources: tuple[Source, ...] = ("judged", "truth")
    matrices = []
    for name in results.entrants:
        for by in sources:
            rows = [row for row in results.leakage if (row.editor, row.by) == (name, by)]
            if rows:
                cells = {row.task: _leakage_cells(row, judge) for row in rows}
                matrices.append(LeakageMatrix(name, by, rows[0].attributes, cells))
    return matrices


def _leakage_cells(row: Leakage, judge: dict[str, ReadingError]) -> list[LeakageCell]:
    return [
        LeakageCell(
            value,
            own=attribute == row.edited,
            noise=row.by == "judged" and attribute in judge and value < judge[attribute].mae_sigma,
        )
        for attribute, value in zip(row.attributes, row.change, strict=True)
    ]
