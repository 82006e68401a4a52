"""What a run found, in plain sentences made from its comparisons."""

from __future__ import annotations

from typing import Any

from latentedit.benchmark.results.paired import ALL_TASKS, in_words, winner

SUBJECTS = {
    "identity similarity": "identity",
    "attribute leakage": "the other attributes as judged",
    "true leakage": "the other attributes in truth",
}

FEW = 3
"""So many other editors get sentences of their own, task by task; more share one for a metric."""


def findings(results: dict[str, Any]) -> list[str]:
    """How the suite's first editor compares with each other one, then what was reached."""
    controls = set(results["controls"])
    effect = results["suite"]["effects"][0]
    first = next(iter(results["suite"]["editors"]))
    rows = [
        row
        for row in results["comparisons"]
        if row["first"] == first
        and row["second"] not in controls
        and row["effect"] in (0.0, effect)
    ]
    sentences = _one_by_one if len({row["second"] for row in rows}) <= FEW else _all_at_once
    return [*sentences(first, rows), _reach(results)]


def _one_by_one(first: str, rows: list[dict[str, Any]]) -> list[str]:
    sentences = []
    for second in dict.fromkeys(row["second"] for row in rows):
        pair = [row for row in rows if row["second"] == second]
        for metric, subject in _subjects(pair).items():
            sentences.append(_sentence(first, second, metric, subject, pair))
    return sentences


def _all_at_once(first: str, rows: list[dict[str, Any]]) -> list[str]:
    """A sentence a metric: whom `first` beats over all tasks, who beats it, the nearest first."""
    sentences = []
    for metric, subject in _subjects(rows).items():
        totals = sorted(
            (row for row in rows if row["metric"] == metric and row["task"] == ALL_TASKS),
            key=lambda row: abs(row["difference"]),
        )
        wins, losses, level = (
            [f"{row['second']} ({abs(row['difference']):.3f})" for row in totals if test(row)]
            for test in (
                lambda row: row["better"] == first,
                lambda row: row["better"] == row["second"],
                lambda row: row["better"] is None,
            )
        )
        parts = [
            f"{word} {_listed(names)}"
            for word, names in (
                ("better than", wins),
                ("worse than", losses),
                ("not told apart from", level),
            )
            if names
        ]
        sentences.append(
            f"Over all tasks {first} keeps {subject}{_seen(metric)} {'; '.join(parts)}."
        )
    return sentences


def _subjects(rows: list[dict[str, Any]]) -> dict[str, str]:
    """The metrics that are told of, each with its subject."""
    metrics = dict.fromkeys(row["metric"] for row in rows)
    subjects = {metric: SUBJECTS.get(metric.split(" · ", maxsplit=1)[0]) for metric in metrics}
    return {metric: subject for metric, subject in subjects.items() if subject is not None}


def _seen(metric: str) -> str:
    recogniser = metric.partition(" · ")[2]
    return f" (by {recogniser})" if recogniser else ""


def best_editor(results: dict[str, Any], metric: str) -> str | None:
    """The editor that is better than every other editor over all tasks, if there is one."""
    effect = results["suite"]["effects"][0]
    rows = (
        row
        for row in results["comparisons"]
        if (row["metric"], row["task"]) == (metric, ALL_TASKS) and row["effect"] in (0.0, effect)
    )
    return winner(rows, results["suite"]["editors"])


def _sentence(
    first: str, second: str, metric: str, subject: str, rows: list[dict[str, Any]]
) -> str:
    tasks = [r for r in rows if r["metric"] == metric and r["task"] != ALL_TASKS]
    total = next((r for r in rows if r["metric"] == metric and r["task"] == ALL_TASKS), None)
    wins = [r["task"] for r in tasks if r["better"] == first]
    losses = [r["task"] for r in tasks if r["better"] == second]
    by = _seen(metric)
    if not wins and not losses:
        text = f"On {subject}, {first} and {second} cannot be told apart on any task{by}"
    else:
        parts = []
        if wins:
            parts.append(f"better on {_listed(wins)}")
        if losses:
            parts.append(f"worse on {_listed(losses)}")
        text = f"{first} keeps {subject} {' and '.join(parts)} than {second}{by}"
        undecided = len(tasks) - len(wins) - len(losses)
        text += f"; {undecided} undecided" if undecided else ""
    if total is not None:
        text += f". Over all tasks {_difference(total)}"
    return text + "."


def _difference(row: dict[str, Any]) -> str:
    if row["better"] is None:
        return f"the difference {in_words(row)} cannot be told from none"
    return f"{row['better']} is better: {row['first']} − {row['second']} is {in_words(row)}"


def _reach(results: dict[str, Any]) -> str:
    effect = results["suite"]["effects"][0]
    shares = [
        f"{m['editor']} {m['mean']:.0%}"
        for m in results["measures"]
        if m["metric"] == "reach" and m["task"] == ALL_TASKS and m["effect"] == effect
    ]
    return f"Share of faces that reach {effect:.0%} of the requested change: {', '.join(shares)}."


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
