"""What a run found, in plain sentences made from its comparisons."""

from __future__ import annotations

from typing import Any

from latentedit.benchmark.paired import ALL_TASKS, in_words, winner

SUBJECTS = {
    "identity similarity": "identity",
    "attribute leakage": "the other attributes as judged",
    "true leakage": "the other attributes in truth",
}


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
    sentences = []
    for second in dict.fromkeys(row["second"] for row in rows):
        pair = [row for row in rows if row["second"] == second]
        for metric in dict.fromkeys(row["metric"] for row in pair):
            subject = SUBJECTS.get(metric.split(" · ", maxsplit=1)[0])
            if subject is not None:
                sentences.append(_sentence(first, second, metric, subject, pair))
    return [*sentences, _reach(results)]


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
    seen = metric.partition(" · ")[2]
    by = f" (by {seen})" if seen else ""
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
    return f"{row['better']} is better by {in_words(row)}"


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
