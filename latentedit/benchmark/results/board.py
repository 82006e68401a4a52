"""Runs of one bank side by side: which editors there are, their measures, and every comparison."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentedit.benchmark.results.comparison import Comparison
from latentedit.benchmark.results.keys import ALL_TASKS, MetricKey, in_order
from latentedit.benchmark.results.listed import RESULTS
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.rows import Curve, Measure
from latentedit.benchmark.suite import SUITE_FILE
from latentedit.errors import InputError, LatentEditError
from latentedit.files.tables import csv_text
from latentedit.measures.definitions import Metric
from latentedit.measures.headline import brief, headlines

if TYPE_CHECKING:
    from latentedit.benchmark.results.tally import Faces, Scores, SeedScores

CSV_COLUMNS = (
    *("bank", "editor", "run", "task", "metric", "recogniser", "effect"),
    *("mean", "low", "high", "images", "seeds"),
)


@dataclass(frozen=True)
class Entry:
    """One editor of one run: the `name` it has on the board and in its suite, and its run."""

    name: str
    editor: str
    run: Run
    control: bool


class Board:
    """Runs that edited the same images by the same tasks, with one judge and the same recognisers.

    Every control stands once, from the first run that has it.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = list(runs)
        self.first = self.runs[0]
        self.effect = self.first.suite.effects[0]
        self.bank_hash = self.first.bank.hash
        self.tasks = [task.name for task in self.first.suite.tasks]
        self.entries = _entries(self.runs)
        self.metrics: dict[str, Metric] = {}
        for run in self.runs:
            self.metrics |= run.listed.metrics
        self.shown = frozenset(headlines(self.metrics))

    @property
    def faces(self) -> int:
        """The number of test images."""
        return self.first.listed.faces

    def measures(self) -> list[Measure]:
        """Every measured mean with its interval: one an entry, task and metric, under the names of
        the board."""
        return self._of_entries(lambda run: run.results.measures)

    def over_all_tasks(self) -> list[Measure]:
        """Those of the brief metrics over all tasks, for which no whole results are read."""
        return self._of_entries(lambda run: run.listed.measures)

    def _of_entries(self, rows_of: Callable[[Run], Iterable[Measure]]) -> list[Measure]:
        rows: dict[tuple[Path, str], list[Measure]] = {}
        for run in self.runs:
            for row in rows_of(run):
                if self._shown(row.metric, row.effect):
                    rows.setdefault((run.folder, row.editor), []).append(row)
        return [
            replace(row, editor=entry.name)
            for entry in self.entries
            for row in rows.get((entry.run.folder, entry.editor), [])
        ]

    def curves(self) -> list[Curve]:
        """The curves of all runs, under the names of the board."""
        return [
            replace(row, editor=entry.name)
            for entry in self.entries
            for row in entry.run.results.curves
            if row.editor == entry.editor
        ]

    def comparisons(self) -> list[Comparison]:
        """Of every two entries; Holm's p-values are over all editors of the board."""
        from latentedit.benchmark.results.means import per_face
        from latentedit.benchmark.results.paired import comparisons, family

        scores: Scores = {}
        by_seed: SeedScores = {}
        for run in self.runs:
            at = [run.tasks.index(name) for name in self.tasks]
            found, fits = per_face(run)
            for entry in (entry for entry in self.entries if entry.run is run):
                for (name, metric, effect), table in found.items():
                    if name == entry.editor and self._compared(metric, effect, table[at]):
                        key = (entry.name, metric, effect)
                        scores[key] = table[at]
                        by_seed[key] = [t[at] for t in fits[name, metric, effect]]
        pairs = itertools.combinations([entry.name for entry in self.entries], 2)
        plan = self.first.suite.statistics
        controls = [entry.name for entry in self.entries if entry.control]
        of = family(plan, scores, self.effect, controls)
        return comparisons(scores, pairs, self.tasks, plan, of, by_seed)

    def _compared(self, metric: MetricKey, effect: float, table: Faces) -> bool:
        import numpy as np

        return self._shown(metric, effect) and not bool(np.isnan(table).all())

    def _shown(self, metric: MetricKey, effect: float) -> bool:
        return metric.name in self.shown and effect in (0.0, self.effect)

    @property
    def run_names(self) -> list[str]:
        """A name for each run: its folder's, with the parent's where two are called the same."""
        return run_labels(self.runs)

    def folder_of(self, name: str) -> str:
        """The run folder of the entry `name`."""
        return next(str(entry.run.folder) for entry in self.entries if entry.name == name)

    def as_json(self) -> dict[str, Any]:
        """The board as plain data: what it compares, entries, measures and comparisons."""
        return {
            "bank_hash": self.bank_hash,
            "faces": self.faces,
            "tasks": self.tasks,
            "effect": self.effect,
            "judge": str(self.first.suite.judge),
            "recognisers": [entry.name for entry in self.first.provenance.identity],
            "runs": [str(run.folder) for run in self.runs],
            "entries": [
                {"name": e.name, "editor": e.editor, "run": str(e.run.folder), "control": e.control}
                for e in self.entries
            ],
            "measures": [asdict(m) | {"run": self.folder_of(m.editor)} for m in self.measures()],
            "comparisons": [asdict(row) for row in self.comparisons()],
        }


