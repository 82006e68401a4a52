"""``latentedit bench``."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape
from rich.table import Table

from latentedit.cli import interrupts
from latentedit.cli.completion import editors, suites
from latentedit.cli.console import CellProgress, err, look_at, out, print_json, say
from latentedit.cli.options import Finite, with_trackers
from latentedit.cli.results import print_results

if TYPE_CHECKING:
    from latentedit.benchmark.suite import Suite

FOLDER = click.Path(path_type=Path)


@click.group()
def bench() -> None:
    """Run benchmark suites and compare editors."""


@bench.command()
@click.argument("suite", shell_complete=suites)
@click.option(
    "--out", "folder", required=True, type=FOLDER, help="Run folder; the same one resumes."
)
@click.option(
    "--workers", type=click.IntRange(1), default=None, help="Cells at a time; one a core."
)
@click.option("--executor", default="local", metavar="NAME", help="Where cells are computed.")
@click.option(
    "--executor-option",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the executor; may be repeated.",
)
@click.option(
    "--with",
    "joining",
    multiple=True,
    metavar="EDITOR",
    shell_complete=editors,
    help="An editor to add; may be repeated.",
)
@click.option("--device", help="cpu or cuda, for models and editors; the suite's own if not given.")
@click.option("--limit-seconds", type=Finite(0, min_open=True), help="Time that a cell may take.")
@click.option(
    "--limit-memory",
    type=Finite(0, min_open=True),
    metavar="GIB",
    help="Memory that a cell may take.",
)
@click.option(
    "--photos", default=None, type=FOLDER, help="Edit the photos that latentedit invert wrote."
)
@with_trackers
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def run(
    suite: str,
    folder: Path,
    workers: int | None,
    executor: str,
    settings: tuple[str, ...],
    joining: tuple[str, ...],
    device: str | None,
    limit_seconds: float | None,
    limit_memory: float | None,
    photos: Path | None,
    places: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run SUITE, a shipped name or a YAML file, and write its report.

    The same command again computes only what is missing.

    \b
    Examples:
      latentedit bench run quickstart --out runs/quickstart
      latentedit bench run my_suite.yaml --out runs/mine --workers 4 --limit-memory 2
      latentedit bench run field --out /shared/field --executor NAME --executor-option NAME=VALUE
      latentedit bench run quickstart --photos code --out runs/photos
      latentedit bench run quickstart --with my-editor --out runs/mine
      latentedit bench run quickstart --log TRACKER:logs --out runs/quickstart
    """
    from latentedit.benchmark.execution.tracked import Tracked
    from latentedit.benchmark.results.records import ResultsRecord
    from latentedit.benchmark.results.summary import summarise
    from latentedit.benchmark.run import run_suite
    from latentedit.cli.fit import parse_pairs
    from latentedit.cli.trackers import figures_of, tracked
    from latentedit.registry import Registry
    from latentedit.report.page import write_report

    loaded = _loaded(suite, joining, device, seconds=limit_seconds, memory_gib=limit_memory)
    with tracked(places, loaded.name, loaded.model_dump(mode="json")) as trackers:
        try:
            with CellProgress(loaded.cell_count) as progress:
                outcome = run_suite(
                    loaded,
                    folder,
                    Tracked(progress, trackers),
                    registry=Registry.discover,
                    workers=workers,
                    executor=executor,
                    photographs=photos,
                    executor_options=parse_pairs(settings),
                )
        except KeyboardInterrupt as error:
            interrupts.stop(error)
        with err.status("computing intervals and drawing the report"):
            results = summarise(folder)
            page = write_report(folder)
        trackers.last(figures_of(results))
    if as_json:
        print_json(ResultsRecord(results).model_dump(mode="json"))
    else:
        print_results(results)
        say(f"{outcome.computed} cells computed, {outcome.kept} kept, {len(outcome.failed)} failed")
        say(f"report: {page}", next_step=look_at(page))
    if outcome.failed:
        sys.exit(1)


def _loaded(
    name: str, joining: tuple[str, ...], device: str | None = None, **limits: float | None
) -> Suite:
    """The suite `name` with what is given here, the editors that join, and the controls."""
    from latentedit.benchmark.controls import with_controls
    from latentedit.benchmark.suite import load_suite
    from latentedit.registry import Registry

    given = {limit: value for limit, value in limits.items() if value is not None}
    suite = load_suite(name)
    new: dict[str, Any] = {"limits": suite.limits.model_copy(update=given)}
    new |= {} if device is None else {"device": "" if device == "cpu" else device}
    suite = suite.model_copy(update=new)
    return with_controls(suite.joined(joining), Registry.discover())[0]


@bench.command()
@click.argument("folder", type=FOLDER)
def report(folder: Path) -> None:
    """Compute the results of a run folder again, and write its report.

    \b
    Example:
      latentedit bench report runs/quickstart
    """
    from latentedit.benchmark.results.summary import summarise
    from latentedit.report.page import write_report

    print_results(summarise(folder))
    page = write_report(folder)
    say(f"report: {page}", next_step=look_at(page))


@bench.command()
@click.argument("folder", type=FOLDER)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(folder: Path, as_json: bool) -> None:
    """Show which cells of a run are done, failed or missing, finished or not.

    \b
    Example:
      latentedit bench status runs/quickstart
    """
    from latentedit.benchmark.results.states import states_in

    states = states_in(folder)
    if as_json:
        print_json([asdict(state) for state in states])
        return
    table = Table(box=None, pad_edge=False)
    for column in ("cell", "status", "seconds", "error"):
        table.add_column(column)
    for state in states:
        error = state.error.strip().splitlines()
        last = escape(error[-1] if error else "")
        table.add_row(escape(state.id), state.status, f"{state.seconds:.1f}", last)
    out.print(table)
    counts = Counter(state.status for state in states)
    told = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    say(f"{len(states)} cells: {told}", next_step=_after_status(folder, set(counts) == {"ok"}))


def _after_status(folder: Path, finished: bool) -> str:
    """The command that shows a finished run, or computes the rest of another one."""
    from latentedit.benchmark.results.listed import RESULTS
    from latentedit.benchmark.suite import SUITE_FILE

    if not finished:
        return f"latentedit bench run {folder / SUITE_FILE} --out {folder}"
    shown = (folder / RESULTS).is_file()
    return f"latentedit bench {'list' if shown else 'report'} {folder}"


@bench.command("explain")
@click.argument("folder", type=FOLDER)
@click.argument("cell")
def explain_cell(folder: Path, cell: str) -> None:
    """Say why a cell would be computed again: which fields of its key differ.

    \b
    Example:
      latentedit bench explain runs/quickstart edit--my-editor--seed0--age
    """
    from latentedit.benchmark.run import explain
    from latentedit.registry import Registry

    lines = explain(folder, cell, registry=Registry.discover)
    say("\n".join(lines) if lines else f"{cell} is done; nothing that decides it has changed")
