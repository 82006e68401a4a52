"""Paired comparisons: two editors on the same faces, task by task and over all tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentedit.benchmark.suite import StatisticsPlan
from latentedit.metrics import METRICS
from latentedit.statistics import discoveries, paired_difference

ALL_TASKS = "all tasks"

Faces = NDArray[np.float64]
"""One number a test face, NaN where there is none."""

Scores = dict[tuple[str, str, float], Faces]
"""(editor, metric, effect) → (T, N); effect 0 is 'not matched'."""


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
    scores: Scores, pairs: Iterable[tuple[str, str]], tasks: list[str], plan: StatisticsPlan
) -> list[dict[str, Any]]:
    """One row a pair, metric, effect and task: first − second, its interval, p, q, and `better`,
    which names an editor only where the interval leaves zero out and q is low enough."""
    rows: list[dict[str, Any]] = [
        {"first": first, "second": second, "task": task, "metric": metric, "effect": effect}
        | _difference(faces, plan)
        for first, second in pairs
        for (name, metric, effect), table in scores.items()
        if name == first and (second, metric, effect) in scores
        for task, faces in by_task(table - scores[second, metric, effect], tasks)
        if not np.isnan(faces).all()
    ]
    for row, q in zip(rows, discoveries([row["p"] for row in rows]), strict=True):
        row["q"] = q
        row["better"] = _better(row, plan)
    return rows


def _difference(faces: Faces, plan: StatisticsPlan) -> dict[str, Any]:
    found = paired_difference(
        faces, np.zeros_like(faces), confidence=plan.confidence, resamples=plan.resamples
    )
    return {
        "difference": found.mean,
        "low": found.low,
        "high": found.high,
        "faces": found.n,
        "p": found.p,
    }


def _better(row: dict[str, Any], plan: StatisticsPlan) -> str | None:
    if row["low"] <= 0 <= row["high"] or row["q"] > plan.false_discovery_rate:
        return None
    higher = METRICS[row["metric"].split(" · ")[0]].higher_is_better
    if higher is None:
        return None
    better: str = row["first"] if (row["difference"] > 0) == higher else row["second"]
    return better
