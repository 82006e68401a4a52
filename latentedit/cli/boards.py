"""The terminal's table of the runs of each bank."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from latentedit.benchmark.results.board import Board, headline
from latentedit.benchmark.results.paired import ALL_TASKS
from latentedit.cli.console import out

COLUMNS = ("reach", "identity similarity", "attribute leakage", "true leakage", "target error")


def print_boards(shown: Sequence[Board]) -> None:
    """One table a board: a row an editor, its run, and the headline means over all tasks."""
    for board in shown:
        out.print(_table(board))
        out.print()


def _table(board: Board) -> Table:
    table = Table(
        title=f"bank {board.bank_hash[:8]}, {board.first.n} faces, {', '.join(board.tasks)}, "
        f"at {board.effect:.0%} of the requested change",
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    columns = [metric for metric in headline(board) if metric.split(" · ")[0] in COLUMNS]
    table.add_column("editor", no_wrap=True)
    table.add_column("run")
    for metric in columns:
        name, _, recogniser = metric.partition(" · ")
        arrow = "↑" if board.metrics[name]["higher_is_better"] else "↓"
        table.add_column(f"{name} {arrow}\n[dim]{recogniser.split('-')[-1]}[/dim]")
    found = {(m["editor"], m["metric"]): m for m in board.measures() if m["task"] == ALL_TASKS}
    for entry in board.entries:
        style = "dim" if entry.control else "bold"
        means = [found.get((entry.name, metric)) for metric in columns]
        cells = ["–" if m is None else f"{m['mean']:.3f}" for m in means]
        table.add_row(f"[{style}]{escape(entry.name)}[/]", escape(entry.run.folder.name), *cells)
    return table
