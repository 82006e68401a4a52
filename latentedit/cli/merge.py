"""``latentedit bench merge``."""

from __future__ import annotations

from pathlib import Path

import click

from latentedit.cli.bench import FOLDER, bench
from latentedit.cli.console import err, look_at, say
from latentedit.cli.options import with_new_folder
from latentedit.cli.results import print_results
from latentedit.errors import InputError


@bench.command()
@click.argument("runs", type=FOLDER, nargs=-1, required=True)
@with_new_folder
@click.option(
    "--rename",
    "renamed",
    multiple=True,
    metavar="RUN/EDITOR=NAME",
    help="Another name for an editor of one run; may be repeated.",
)
def merge(runs: tuple[Path, ...], folder: Path, renamed: tuple[str, ...]) -> None:
    """Make one run of RUNS, which have other editors or fit seeds of one suite and bank.

    Runs whose banks, judges, recognisers, protocols or keys of cells differ are refused, with both
    named. Cells are copied, and their digests checked. Every command of bench reads the new run.

    \b
    Examples:
      latentedit bench merge runs/ours runs/theirs --out runs/both
      latentedit bench merge runs/seeds-0-4 runs/seeds-5-9 --out runs/ten-seeds
      latentedit bench merge a b --rename b/my-editor=their-editor --out both
    """
    from latentedit.benchmark.merge import merge_runs
    from latentedit.benchmark.results.summary import summarise
    from latentedit.report.page import write_report

    names = parse_renamed(renamed)
    with err.status("checking and copying cells"):
        merged = merge_runs(runs, folder, names)
    with err.status("computing intervals and drawing the report"):
        results = summarise(folder)
        page = write_report(folder)
    print_results(results)
    counts = ", ".join(f"{count} of {label}" for label, count in merged.cells.items())
    say(f"{folder}: cells {counts}")
    if merged.missing:
        missing = f"{merged.missing[0]} and {len(merged.missing) - 1} more"
        say(f"no run has {missing if len(merged.missing) > 1 else merged.missing[0]}")
    say(f"report: {page}", next_step=look_at(page))


def parse_renamed(pairs: tuple[str, ...]) -> dict[tuple[Path, str], str]:
    """``("runs/a/mine=yours",)`` → ``{(Path("runs/a"), "mine"): "yours"}``.

    >>> [(folder.as_posix(), *rest) for (folder, *rest) in parse_renamed(("runs/a/mine=yours",))]
    [('runs/a', 'mine')]
    """
    found = {}
    for pair in pairs:
        place, _, new = pair.rpartition("=")
        folder, _, old = place.rpartition("/")
        if not (folder and old and new):
            raise InputError(f"--rename takes RUN/EDITOR=NAME, received {pair!r}")
        found[Path(folder), old] = new
    return found
