"""Paired comparisons: two editors on the same images, task by task and over all tasks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from latentedit.benchmark.results.comparison import ENOUGH_FITS, ENOUGH_IMAGES, Comparison
from latentedit.benchmark.results.keys import ALL_TASKS, MetricKey
from latentedit.benchmark.results.tally import (
    Of,
    Pair,
    Scores,
    SeedScores,
    Tally,
    tallied,
)
from latentedit.benchmark.statistics_plan import ENDPOINTS, StatisticsPlan
from latentedit.measures.definitions import SHARE
from latentedit.measures.statistics import Spread, difference_of, holm, spread_of
from latentedit.measures.sums import FaceSums, FitSums


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


def known(value: float) -> float | None:
    """None for NaN, which JSON does not have."""
    return None if np.isnan(value) else value


def family(
    plan: StatisticsPlan,
    scores: Iterable[tuple[str, MetricKey, float]],
    effect: float,
    controls: Iterable[str],
) -> Family:
    """The plan's primary endpoints; by default leakage in truth where it is known, else as judged.

    Args:
        scores: editor, metric and effect of everything measured.
        effect: the first matched effect.
    """
    metrics = plan.endpoints
    if metrics is None:
        measured = {metric.name for _, metric, _ in scores}
        unused = "attribute leakage" if "true leakage" in measured else "true leakage"
        metrics = [name for name in ENDPOINTS if name != unused]
    return Family(frozenset(metrics), effect, frozenset(controls))


def refits(fits: FitSums | None) -> Refits:
    """Of the faces under each fit that has a number; None where no fit has."""
    if fits is None:
        return ONE_FIT
    if len(fits.means) < ENOUGH_FITS:
        return Refits(len(fits.means), ())
    spread = spread_of(fits)
    return ONE_FIT if spread is None else Refits(len(fits.means), (spread,))


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
    return compared(tallied(scores, by_seed or {}, tasks, pairs), plan, of)


def compared(tally: Tally, plan: StatisticsPlan, of: Family) -> list[Comparison]:
    """The same from sums over faces."""
    rows = [
        _comparison(pair, what, gaps, [refits(tally.fits.get(n)) for n in what.both(pair)], plan)
        for (pair, what), gaps in tally.gaps.items()
        if gaps.n
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
    pair: Pair,
    of: Of,
    gaps: FaceSums,
    both: list[Refits],
    plan: StatisticsPlan,
) -> Comparison:
    """Of each face's difference and both editors' fits; exploratory until it is decided."""
    fits = min(one.number for one in both)
    found = difference_of(
        gaps,
        confidence=plan.confidence,
        spreads=[s for one in both for s in one.spreads] if fits >= ENOUGH_FITS else (),
        share=of.metric.metric.unit == SHARE,
    )
    return Comparison(
        *pair,
        of.task,
        of.metric,
        of.effect,
        difference=found.mean,
        low=known(found.low),
        high=known(found.high),
        faces=found.n,
        fits=fits,
        p=found.p,
        holm=None,
        verdict="exploratory",
    )
