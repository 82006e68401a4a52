"""Paired comparisons: two editors on the same faces, task by task and over all tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from latentedit.benchmark.results.comparison import Comparison
from latentedit.benchmark.results.keys import MetricKey
from latentedit.benchmark.suite import StatisticsPlan
from latentedit.measures.statistics import discoveries, paired_difference, seed_interval

ALL_TASKS = "all tasks"

Faces = NDArray[np.float64]
"""One number a test face, NaN where there is none."""

Scores = dict[tuple[str, MetricKey, float], Faces]
"""(editor, metric, effect) → (T, N); effect 0 is 'not matched'."""

SeedScores = dict[tuple[str, MetricKey, float], list[Faces]]
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


def known(value: float) -> float | None:
    """None for NaN, which JSON does not have."""
    return None if np.isnan(value) else value


def comparisons(
    scores: Scores,
    pairs: Iterable[tuple[str, str]],
    tasks: list[str],
    plan: StatisticsPlan,
    by_seed: SeedScores | None = None,
) -> list[Comparison]:
    """One comparison a pair, metric, effect and task.

    `better` names an editor only where both intervals leave zero out and q is low enough. q is
    controlled over all of them.
    """
    rows = [
        _comparison((first, second), task, (metric, effect), faces, fits, plan)
        for first, second in pairs
        for (name, metric, effect), table in scores.items()
        if name == first and (second, metric, effect) in scores
        for t, (task, faces) in enumerate(by_task(table - scores[second, metric, effect], tasks))
        if not np.isnan(faces).all()
        for fits in [[_fits(by_seed, (n, metric, effect), t) for n in (first, second)]]
    ]
    tested = iter(discoveries([row.p for row in rows if row.low is not None]))
    rows = [row if row.low is None else replace(row, q=next(tested)) for row in rows]
    return [row.decided(plan.false_discovery_rate) for row in rows]


def _comparison(
    pair: tuple[str, str],
    task: str,
    of: tuple[MetricKey, float],
    faces: Faces,
    fits: list[list[Faces]],
    plan: StatisticsPlan,
) -> Comparison:
    """Of (N,) differences, and of both editors' values by fit seed; not yet decided."""
    found = paired_difference(
        faces, np.zeros_like(faces), confidence=plan.confidence, resamples=plan.resamples
    )
    seed_low, seed_high = _between_seeds(fits, plan)
    return Comparison(
        *pair,
        task,
        *of,
        difference=found.mean,
        low=known(found.low),
        high=known(found.high),
        faces=found.n,
        p=found.p,
        seeds=min(map(len, fits)),
        seed_low=seed_low,
        seed_high=seed_high,
        q=1.0,
        better=None,
    )


def _fits(by_seed: SeedScores | None, of: tuple[str, MetricKey, float], t: int) -> list[Faces]:
    """(N,) of the t-th task, or of all tasks after the last, for each fit with any number."""
    tables = (by_seed or {}).get(of, [])
    fits = [table[t] if t < len(table) else mean_known(table) for table in tables]
    return [values for values in fits if not np.isnan(values).all()]


def _between_seeds(
    fits: list[list[Faces]], plan: StatisticsPlan
) -> tuple[float | None, float | None]:
    """Bounds of the difference over fit seeds, on the faces that every fit has a number for."""
    if min(map(len, fits)) < 2:
        return None, None
    common = ~np.isnan([values for side in fits for values in side]).any(0)
    if not common.any():
        return None, None
    means = [np.array([values[common].mean() for values in side]) for side in fits]
    return seed_interval(*means, confidence=plan.confidence) or (None, None)
