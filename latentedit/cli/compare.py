"""``latentedit bench compare``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from latentedit.cli.bench import FOLDER, bench
from latentedit.cli.console import out, print_json, say
from latentedit.errors import InputError


@bench.command()
@click.argument("run_a", type=FOLDER)
@click.argument("run_b", type=FOLDER)
@click.option("--editors", default=None, metavar="A,B", help="One editor of each run.")
@click.option("--by-task", is_flag=True, help="A row for each task too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(run_a: Path, run_b: Path, editors: str | None, by_task: bool, as_json: bool) -> None:
    """Paired differences, with intervals, between the editors of two runs of one bank.

    \b
    Examples:
      latentedit bench compare runs/a runs/b
      latentedit bench compare runs/a runs/a --editors my-editor,other-editor
    """
    from latentedit.benchmark.provenance import read_provenance
    from latentedit.benchmark.results.compare import compare_runs
    from latentedit.benchmark.results.keys import ALL_TASKS

    pair = tuple(editors.split(",")) if editors else None
    if pair is not None and len(pair) != 2:
        raise InputError(f"--editors takes two names, as in A,B; received {editors!r}")
    rows = compare_runs(run_a, run_b, pair)
    shown = read_provenance(run_a).bank.shown
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    if run_a.resolve() != run_b.resolve():
        say(f"A is {run_a}, B is {run_b}")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    headings = ("first", "second", "task", "metric", "first − second", shown.many, "fits", "p")
    for column in (*headings, "verdict"):
        table.add_column(column, no_wrap=column in ("first", "second", "first − second"))
    for row in rows:
        if by_task or row.task == ALL_TASKS:
            names = [_short(name, run_a, run_b) for name in row.pair]
            holm = "–" if row.holm is None else f"{row.holm:.3f}"
            of = (row.task, str(row.metric), row.in_words(shown), str(row.faces), str(row.fits))
            table.add_row(*map(escape, (*names, *of, holm, row.verdict)))
    out.print(table)


def _short(label: str, run_a: Path, run_b: Path) -> str:
    """The editor, with A or B in place of its run where there are two."""
    name, _, folder = label.rpartition(" @ ")
    if run_a.resolve() == run_b.resolve():
        return name
    return f"{name} ({'A' if folder == str(run_a) else 'B'})"
