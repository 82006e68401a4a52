"""Paired comparisons: two editors on the same faces, task by task and over all tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentedit.benchmark.suite import StatisticsPlan
from latentedit.measures.metrics import METRICS
from latentedit.measures.statistics import discoveries, paired_difference, seed_interval

ALL_TASKS = "all tasks"

Faces = NDArray[np.float64]
"""One number a test face, NaN where there is none."""

Scores = dict[tuple[str, str, float], Faces]
"""(editor, metric, effect) → (T, N); effect 0 is 'not matched'."""

SeedScores = dict[tuple[str, str, float], list[Faces]]
"""The same, seed by seed."""


def by_task(table: Faces, tasks: list[str]) -> Iterator[tuple[str, Faces]]:
    """Each task's faces of (T, N), then all tasks with each face's cases averaged first."""
    yield from zip(tasks, table, strict=True)
    yield ALL_TASKS, mean_known(table)


def mean_known(values: Faces) -> Faces:
    """Mean over the first axis of what is not NaN; NaN only where all are."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Faces = total / known.sum(0)
    return mean


def comparisons(
    scores: Scores,
    pairs: Iterable[tuple[str, str]],
    tasks: list[str],
    plan: StatisticsPlan,
    by_seed: SeedScores | None = None,
) -> list[dict[str, Any]]:
    """One row a pair, metric, effect and task: first − second, its interval over faces and, where
    both were fitted with several seeds, over seeds; p, q, and `better`.

    `better` names an editor only where both intervals leave zero out and q is low enough. Bounds
    are None where there are too few faces, or seeds, for them.
    """
    rows: list[dict[str, Any]] = [
        {"first": first, "second": second, "task": task, "metric": metric, "effect": effect}
        | _difference(faces, plan)
        | _between_seeds(by_seed, (first, second), (metric, effect), t, plan)
        for first, second in pairs
        for (name, metric, effect), table in scores.items()
        if name == first and (second, metric, effect) in scores
        for t, (task, faces) in enumerate(by_task(table - scores[second, metric, effect], tasks))
        if not np.isnan(faces).all()
    ]
    tested = [row for row in rows if row["low"] is not None]
    for row, q in zip(tested, discoveries([row["p"] for row in tested]), strict=True):
        row["q"] = q
    for row in rows:
        row["q"] = row.get("q", 1.0)
        row["better"] = _better(row, plan)
    return rows


def _difference(faces: Faces, plan: StatisticsPlan) -> dict[str, Any]:
    found = paired_difference(
        faces, np.zeros_like(faces), confidence=plan.confidence, resamples=plan.resamples
    )
    return {
        "difference": found.mean,
        "low": known(found.low),
        "high": known(found.high),
        "faces": found.n,
        "p": found.p,
    }


def _between_seeds(
    by_seed: SeedScores | None,
    pair: tuple[str, str],
    of: tuple[str, float],
    t: int,
    plan: StatisticsPlan,
) -> dict[str, Any]:
    """Bounds of the difference over fit seeds, on the faces that every fit has a number for."""
    fits = [[_task_or_all(table, t) for table in (by_seed or {}).get((n, *of), [])] for n in pair]
    fits = [[values for values in side if not np.isnan(values).all()] for side in fits]
    seeds, bounds = min(map(len, fits)), None
    if seeds > 1:
        common = ~np.isnan([values for side in fits for values in side]).any(0)
        if common.any():
            means = [np.array([values[common].mean() for values in side]) for side in fits]
            bounds = seed_interval(*means, confidence=plan.confidence)
    low, high = bounds or (None, None)
    return {"seeds": seeds, "seed_low": low, "seed_high": high}


def _task_or_all(table: Faces, t: int) -> Faces:
    return table[t] if t < len(table) else mean_known(table)


def in_words(row: dict[str, Any]) -> str:
    """A row's difference with its bounds, or over how few faces it is without.

    >>> in_words({"difference": 0.2, "low": 0.1, "high": 0.3, "faces": 20})
    '+0.200 (+0.100 to +0.300)'
    >>> in_words({"difference": 0.2, "low": None, "high": None, "faces": 1})
    '+0.200 (of 1 faces)'
    """
    few = row["low"] is None
    bounds = f"of {row['faces']} faces" if few else f"{row['low']:+.3f} to {row['high']:+.3f}"
    return f"{row['difference']:+.3f} ({bounds})"


def turned(row: dict[str, Any]) -> dict[str, Any]:
    """The row as second − first."""
    low, high = row["low"], row["high"]
    return row | {
        "first": row["second"],
        "second": row["first"],
        "difference": -row["difference"],
        "low": None if high is None else -high,
        "high": None if low is None else -low,
    }


def winner(rows: Iterable[dict[str, Any]], editors: Iterable[str]) -> str | None:
    """The one of `editors` that is better than every other by `rows` of one metric and task, if
    there is one."""
    names = set(editors)
    duels = [row for row in rows if {row["first"], row["second"]} <= names]
    for name in names:
        mine = [row["better"] for row in duels if name in (row["first"], row["second"])]
        if mine and len(mine) == len(names) - 1 and set(mine) == {name}:
            return name
    return None


def known(value: float) -> float | None:
    """None for NaN, which JSON does not have."""
    return None if np.isnan(value) else value


def _better(row: dict[str, Any], plan: StatisticsPlan) -> str | None:
    if row["low"] is None or row["low"] <= 0 <= row["high"]:
        return None
    if row["q"] > plan.false_discovery_rate:
        return None
    if row["seed_low"] is not None and row["seed_low"] <= 0 <= row["seed_high"]:
        return None
    higher = METRICS[row["metric"].split(" · ")[0]].higher_is_better
    if higher is None:
        return None
    better: str = row["first"] if (row["difference"] > 0) == higher else row["second"]
    return better
