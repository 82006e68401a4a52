"""``latentedit bench verify``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from latentedit.cli.bench import FOLDER, bench
from latentedit.cli.console import CellProgress, err, say


@bench.command()
@click.argument("folder", type=FOLDER)
@click.option("--cell", "cells", multiple=True, metavar="CELL", help="Compute it anew; repeatable.")
def verify(folder: Path, cells: tuple[str, ...]) -> None:
    """Check a run: its files by their digests, its figures by its cells.

    With --cell a cell is computed anew in a copy, and compared to the bit. The exit code is 1 if
    anything is wrong.

    \b
    Examples:
      latentedit bench verify runs/quickstart
      latentedit bench verify runs/theirs --cell edit--my-editor--seed0--age
    """
    from latentedit.benchmark.verify import recompute, verify_run
    from latentedit.registry import Registry

    with err.status("reading every file"):
        wrong = verify_run(folder)
    if cells and not wrong:
        with CellProgress(len(cells)) as progress:
            wrong = recompute(folder, list(cells), progress, registry=Registry.discover)
    for line in wrong:
        err.print(line, soft_wrap=True, markup=False)
    if wrong:
        sys.exit(1)
    anew = f", and {len(cells)} cells came out the same" if cells else ""
    say(
        f"{folder}: every file is the one that was recorded, figures follow from the cells{anew}",
        next_step=f"latentedit bench list {folder}",
    )
