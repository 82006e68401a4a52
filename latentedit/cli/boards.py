"""The terminal's table of the runs of each bank."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from latentedit.benchmark.results.board import Board, headline
from latentedit.benchmark.results.keys import ALL_TASKS, MetricKey
from latentedit.cli.console import out
from latentedit.measures.headline import brief


def short_recogniser(key: MetricKey) -> str:
    """The last part of a recogniser's name, which is what tells it from others in a narrow head."""
    return key.recogniser.rpartition("-")[2]


def print_boards(shown: Sequence[Board]) -> None:
    """One table a board: a row an editor, its run, and the headline means over all tasks."""
    for board in shown:
        out.print(_table(board))
        out.print()


def _table(board: Board) -> Table:
    table = Table(
        title=f"bank {board.bank_hash[:8]}, {board.faces} "
        f"{board.first.provenance.bank.shown.many}, "
        f"{escape(', '.join(board.tasks))}, at {board.effect:.0%} of the requested change",
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    keys = [key for key in headline(board) if key.name in brief(board.metrics)]
    table.add_column("editor", no_wrap=True)
    table.add_column("run")
    for key in keys:
        arrow = "↑" if board.metrics[key.name].higher_is_better else "↓"
        table.add_column(f"{key.name} {arrow}\n[dim]{escape(short_recogniser(key))}[/dim]")
    found = {(m.editor, m.metric): m for m in board.measures() if m.task == ALL_TASKS}
    for entry in board.entries:
        style = "dim" if entry.control else "bold"
        means = [found.get((entry.name, metric)) for metric in keys]
        cells = ["–" if m is None else f"{m.mean:.3f}" for m in means]
        table.add_row(f"[{style}]{escape(entry.name)}[/]", escape(entry.run.folder.name), *cells)
    return table
