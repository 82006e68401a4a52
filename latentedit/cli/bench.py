"""``latentedit bench``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape
from rich.table import Table

from latentedit.cli import interrupts
from latentedit.cli.completion import editors, suites
from latentedit.cli.console import CellProgress, err, look_at, out, print_json, say
from latentedit.cli.options import Finite, check_overwrite, with_force
from latentedit.errors import InputError

if TYPE_CHECKING:
    from latentedit.benchmark.results.records import Measure, Results, Tuning
    from latentedit.benchmark.suite import Suite
    from latentedit.interfaces.generator import Subject

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
    """
    from latentedit.benchmark.results.records import ResultsRecord
    from latentedit.benchmark.results.summary import summarise
    from latentedit.benchmark.run import run_suite
    from latentedit.cli.fit import parse_pairs
    from latentedit.registry import Registry
    from latentedit.report.page import write_report

    loaded = _loaded(suite, joining, device, seconds=limit_seconds, memory_gib=limit_memory)
    try:
        with CellProgress(loaded.cell_count) as progress:
            outcome = run_suite(
                loaded,
                folder,
                progress,
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
    """Show which cells of a run are done, failed or missing.

    \b
    Example:
      latentedit bench status runs/quickstart
    """
    from latentedit.benchmark.results.reading import Run
    from latentedit.benchmark.results.states import cell_states

    states = cell_states(Run(folder))
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
    from latentedit.cli.boards import print_boards

    if as_csv and as_json:
        raise InputError("--csv and --json exclude each other; give one")
    if page is not None:
        check_overwrite(page, force)
    shown, refused = boards(folders)
    for folder, reason in refused.items():
        err.print(f"not shown: {escape(folder)}: {escape(reason)}", soft_wrap=True)
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
        err.print(f"leaderboard: {escape(str(page))}", soft_wrap=True)


def print_results(results: Results) -> None:
    """The headline table: one row an editor, all tasks together, with intervals and verdicts."""
    from latentedit.benchmark.results.keys import ALL_TASKS, in_order
    from latentedit.cli.boards import short_recogniser
    from latentedit.measures.headline import brief, headlines
    from latentedit.report.verdicts import LEGEND, verdict_marks

    measures = [m for m in results.measures if m.task == ALL_TASKS]
    keys = in_order((m.metric for m in measures), brief(results.metrics))
    table = Table(
        title=f"at {results.effect:.0%} of the requested change, "
        f"{results.subject.counted(results.faces)}, "
        f"{results.suite.statistics.confidence:.0%} intervals",
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    table.add_column("editor", no_wrap=True)
    for key in keys:
        arrow = "↑" if results.metrics[key.name].higher_is_better else "↓"
        heading = f"{headlines(results.metrics)[key.name].short} {arrow}"
        table.add_column(f"{heading}\n[dim]{escape(short_recogniser(key))}[/dim]", no_wrap=True)
    found = {(m.editor, m.metric): m for m in measures if results.at_effect(m)}
    mark = verdict_marks(results)
    for name in results.entrants:
        cells = [
            f"{_with_interval(found.get((name, key)), results.subject)} {mark.get((name, key), '')}"
            for key in keys
        ]
        table.add_row(f"[{'dim' if name in results.controls else 'bold'}]{escape(name)}[/]", *cells)
    out.print(table)
    if mark:
        say(LEGEND.format(focus=next(iter(results.suite.editors))))
    if results.tuning and results.suite.tune is not None:
        plan = results.suite.tune
        say(
            f"\ntuned on {plan.images} validation {results.subject.many}, {plan.trials} trials "
            "each unless said otherwise; score: identity similarity − attribute leakage, −1 where "
            "not reached"
        )
        for row in results.tuning:
            _print_tuning(row, plan.trials, several_seeds=len(results.suite.seeds) > 1)


def _print_tuning(row: Tuning, trials: int, several_seeds: bool) -> None:
    """What was chosen for one fit, and over what."""
    fewer = "" if len(row.scores) == trials else f", {len(row.scores)} trials"
    seed = f" seed {row.seed}" if several_seeds else ""
    line = f"  {row.editor}{seed}: {row.chosen} at {row.scores[row.chosen]:.3f}"
    others = ", ".join(f"{k} {v:.3f}" for k, v in row.scores.items() if k != row.chosen)
    out.print(f"{escape(line)} [dim]over {escape(others)}{fewer}[/dim]", soft_wrap=True)


def _with_interval(m: Measure | None, shown: Subject) -> str:
    if m is None:
        return "–"
    bounds = f"of {shown.counted(m.faces)}" if m.low is None else f"{m.low:.2f}…{m.high:.2f}"
    return f"{m.mean:.2f} [dim]{bounds}[/dim]"
