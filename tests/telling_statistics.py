"""Statistics of a report written anew: by scipy, root finding and a two-way table."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import telling_world as world
from numpy.typing import NDArray
from scipy import optimize, stats
from statsmodels.stats.proportion import proportion_confint

Array = NDArray[np.float64]


class Bounds(NamedTuple):
    low: float
    high: float


def interval(values: Array, share: bool) -> Bounds | None:
    """Of the mean over faces at the suite's confidence; None under ten faces."""
    kept = values[~np.isnan(values)]
    n = len(kept)
    if n < 10:
        return None
    if share and set(kept.tolist()) <= {0.0, 1.0}:
        found = stats.binomtest(int(kept.sum()), n).proportion_ci(world.CONFIDENCE, "wilson")
        return Bounds(found.low, found.high)
    if share and n < 40:
        mean, level = kept.mean(), 2 * stats.norm.sf(stats.t.isf((1 - world.CONFIDENCE) / 2, n - 1))
        of = mean * (1 - mean) / stats.sem(kept) ** 2
        return Bounds(*proportion_confint(mean * of, of, level, "wilson"))
    low, high = _wider(kept)
    return Bounds(max(low, 0.0), min(high, 1.0)) if share else Bounds(low, high)


def difference(gaps: Array, share: bool) -> tuple[Bounds | None, float]:
    """The interval of a paired difference, and p; both from counts where all gaps are -1, 0, 1."""
    kept = gaps[~np.isnan(gaps)]
    if len(kept) < 10:
        return None, 1.0
    if share and set(kept.tolist()) <= {-1.0, 0.0, 1.0}:
        if len(kept) < 40 and np.count_nonzero(kept) < 6:
            return None, 1.0
        n = len(kept) + 2
        more, less = ((kept == 1).sum() + 1) / n, ((kept == -1).sum() + 1) / n
        error = np.sqrt((more + less - (more - less) ** 2) / n)
        half = stats.norm.isf((1 - world.CONFIDENCE) / 2) * error
        p = 2 * stats.norm.sf(abs(more - less) / error)
        return Bounds(max(-1.0, more - less - half), min(1.0, more - less + half)), min(1.0, p)
    return _wider(kept), p_value(kept)


def _flat(kept: Array) -> bool:
    return bool(np.ptp(kept) <= 1e-12 * np.abs(kept).max())


def _hall(kept: Array) -> Callable[[float], float]:
    """Hall's statistic (1992) of the hypothesis that the mean is a value."""
    n, g = len(kept), stats.skew(kept, bias=False)
    mean, deviation = kept.mean(), kept.std(ddof=1)

    def statistic(value: float) -> float:
        t = (mean - value) / deviation
        return float(np.sqrt(n) * (t + g * t**2 / 3 + g**2 * t**3 / 27 + g / (6 * n)))

    return statistic


def _wider(kept: Array) -> Bounds:
    """The wider one of Student's and Hall's interval on each side."""
    if _flat(kept):
        return Bounds(kept[0], kept[0])
    n, error, hall = len(kept), stats.sem(kept), _hall(kept)
    t = stats.t.isf((1 - world.CONFIDENCE) / 2, n - 1)
    far = 200 * error
    low, high = (
        optimize.brentq(lambda mean, z=z: hall(mean) - z, kept.mean() - far, kept.mean() + far)
        for z in (t, -t)
    )
    return Bounds(min(low, kept.mean() - t * error), max(high, kept.mean() + t * error))


def p_value(kept: Array) -> float:
    """The larger one of Student's and Hall's."""
    n = len(kept)
    if _flat(kept):
        return 2.0 ** (1 - n) if kept.mean() else 1.0
    student = float(stats.ttest_1samp(kept, 0).pvalue)
    sign = np.sign(kept.mean())
    return max(student, min(1.0, 2 * float(stats.t.sf(sign * _hall(kept)(0.0), n - 1))))
