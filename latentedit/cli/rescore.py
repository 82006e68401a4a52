"""``latentedit bench rescore``."""

from __future__ import annotations

from pathlib import Path

import click

from latentedit.cli.bench import FOLDER, bench, print_results
from latentedit.cli.console import CellProgress, err, look_at, say
from latentedit.errors import InputError


@bench.command()
@click.argument("folder", type=FOLDER)
@click.option("--judge", default=None, metavar="NAME", help="The estimator that judges anew.")
@click.option(
    "--identity",
    multiple=True,
    metavar="NAME",
    help="A recogniser, in place of the run's; may be repeated.",
)
@click.option("--out", required=True, type=FOLDER, help="Folder of the new run.")
def rescore(folder: Path, judge: str | None, identity: tuple[str, ...], out: Path) -> None:
    """Score a finished run anew by another judge or other recognisers, without its editors.

    Edits, and the strengths at which they match an effect, stay those of the first run.

    \b
    Example:
      latentedit bench rescore runs/quickstart --judge NAME --out runs/by-another-judge
    """
    from latentedit.benchmark.plugin_use import ModelUse
    from latentedit.benchmark.rescore import rescore as score_again
    from latentedit.benchmark.results.reading import Run
    from latentedit.benchmark.results.summary import summarise
    from latentedit.report.page import write_report

    if judge is None and not identity:
        raise InputError("give --judge or --identity: by whom should the run be scored?")
    models = [ModelUse(plugin=name) for name in identity]
    with CellProgress(Run(folder).suite.cell_count) as progress:
        chosen = None if judge is None else ModelUse(plugin=judge)
        outcome = score_again(folder, out, progress, judge=chosen, identity=models)
    with err.status("computing intervals and drawing the report"):
        print_results(summarise(out))
        page = write_report(out)
    say(f"{outcome.computed} cells scored, {outcome.kept} kept")
    say(f"report: {page}", next_step=look_at(page))
