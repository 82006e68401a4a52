"""Intervals and tests of a run again, with scipy where it has them and plain numpy elsewhere."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import telling_world as world
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]


class Bounds(NamedTuple):
    low: float
    high: float


def interval(values: Array, share: bool) -> Bounds | None:
    """Of the mean over faces at the suite's confidence; None under five faces."""
    kept = values[~np.isnan(values)]
    n = len(kept)
    if n < 5:
        return None
    if share and set(kept.tolist()) <= {0.0, 1.0}:
        found = stats.binomtest(int(kept.sum()), n).proportion_ci(world.CONFIDENCE, "wilson")
        return Bounds(found.low, found.high)
    if kept.max() == kept.min():
        return Bounds(kept[0], kept[0])
    student = stats.t.interval(world.CONFIDENCE, n - 1, kept.mean(), stats.sem(kept))
    bootstrap = _bca(values, kept)
    low, high = min(student[0], bootstrap.low), max(student[1], bootstrap.high)
    return Bounds(max(low, 0.0), min(high, 1.0)) if share else Bounds(low, high)


def _bca(values: Array, kept: Array) -> Bounds:
    """Efron's BCa (1987) with the levels of Student's t, over resampled faces."""
    counts = _drawn(len(values))[:, ~np.isnan(values)]
    counts = counts[counts.any(1)]
    means = (counts * kept).sum(1) / counts.sum(1)
    ties = np.isclose(means, kept.mean(), rtol=0, atol=1e-9 * (kept.max() - kept.min()))
    below = np.where(ties, 0.5, means < kept.mean()).mean()
    z0 = stats.norm.ppf(np.clip(below, 1 / world.RESAMPLES, 1 - 1 / world.RESAMPLES))
    a = stats.skew(kept) / (6 * np.sqrt(len(kept)))
    m = len(kept)
    z = np.sqrt(m / (m - 1)) * stats.t.ppf((1 + world.CONFIDENCE) / 2, m - 1)
    levels = [stats.norm.cdf(z0 + (z0 + s * z) / (1 - a * (z0 + s * z))) for s in (-1, 1)]
    return Bounds(*np.quantile(means, levels))


@cache
def _drawn(n: int) -> Array:
    """(resamples, n) how often each face is drawn, with replacement."""
    return np.random.default_rng(0).multinomial(n, [1 / n] * n, size=world.RESAMPLES) * 1.0


@cache
def _signs(n: int) -> Array:
    return np.random.default_rng(0).choice([-1.0, 1.0], size=(world.RESAMPLES, n))


def p_value(differences: Array) -> float:
    """Two-sided, by random signs; faces without a number weigh nothing."""
    filled, known = np.nan_to_num(differences), (~np.isnan(differences)).sum()
    if known < 5 or not filled.any():
        return 1.0
    as_far = np.abs((_signs(len(filled)) * filled).sum(1)) >= abs(filled.sum()) - 1e-9
    return float((as_far.sum() + 1) / (world.RESAMPLES + 1))


def seed_interval(first: list[Array], second: list[Array]) -> tuple[int, Bounds | None]:
    """Over fits that have a number, on the faces that all of them have one for, by Welch."""
    first, second = ([f for f in side if not np.isnan(f).all()] for side in (first, second))
    seeds = min(len(first), len(second))
    if seeds < 2:
        return seeds, None
    common = ~np.isnan(np.stack([*first, *second])).any(0)
    if not common.any():
        return seeds, None
    a, b = (np.stack(side)[:, common].mean(1) for side in (first, second))
    if np.ptp(a) < 1e-9 and np.ptp(b) < 1e-9:
        return seeds, Bounds(a.mean() - b.mean(), a.mean() - b.mean())
    found: Any = stats.ttest_ind(a, b, equal_var=False).confidence_interval(world.CONFIDENCE)
    return seeds, Bounds(found.low, found.high)
