"""The findings of a run, in plain sentences made from its comparisons."""

from __future__ import annotations

from collections.abc import Sequence

from latentedit.benchmark.results.comparison import Comparison, winner
from latentedit.benchmark.results.keys import MetricKey
from latentedit.benchmark.results.paired import ALL_TASKS
from latentedit.benchmark.results.records import Results
from latentedit.measures.headline import HEADLINES

FEW = 3
"""Up to this many other editors have sentences of their own; more share one sentence a metric."""


def findings(results: Results) -> list[str]:
    """The suite's first editor against each other one, then the reach of all."""
    first = next(iter(results.suite.editors))
    rows = [
        row
        for row in results.comparisons
        if row.first == first and row.second not in results.controls and results.at_effect(row)
    ]
    sentences = _one_by_one if len({row.second for row in rows}) <= FEW else _all_at_once
    return [*sentences(first, rows), _reach(results)]


def finding_subjects(rows: Sequence[Comparison]) -> dict[MetricKey, str]:
    """The metrics of `rows` that findings name, each with its subject."""
    metrics = dict.fromkeys(row.metric for row in rows)
    return {
        metric: subject
        for metric in metrics
        if metric.name in HEADLINES and (subject := HEADLINES[metric.name].subject)
    }


def best_editor(results: Results, metric: MetricKey) -> str | None:
    """The editor that is better than every other editor over all tasks, if there is one."""
    rows = (
        row
        for row in results.comparisons
        if (row.metric, row.task) == (metric, ALL_TASKS) and results.at_effect(row)
    )
    return winner(rows, results.suite.editors)


def _one_by_one(first: str, rows: Sequence[Comparison]) -> list[str]:
    sentences = []
    for second in dict.fromkeys(row.second for row in rows):
        pair = [row for row in rows if row.second == second]
        for metric, subject in finding_subjects(pair).items():
            own = [row for row in pair if row.metric == metric]
            sentences.append(_sentence(first, second, subject, _by(metric), own))
    return sentences


def _all_at_once(first: str, rows: Sequence[Comparison]) -> list[str]:
    """One sentence a metric, over all tasks: the editors that `first` is better or worse than, the
    smallest difference first."""
    sentences = []
    for metric, subject in finding_subjects(rows).items():
        totals = sorted(
            (row for row in rows if row.metric == metric and row.task == ALL_TASKS),
            key=lambda row: abs(row.difference),
        )
        groups = {
            "better than": [row for row in totals if row.better == first],
            "worse than": [row for row in totals if row.better == row.second],
            "not told apart from": [row for row in totals if row.better is None],
        }
        parts = [
            f"{word} {_listed([f'{row.second} ({abs(row.difference):.3f})' for row in group])}"
            for word, group in groups.items()
            if group
        ]
        sentences.append(f"Over all tasks {first} keeps {subject}{_by(metric)} {'; '.join(parts)}.")
    return sentences


def _by(metric: MetricKey) -> str:
    return f" (by {metric.detail})" if metric.detail else ""


def _sentence(first: str, second: str, subject: str, by: str, rows: Sequence[Comparison]) -> str:
    """About two editors and one metric, with a row for each task and one over all tasks."""
    tasks = [row for row in rows if row.task != ALL_TASKS]
    wins = [row.task for row in tasks if row.better == first]
    losses = [row.task for row in tasks if row.better == second]
    if not wins and not losses:
        text = f"On {subject}, {first} and {second} cannot be told apart on any task{by}"
    else:
        kinds = (("better on", wins), ("worse on", losses))
        parts = [f"{word} {_listed(names)}" for word, names in kinds if names]
        text = f"{first} keeps {subject} {' and '.join(parts)} than {second}{by}"
        undecided = len(tasks) - len(wins) - len(losses)
        text += f"; {undecided} undecided" if undecided else ""
    for total in (row for row in rows if row.task == ALL_TASKS):
        text += f". Over all tasks {_difference(total)}"
    return text + "."


def _difference(row: Comparison) -> str:
    if row.better is None:
        return f"the difference {row.in_words()} cannot be told from none"
    return f"{row.better} is better: {row.first} − {row.second} is {row.in_words()}"


def _reach(results: Results) -> str:
    wanted = (MetricKey("reach"), ALL_TASKS, results.effect)
    shares = [
        f"{m.editor} {m.mean:.0%}"
        for m in results.measures
        if (m.metric, m.task, m.effect) == wanted
    ]
    share = f"{results.effect:.0%} of the requested change"
    return f"Share of faces that reach {share}: {', '.join(shares)}."


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
