"""``latentedit bench list``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape
from rich.table import Table

from latentedit.cli.bench import FOLDER, bench
from latentedit.cli.console import err, out, print_json, remark
from latentedit.cli.options import check_overwrite, with_force
from latentedit.cli.results import short_recogniser
from latentedit.errors import InputError

if TYPE_CHECKING:
    from latentedit.benchmark.results.board import Board


@bench.command("list")
@click.argument("folders", type=FOLDER, nargs=-1, required=True)
@click.option("--html", "page", type=FOLDER, help="Write a leaderboard page.")
@click.option("--csv", "as_csv", is_flag=True, help="Print every measured mean as CSV.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print entries, measures and comparisons as JSON."
)
@with_force
def list_runs(
    folders: tuple[Path, ...], page: Path | None, as_csv: bool, as_json: bool, force: bool
) -> None:
    """Show the runs in FOLDERS, or directly under them, side by side: one table a bank.

    \b
    Examples:
      latentedit bench list runs
      latentedit bench list runs/a runs/b --html leaderboard.html
      latentedit bench list runs --csv > leaderboard.csv
    """
    from latentedit.benchmark.results.board import boards, boards_csv

    if as_csv and as_json:
        raise InputError("--csv and --json exclude each other; give one")
    if page is not None:
        check_overwrite(page, force)
    shown, refused = boards(folders, whole=as_json or as_csv or page is not None)
    for folder, reason in refused.items():
        remark(f"not shown: {folder}: {reason}")
    if as_json:
        print_json([board.as_json() for board in shown])
    elif as_csv:
        click.echo(boards_csv(shown), nl=False)
    else:
        print_boards(shown)
    if page is not None:
        from latentedit.report.leaderboard import write_leaderboard

        with err.status("comparing every two editors and drawing the page"):
            write_leaderboard(shown, refused, page)
        remark(f"leaderboard: {page}")


def print_boards(shown: Sequence[Board]) -> None:
    """One table a board: a row an editor, its run, and the headline means over all tasks."""
    for board in shown:
        out.print(_table(board))
        out.print()


def _table(board: Board) -> Table:
    from latentedit.benchmark.results.board import brief_headline

    table = Table(
        title=f"bank {board.bank_hash[:8]}, {board.faces} "
        f"{board.first.provenance.bank.shown.many}, "
        f"{escape(', '.join(board.tasks))}, at {board.effect:.0%} of the requested change",
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    keys = brief_headline(board)
    table.add_column("editor", no_wrap=True)
    table.add_column("run")
    for key in keys:
        arrow = "↑" if board.metrics[key.name].higher_is_better else "↓"
        table.add_column(f"{key.name} {arrow}\n[dim]{escape(short_recogniser(key))}[/dim]")
    found = {(m.editor, m.metric): m for m in board.over_all_tasks()}
    for entry in board.entries:
        style = "dim" if entry.control else "bold"
        means = [found.get((entry.name, metric)) for metric in keys]
        cells = ["–" if m is None else f"{m.mean:.3f}" for m in means]
        table.add_row(f"[{style}]{escape(entry.name)}[/]", escape(entry.run.folder.name), *cells)
    return table
