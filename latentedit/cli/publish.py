"""``latentedit bench publish``."""

from __future__ import annotations

from pathlib import Path

import click

from latentedit.cli.bench import FOLDER, bench
from latentedit.cli.console import err, look_at, remark, say
from latentedit.cli.options import Finite


@bench.command()
@click.argument("site", type=FOLDER)
@click.argument("runs", type=FOLDER, nargs=-1, required=True)
@click.option(
    "--blocks",
    type=click.Choice(["task", "world"]),
    default="task",
    show_default=True,
    help="In what editors are ranked: tasks of worlds, or whole worlds.",
)
@click.option(
    "--error-rate",
    default=0.05,
    show_default=True,
    type=Finite(0, 0.5, min_open=True),
    help="Of Friedman's and Nemenyi's tests.",
)
def publish(site: Path, runs: tuple[Path, ...], blocks: str, error_rate: float) -> None:
    """Write RUNS, or the runs directly under them, as a static board to the folder SITE.

    The board ranks editors over worlds and tasks, with critical differences. Every figure leads to
    its run, with the digest of its results and the command that makes it. The folder asks for
    nothing from elsewhere, so that any server, or none, can show it. The same command again
    replaces an older board.

    \b
    Examples:
      latentedit bench publish board runs
      latentedit bench publish board runs/a runs/b runs/c --blocks world
    """
    from latentedit.benchmark.results.board import boards
    from latentedit.report.board_site import write_site

    with err.status("reading runs and writing pages"):
        shown, refused = boards(runs)
        ranked = write_site(
            shown, refused, site, "task" if blocks == "task" else "world", error_rate
        )
    for folder, reason in refused.items():
        remark(f"not shown: {folder}: {reason}")
    count = sum(len(board.runs) for board in shown)
    told = f"{count} run{'s' * (count > 1)}, {len(ranked)} rankings"
    say(f"{site}: {told}", next_step=look_at(site / "index.html"))
