"""``latentedit bench rescore``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from latentedit.cli import interrupts
from latentedit.cli.bench import FOLDER, bench
from latentedit.cli.console import CellProgress, err, look_at, say
from latentedit.cli.results import print_results
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
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="A plugin's metric, besides the run's; may be repeated.",
)
@click.option("--out", required=True, type=FOLDER, help="Folder of the new run.")
@click.option(
    "--workers", type=click.IntRange(1), default=None, help="Cells at a time; one a core."
)
def rescore(
    folder: Path,
    judge: str | None,
    identity: tuple[str, ...],
    metrics: tuple[str, ...],
    out: Path,
    workers: int | None,
) -> None:
    """Score a finished run anew by another judge, recognisers or metrics, without its editors.

    Edits, and the strengths at which they match an effect, stay those of the first run.

    \b
    Examples:
      latentedit bench rescore runs/quickstart --judge NAME --out runs/by-another-judge
      latentedit bench rescore runs/quickstart --metric NAME --out runs/with-a-metric
    """
    from latentedit.benchmark.plugin_use import ModelUse
    from latentedit.benchmark.rescore import rescore as score_again
    from latentedit.benchmark.results.reading import Run
    from latentedit.benchmark.results.summary import summarise
    from latentedit.report.page import write_report

    if judge is None and not identity and not metrics:
        raise InputError("give --judge, --identity or --metric: by whom should the run be scored?")
    chosen = None if judge is None else ModelUse(plugin=judge)
    recognisers, added = ([ModelUse(plugin=name) for name in of] for of in (identity, metrics))
    try:
        with CellProgress(Run(folder).suite.cell_count) as progress:
            outcome = score_again(
                folder,
                out,
                progress,
                judge=chosen,
                identity=recognisers,
                metrics=added,
                workers=workers,
            )
    except KeyboardInterrupt as error:
        interrupts.stop(error)
    with err.status("computing intervals and drawing the report"):
        print_results(summarise(out))
        page = write_report(out)
    say(
        f"{outcome.computed} cells scored, {outcome.kept} kept, {len(outcome.failed)} failed",
    )
    say(f"report: {page}", next_step=look_at(page))
    if outcome.failed:
        sys.exit(1)