def boards(folders: Sequence[Path], *, whole: bool = True) -> tuple[list[Board], dict[str, str]]:
    """The boards that the runs at or directly under `folders` make, most editors first.

    Args:
        whole: read all results now, so that a run whose results were changed is refused. Otherwise
            only what lists show is read.

    Returns:
        The boards, and the runs that cannot be shown: folder and reason.

    Raises:
        InputError: there is no run that can be shown.
    """
    groups: dict[str, list[Run]] = {}
    refused: dict[str, str] = {}
    for folder in _runs_at(folders):
        try:
            run = Run(folder)
            if not (folder / RESULTS).is_file():
                raise InputError("it has no results yet; finish it with the same bench run again")
            _ = run.results if whole else run.listed  # what cannot be read is not shown
            groups.setdefault(_sameness(run), []).append(run)
        except (LatentEditError, OSError, KeyError) as error:
            refused[str(folder)] = str(error)
    if not groups:
        reasons = "".join(f"\n  {folder}: {reason}" for folder, reason in refused.items())
        places = ", ".join(map(str, folders))
        raise InputError(
            f"no finished run at or directly under {places}{reasons}\n"
            "Make one with: latentedit bench run SUITE --out FOLDER"
        )
    found = [Board(runs) for runs in groups.values()]
    return sorted(found, key=lambda board: (-len(board.entries), board.bank_hash)), refused


def boards_csv(shown: Sequence[Board]) -> str:
    """The measures of all boards as CSV: bank first, a row an entry, task and metric."""
    rows: list[Sequence[object]] = [CSV_COLUMNS]
    for board in shown:
        for m in board.measures():
            of = (m.editor, board.folder_of(m.editor), m.task, m.metric.name, m.metric.recogniser)
            numbers = (m.effect, m.mean, m.low, m.high, m.faces, m.seeds)
            rows.append((board.bank_hash, *of, *numbers))
    return csv_text(rows)


def _runs_at(folders: Sequence[Path]) -> list[Path]:
    found: dict[Path, Path] = {}
    for folder in folders:
        here = (folder / SUITE_FILE).is_file()
        for path in [folder] if here else sorted(p.parent for p in folder.glob(f"*/{SUITE_FILE}")):
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _sameness(run: Run) -> str:
    """What runs must share to stand in one table."""
    suite, seen = run.suite, run.provenance
    judge = (seen.judge.fingerprint, seen.judge.code)
    observers = [judge, *((entry.fingerprint, entry.code) for entry in seen.identity)]
    observers += [(entry.fingerprint, entry.code) for entry in seen.metrics]
    return repr(
        [
            run.bank.hash,
            observers,
            suite.effects[0],
            [task.model_dump() for task in suite.tasks],
            run.listed.faces,
        ]
    )


def _entries(runs: Sequence[Run]) -> list[Entry]:
    times = [name for run in runs for name in run.suite.editors]
    labels = run_labels(runs)
    editors = [
        Entry(name if times.count(name) == 1 else f"{name} ({label})", name, run, False)
        for run, label in zip(runs, labels, strict=True)
        for name in run.suite.editors
    ]
    controls: dict[str, Entry] = {}
    for run in runs:
        for name in run.suite.control_names:
            controls.setdefault(name, Entry(name, name, run, True))
    return [*editors, *controls.values()]


def run_labels(runs: Sequence[Run]) -> list[str]:
    """Each run's folder name, with its parent's where two are called the same."""
    names = [run.folder.resolve().name for run in runs]
    return [
        name if names.count(name) == 1 else f"{run.folder.resolve().parent.name}/{name}"
        for name, run in zip(names, runs, strict=True)
    ]


def headline(board: Board) -> list[MetricKey]:
    """The board's metrics over all tasks, recognisers apart, in the order of `headlines`."""
    names = tuple(headlines(board.metrics))
    return in_order((m.metric for m in board.measures() if m.task == ALL_TASKS), names)


def brief_headline(board: Board) -> list[MetricKey]:
    """Those of them that lists show."""
    return in_order((m.metric for m in board.over_all_tasks()), brief(board.metrics))
