"""Paired comparisons: two editors on the same images, task by task and over all tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from latentedit.benchmark.results.comparison import ENOUGH_FITS, ENOUGH_IMAGES, Comparison
from latentedit.benchmark.results.keys import ALL_TASKS, MetricKey
from latentedit.benchmark.statistics_plan import ENDPOINTS, StatisticsPlan
from latentedit.measures.definitions import SHARE
from latentedit.measures.statistics import Spread, fit_spread, holm, paired_difference

Faces = NDArray[np.float64]
"""One number a test image, NaN where there is none."""

Scores = dict[tuple[str, MetricKey, float], Faces]
"""(editor, metric, effect) → (T, N); effect 0 is 'not matched'."""

SeedScores = dict[tuple[str, MetricKey, float], list[Faces]]
"""The same, seed by seed."""


@dataclass(frozen=True)
class Family:
    """The comparisons that may end in a verdict: of primary endpoints, between editors.

    Args:
        metrics: names of the endpoints, over all tasks.
        effect: the matched effect of those that have one.
        controls: entrants whose comparisons are exploratory.
    """

    metrics: frozenset[str]
    effect: float
    controls: frozenset[str] = frozenset()

    def holds(self, row: Comparison) -> bool:
        return (
            row.task == ALL_TASKS
            and row.metric.name in self.metrics
            and row.effect in (0.0, self.effect)
            and not self.controls & set(row.pair)
        )


class Refits(NamedTuple):
    """How many fits an editor's numbers are over, and how far these move with the fit.

    Fewer than `ENOUGH_FITS` have no spread: simulated intervals over two or three fits cover too
    rarely. They are taken as they are. So are fits without a common image, which count as one.
    """

    number: int
    spreads: tuple[Spread, ...]


ONE_FIT = Refits(1, ())


def by_task(table: Faces, tasks: list[str]) -> Iterator[tuple[str, Faces]]:
    """Each task's images of (T, N), then all tasks with each image's cases averaged first."""
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


def family(plan: StatisticsPlan, scores: Scores, effect: float, controls: Iterable[str]) -> Family:
    """The plan's primary endpoints; by default leakage in truth where it is known, else as judged.

    Args:
        effect: the first matched effect.
    """
    metrics = plan.endpoints
    if metrics is None:
        measured = {metric.name for _, metric, _ in scores}
        unused = "attribute leakage" if "true leakage" in measured else "true leakage"
        metrics = [name for name in ENDPOINTS if name != unused]
    return Family(frozenset(metrics), effect, frozenset(controls))


def refits(tables: Iterable[Faces], tasks: list[str]) -> dict[str, Refits]:
    """By task, of the (T, N) tables of each fit."""
    found: dict[str, list[Faces]] = {}
    for table in tables:
        for task, faces in by_task(table, tasks):
            if not np.isnan(faces).all():
                found.setdefault(task, []).append(faces)
    return {task: _refits(np.stack(fits)) for task, fits in found.items()}


def _refits(fits: Faces) -> Refits:
    if len(fits) < ENOUGH_FITS:
        return Refits(len(fits), ())
    spread = fit_spread(fits)
    return ONE_FIT if spread is None else Refits(len(fits), (spread,))


def comparisons(
    scores: Scores,
    pairs: Iterable[tuple[str, str]],
    tasks: list[str],
    plan: StatisticsPlan,
    of: Family,
    by_seed: SeedScores | None = None,
) -> list[Comparison]:
    """One comparison a pair, metric, effect and task.

    Those of the family that have enough images get a verdict, with Holm's p-values over them all.
    """
    fits = {key: refits(tables, tasks) for key, tables in (by_seed or {}).items()}
    rows = [
        _comparison((first, second), task, (metric, effect), faces, both, plan)
        for first, second in pairs
        for (name, metric, effect), table in scores.items()
        if name == first and (second, metric, effect) in scores
        for task, faces in by_task(table - scores[second, metric, effect], tasks)
        if not np.isnan(faces).all()
        for both in [
            [fits.get((n, metric, effect), {}).get(task, ONE_FIT) for n in (first, second)]
        ]
    ]
    return _decided(rows, plan, of)


def _decided(rows: list[Comparison], plan: StatisticsPlan, of: Family) -> list[Comparison]:
    primary = [i for i, row in enumerate(rows) if of.holds(row)]
    tested = [i for i in primary if rows[i].faces >= ENOUGH_IMAGES]
    adjusted = dict(zip(tested, holm([rows[i].p for i in tested]), strict=True))
    for i in primary:
        rows[i] = rows[i].decided(adjusted.get(i, 1.0), plan.error_rate)
    return rows


def _comparison(
    pair: tuple[str, str],
    task: str,
    of: tuple[MetricKey, float],
    faces: Faces,
    both: list[Refits],
    plan: StatisticsPlan,
) -> Comparison:
    """Of (N,) differences and both editors' fits; exploratory until it is decided."""
    fits = min(one.number for one in both)
    found = paired_difference(
        faces,
        np.zeros_like(faces),
        confidence=plan.confidence,
        spreads=[s for one in both for s in one.spreads] if fits >= ENOUGH_FITS else (),
        share=of[0].metric.unit == SHARE,
    )
    return Comparison(
        *pair,
        task,
        *of,
        difference=found.mean,
        low=known(found.low),
        high=known(found.high),
        faces=found.n,
        fits=fits,
        p=found.p,
        holm=None,
        verdict="exploratory",
    )
