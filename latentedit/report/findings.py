"""The findings of a run, in plain sentences made from its comparisons."""

from __future__ import annotations

from collections.abc import Sequence

from latentedit.benchmark.results.comparison import (
    ENOUGH_FITS,
    ENOUGH_IMAGES,
    Comparison,
    Verdict,
    winner,
)
from latentedit.benchmark.results.keys import ALL_TASKS, MetricKey
from latentedit.benchmark.results.records import Results
from latentedit.interfaces.generator import Subject

FEW = 3
"""Up to this many other editors have sentences of their own; more share one sentence a metric."""

SAID: dict[Verdict, str] = {
    "better": "{first} is better than {second}",
    "worse": "{first} is worse than {second}",
    "ahead": "{first} is ahead of {second}",
    "behind": "{first} is behind {second}",
    "equivalent": "{first} and {second} are equivalent",
    "undecided": "{first} and {second} cannot be told apart",
}


def findings(results: Results) -> list[str]:
    """The suite's focus, its first editor if it names none, against each other one; or each other
    one against its baseline. Then the reach of all."""
    suite, shown = results.suite, results.subject
    first = suite.baseline or suite.focus or next(iter(suite.editors))
    rows = [
        row if row.first == first else row.turned()
        for row in primary(results.comparisons)
        if first in row.pair and results.at_effect(row)
    ]
    if suite.baseline:
        rows = [row.turned() for row in rows]
        return [*_one_by_one(rows, shown), *_caveats(results, rows), _reach(results)]
    few = len({row.second for row in rows}) <= FEW
    said = _one_by_one(rows, shown) if few else _all_at_once(first, rows, shown)
    return [*said, *_caveats(results, rows), _reach(results)]


def primary(rows: Sequence[Comparison]) -> list[Comparison]:
    """Those of primary endpoints, which may have a verdict."""
    return [row for row in rows if row.verdict != "exploratory"]


def best_editor(results: Results, metric: MetricKey) -> str | None:
    """The editor that is better than or ahead of every other one over all tasks, if there is
    one."""
    rows = (
        row
        for row in results.comparisons
        if (row.metric, row.task) == (metric, ALL_TASKS) and results.at_effect(row)
    )
    return winner(rows, results.suite.editors)


def _one_by_one(rows: Sequence[Comparison], shown: Subject) -> list[str]:
    """One sentence a pair and metric."""
    pairs = dict.fromkeys(row.pair for row in rows)
    return [_sentence(row, shown) for pair in pairs for row in rows if row.pair == pair]


def _sentence(row: Comparison, shown: Subject) -> str:
    said = SAID[row.verdict].format(first=row.first, second=row.second)
    if row.faces < ENOUGH_IMAGES:
        said = f"Too few {shown.many} to compare {row.first} and {row.second}"
    within = f" (within ±{row.metric.metric.margin})" if row.verdict == "equivalent" else ""
    return f"{said} in {_named(row.metric)}{within}: {row.in_words(shown)}, {row.basis(shown)}."


def _all_at_once(first: str, rows: Sequence[Comparison], shown: Subject) -> list[str]:
    """One sentence a metric: the editors that `first` is better or worse than, the smallest
    difference first."""
    groups: dict[Verdict, str] = {
        "better": "is better than",
        "worse": "is worse than",
        "ahead": "is ahead of",
        "behind": "is behind",
        "equivalent": "is equivalent to",
        "undecided": "cannot be told apart from",
    }
    sentences = []
    for metric in dict.fromkeys(row.metric for row in rows):
        own = sorted(
            (row for row in rows if row.metric == metric), key=lambda row: abs(row.difference)
        )
        parts = [
            f"{said} {_listed([_brief(row, shown) for row in own if row.verdict == verdict])}"
            for verdict, said in groups.items()
            if any(row.verdict == verdict for row in own)
        ]
        sentences.append(f"In {_named(metric)} {first} {'; '.join(parts)}.")
    return sentences


def _brief(row: Comparison, shown: Subject) -> str:
    return f"{row.second} ({abs(row.difference):.3f}, {row.basis(shown)})"


def _named(metric: MetricKey) -> str:
    return f"{metric.name} (by {metric.detail})" if metric.detail else metric.name


def _caveats(results: Results, rows: Sequence[Comparison]) -> list[str]:
    """What limits the sentences before."""
    found = []
    if any(row.verdict in ("ahead", "behind") for row in rows):
        found.append(
            f"“Ahead” and “behind” are about these fits alone: “better” takes {ENOUGH_FITS} fits "
            "of both editors."
        )
    if results.suite.tune is not None and results.suite.identity:
        names = _listed([str(use) for use in results.suite.identity])
        found.append(
            f"Options were tuned with the recognisers of this report ({names}), on other "
            f"{results.subject.many}. So their identity similarities are not independent of tuning."
        )
    return found


def _reach(results: Results) -> str:
    wanted = (MetricKey("reach"), ALL_TASKS, results.effect)
    shares = [
        f"{m.editor} {m.mean:.0%}"
        for m in results.measures
        if (m.metric, m.task, m.effect) == wanted
    ]
    share = f"{results.effect:.0%} of the requested change"
    return (
        f"Share of {results.faces} {results.subject.many} that reach {share}: {', '.join(shares)}."
    )


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
