"""The leaderboard: the runs of each bank on one page that holds everything it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from latentedit.benchmark.results.board import Board, headline
from latentedit.benchmark.results.paired import ALL_TASKS, turned, winner
from latentedit.files.artefacts import write_bytes
from latentedit.report.faces import face_blocks
from latentedit.report.figures import colours, curve_figures
from latentedit.report.template import render

MEANINGS = {
    "reach": "How often the editor could make the wanted change at all.",
    "identity similarity": "How much the edited face still looks like the same person.",
    "identity similarity to the photo": "The same, compared with the photo itself.",
    "identity accuracy": "How often a face recogniser still takes it for the same person.",
    "attribute leakage": "How much everything else changed along, as an independent judge sees it.",
    "true leakage": "The same, as the generator knows it exactly.",
    "true identity drift": "How far the face's true identity moved, as the generator knows it.",
    "target error": "How far the result is from what was asked, when simply asked once.",
    "edit–identity area": "Identity kept along the whole way from no change to the full change.",
}
"""One plain line for each metric of a board."""


def write_leaderboard(shown: Sequence[Board], refused: Mapping[str, str], path: Path) -> Path:
    """Write the boards as an HTML page, which needs no other file and no network.

    Args:
        shown: one board a bank and set of tasks.
        refused: runs that could not be shown, with the reason.
        path: the page.
    """
    page = render(
        "leaderboard.html.jinja",
        boards=[_board(board, i) for i, board in enumerate(shown)],
        refused=refused,
        meanings=MEANINGS,
    )
    write_bytes(path, page.encode())
    return path


def _board(board: Board, number: int) -> dict[str, Any]:
    names = [entry.name for entry in board.entries]
    controls = [entry.name for entry in board.entries if entry.control]
    merged: dict[str, Any] = {
        "suite": {"editors": {name: {} for name in names if name not in controls}},
        "controls": controls,
        "curves": board.curves(),
    }
    palette = colours(merged)
    measures, duels, metrics = board.measures(), board.duels(), headline(board)
    columns = [_column(board, metric) for metric in metrics]
    return {
        "id": f"board{number}",
        "board": board,
        "bank": board.first.provenance["bank"],
        "names": names,
        "controls": controls,
        "colours": palette,
        "columns": columns,
        "table": _table(names, columns, measures, duels, controls),
        "by_task": [_by_task(board, c, measures) for c in columns],
        "matrices": [_matrix(names, c, duels) for c in columns],
        "duels": [_duel(row) for row in duels],
        "directions": [[c["key"], c["higher"]] for c in columns],
        "curves": curve_figures(merged),
        "faces": face_blocks([(entry.name, entry.run) for entry in board.entries]),
        "recognisers": list(board.first.setting.thresholds),
    }


def _column(board: Board, metric: str) -> dict[str, Any]:
    name, _, recogniser = metric.partition(" · ")
    known = board.metrics[name]
    return {
        "key": metric,
        "metric": name,
        "recogniser": recogniser,
        "higher": known["higher_is_better"],
        "formula": known["formula"],
        "unit": known["unit"],
    }


def _table(
    names: list[str],
    columns: list[dict[str, Any]],
    measures: list[dict[str, Any]],
    duels: list[dict[str, Any]],
    controls: list[str],
) -> dict[str, Any]:
    """As `page.html.jinja`'s tables: columns, and per entry a cell each, over all tasks."""
    found = {(m["editor"], m["metric"]): m for m in measures if m["task"] == ALL_TASKS}
    editors, total = set(names) - set(controls), [d for d in duels if d["task"] == ALL_TASKS]
    best = {
        c["key"]: winner((d for d in total if d["metric"] == c["key"]), editors) for c in columns
    }
    cells = {
        name: [{"m": found.get((name, c["key"])), "best": best[c["key"]] == name} for c in columns]
        for name in names
    }
    return {"columns": columns, "cells": cells}


def _by_task(
    board: Board, column: dict[str, Any], measures: list[dict[str, Any]]
) -> dict[str, Any]:
    """One metric: a column a task, and per entry a cell each."""
    found = {(m["editor"], m["task"]): m for m in measures if m["metric"] == column["key"]}
    return column | {
        "tasks": board.tasks,
        "cells": {
            entry.name: [found.get((entry.name, task)) for task in board.tasks]
            for entry in board.entries
        },
    }


def _matrix(
    names: list[str], column: dict[str, Any], duels: list[dict[str, Any]]
) -> dict[str, Any]:
    """One metric over all tasks: row minus column for every two entries."""
    cells: dict[tuple[str, str], dict[str, Any]] = {}
    for row in duels:
        if row["metric"] == column["key"] and row["task"] == ALL_TASKS:
            pair = (row["first"], row["second"])
            cells[pair] = row
            cells[pair[::-1]] = turned(row)
    return column | {"rows": {a: [cells.get((a, b)) for b in names] for a in names}}


def _duel(row: dict[str, Any]) -> list[Any]:
    """What the page's script needs of a duel, in few characters."""
    numbers = [row[key] for key in ("difference", "low", "high")]
    rounded = [None if value is None else round(value, 4) for value in numbers]
    keys = ("first", "second", "task", "metric")
    return [*(row[key] for key in keys), *rounded, row["faces"], row["better"]]
