"""The terminal's table of the results of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from latentedit.cli.console import out, say

if TYPE_CHECKING:
    from latentedit.benchmark.results.keys import MetricKey
    from latentedit.benchmark.results.records import Results
    from latentedit.benchmark.results.rows import Measure, Tuning
    from latentedit.interfaces.generator import Subject


def short_recogniser(key: MetricKey) -> str:
    """The last part of a recogniser's name, which is what tells it from others in a narrow head."""
    return key.recogniser.rpartition("-")[2]


def print_results(results: Results) -> None:
    """The headline table: one row an editor, all tasks together, with intervals and verdicts."""
    from latentedit.benchmark.results.keys import ALL_TASKS, in_order
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
