"""The leaderboard: the runs of each bank on one page that holds everything it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentedit.benchmark.provenance import BankProvenance
from latentedit.benchmark.results.board import Board, headline
from latentedit.benchmark.results.comparison import Comparison, winner
from latentedit.benchmark.results.keys import ALL_TASKS, MetricKey
from latentedit.benchmark.results.rows import Measure
from latentedit.files.artefacts import write_bytes
from latentedit.interfaces.generator import IMAGES, Subject
from latentedit.measures.headline import SCALES, headlines
from latentedit.report.faces import FaceBlock, Shown, face_blocks
from latentedit.report.figures import CurveFigure, colours, curve_figures
from latentedit.report.picker import picker_data
from latentedit.report.tables import Column, MeanTable, columns, mean_table
from latentedit.report.template import render


@dataclass(frozen=True)
class TaskTable:
    """One metric: for each entry a measure a task."""

    column: Column
    cells: dict[str, list[Measure | None]]


@dataclass(frozen=True)
class Matrix:
    """One metric over all tasks: row − column for every two entries."""

    column: Column
    rows: dict[str, list[Comparison | None]]


@dataclass(frozen=True)
class BoardPart:
    """The part of the page about one board.

    Args:
        script: what the page's script needs to compare two entries task by task.
    """

    id: str
    board: Board
    bank: BankProvenance
    names: list[str]
    controls: list[str]
    colours: dict[str, str]
    table: MeanTable
    by_task: list[TaskTable]
    matrices: list[Matrix]
    script: dict[str, Any]
    curves: list[CurveFigure]
    faces: list[FaceBlock]
    recognisers: list[str]


def write_leaderboard(shown: Sequence[Board], refused: Mapping[str, str], path: Path) -> Path:
    """Write the boards as an HTML page, which needs no other file and no network.

    Args:
        shown: one board a bank and set of tasks.
        refused: runs that could not be shown, with the reason.
        path: the page.
    """
    metrics = {name: metric for board in shown for name, metric in board.metrics.items()}
    page = render(
        "leaderboard.html.jinja",
        boards=[_part(board, i) for i, board in enumerate(shown)],
        refused=refused,
        shown=_shown(shown),
        headlines=headlines(metrics),
        scales={name: SCALES.get(metric.unit, "") for name, metric in metrics.items()},
    )
    write_bytes(path, page.encode())
    return path


def _shown(boards: Sequence[Board]) -> Subject:
    """What the images of all boards show; images, where they differ."""
    subjects = {board.first.provenance.bank.shown for board in boards}
    return subjects.pop() if len(subjects) == 1 else IMAGES


def _part(board: Board, number: int) -> BoardPart:
    names = [entry.name for entry in board.entries]
    controls = [entry.name for entry in board.entries if entry.control]
    editors = [name for name in names if name not in controls]
    palette = colours(editors, controls)
    measures, compared = board.measures(), board.comparisons()
    heads = columns(headline(board), board.metrics)

    def best(metric: MetricKey) -> str | None:
        rows = (row for row in compared if (row.metric, row.task) == (metric, ALL_TASKS))
        return winner(rows, editors)

    return BoardPart(
        id=f"board{number}",
        board=board,
        bank=board.first.provenance.bank,
        names=names,
        controls=controls,
        colours=palette,
        table=mean_table(heads, names, measures, best),
        by_task=[_by_task(board, column, measures) for column in heads],
        matrices=[_matrix(names, column, compared) for column in heads],
        script=picker_data(board.tasks, heads, compared, board.first.provenance.bank.shown),
        curves=curve_figures(board.curves(), palette, controls),
        faces=face_blocks([Shown(e.name, e.editor, e.run) for e in board.entries]),
        recognisers=list(board.first.reference.thresholds),
    )


def _by_task(board: Board, column: Column, measures: Sequence[Measure]) -> TaskTable:
    found = {(m.editor, m.task): m for m in measures if m.metric == column.key}
    cells = {
        entry.name: [found.get((entry.name, task)) for task in board.tasks]
        for entry in board.entries
    }
    return TaskTable(column, cells)


def _matrix(names: list[str], column: Column, compared: Sequence[Comparison]) -> Matrix:
    cells: dict[tuple[str, str], Comparison] = {}
    for row in compared:
        if row.metric == column.key and row.task == ALL_TASKS:
            cells[row.pair] = row
            cells[row.pair[::-1]] = row.turned()
    return Matrix(column, {a: [cells.get((a, b)) for b in names] for a in names})
