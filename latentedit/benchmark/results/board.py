"""Runs of one bank side by side: which editors there are, their measures, and every duel."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latentedit.benchmark.results.paired import ALL_TASKS, Scores, SeedScores, comparisons
from latentedit.benchmark.results.summary import Run
from latentedit.errors import InputError, LatentEditError
from latentedit.files.artefacts import read_json

RANKED = (
    "reach",
    "identity similarity",
    "identity similarity to the photo",
    "identity accuracy",
    "attribute leakage",
    "true leakage",
    "true identity drift",
    "target error",
    "edit–identity area",
)
"""The metrics of a board, in its order."""
SHOWN = ("editor", "run", "task", "metric", "effect", "mean", "low", "high", "faces", "seeds")


@dataclass(frozen=True)
class Entry:
    """One editor of one run: the `name` it has on the board and in its suite, and its run."""

    name: str
    editor: str
    run: Run
    control: bool


class Board:
    """Runs that edited the same faces by the same tasks under the same eyes.

    Every control stands once, from the first run that has it.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = list(runs)
        self.first = self.runs[0]
        self.results = [read_json(run.folder / "results.json") for run in self.runs]
        self.effect = self.first.suite.effects[0]
        self.bank_hash = self.first.bank.hash
        self.tasks = [task.name for task in self.first.suite.tasks]
        self.entries = _entries(self.runs)
        self.metrics: dict[str, Any] = {}
        for results in self.results:
            self.metrics |= results["metrics"]

    def measures(self) -> list[dict[str, Any]]:
        """Every measured mean with its interval: one row an entry, task and metric."""
        rows = []
        for entry in self.entries:
            results = self.results[self.runs.index(entry.run)]
            for m in results["measures"]:
                wanted = m["metric"].split(" · ")[0] in RANKED
                if m["editor"] == entry.editor and wanted and m["effect"] in (0.0, self.effect):
                    rows.append(m | {"editor": entry.name, "run": str(entry.run.folder)})
        return rows

    def curves(self) -> list[dict[str, Any]]:
        """The curves of all runs, under the names of the board."""
        return [
            row | {"editor": entry.name}
            for entry in self.entries
            for row in self.results[self.runs.index(entry.run)]["curves"]
            if row["editor"] == entry.editor
        ]

    def duels(self) -> list[dict[str, Any]]:
        """Paired differences of every two entries, as `comparisons` makes them; false discoveries
        are controlled over the whole board."""
        scores: Scores = {}
        by_seed: SeedScores = {}
        for run in self.runs:
            at = [run.tasks.index(name) for name in self.tasks]
            found, seeds = run.per_face()
            for entry in (entry for entry in self.entries if entry.run is run):
                for (name, metric, effect), table in found.items():
                    if name == entry.editor and self._compared(metric, effect, table[at]):
                        key = (entry.name, metric, effect)
                        scores[key] = table[at]
                        by_seed[key] = [t[at] for t in seeds[name, metric, effect]]
        pairs = itertools.combinations([entry.name for entry in self.entries], 2)
        return comparisons(scores, pairs, self.tasks, self.first.suite.statistics, by_seed)

    def _compared(self, metric: str, effect: float, table: np.ndarray[Any, Any]) -> bool:
        wanted = metric.split(" · ", maxsplit=1)[0] in RANKED and effect in (0.0, self.effect)
        return wanted and not bool(np.isnan(table).all())

    def as_json(self) -> dict[str, Any]:
        """The board as plain data: what it compares, entries, measures and duels."""
        return {
            "bank_hash": self.bank_hash,
            "faces": self.first.n,
            "tasks": self.tasks,
            "effect": self.effect,
            "judge": str(self.first.suite.judge),
            "recognisers": list(self.first.setting.thresholds),
            "runs": [str(run.folder) for run in self.runs],
            "entries": [
                {"name": e.name, "editor": e.editor, "run": str(e.run.folder), "control": e.control}
                for e in self.entries
            ],
            "measures": self.measures(),
            "duels": self.duels(),
        }


def boards(folders: Sequence[Path]) -> tuple[list[Board], dict[str, str]]:
    """The boards that the runs at or directly under `folders` make, most editors first.

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
            if not (folder / "results.json").is_file():
                raise InputError("it has no results yet; finish it with the same bench run again")
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
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["bank", *SHOWN])
    for board in shown:
        for row in board.measures():
            writer.writerow([board.bank_hash, *(row[column] for column in SHOWN)])
    return text.getvalue()


def _runs_at(folders: Sequence[Path]) -> list[Path]:
    found: dict[Path, Path] = {}
    for folder in folders:
        here = (folder / "suite.json").is_file()
        for path in [folder] if here else sorted(p.parent for p in folder.glob("*/suite.json")):
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _sameness(run: Run) -> str:
    """What runs must share to stand in one table."""
    suite, seen = run.suite, run.provenance
    eyes = [seen["judge"], *seen["identity"]]
    return repr(
        [
            run.bank.hash,
            [eye["fingerprint"] for eye in eyes],
            suite.effects[0],
            [task.model_dump() for task in suite.tasks],
            run.n,
        ]
    )


def _entries(runs: Sequence[Run]) -> list[Entry]:
    times = [name for run in runs for name in run.suite.editors]
    labels = _labels(runs)
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


def _labels(runs: Sequence[Run]) -> list[str]:
    """Each run's folder name, with its parent's where two are called the same."""
    names = [run.folder.resolve().name for run in runs]
    return [
        name if names.count(name) == 1 else f"{run.folder.resolve().parent.name}/{name}"
        for name, run in zip(names, runs, strict=True)
    ]


def headline(board: Board) -> list[str]:
    """The board's metrics over all tasks, recognisers apart, in the order of `RANKED`."""
    found = {m["metric"] for m in board.measures() if m["task"] == ALL_TASKS}
    return sorted(found, key=lambda m: (RANKED.index(m.split(" · ")[0]), m))
