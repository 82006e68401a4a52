"""Intervals and tests over faces, from one number per face."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FloatArray = NDArray[np.float64]

FEWEST = 5
"""Smallest number of faces for an interval or a test."""
MANY = 2500
"""Largest number of faces for the bootstrap: means of more faces are close to normal."""


@dataclass(frozen=True)
class Interval:
    """A mean over `n` faces and its confidence interval, which is NaN for too few faces."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Difference:
    """A paired difference first − second over `n` faces, with a sign-flip permutation p-value."""

    mean: float
    low: float
    high: float
    n: int
    p: float


class Bounds(NamedTuple):
    low: float
    high: float


def interval(
    values: FloatArray,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    share: bool = False,
) -> Interval:
    """Confidence interval of a mean over faces.

    On each side it is the wider one of two intervals. The first is the BCa bootstrap (Efron 1987),
    which follows skewed values. Its percentiles are widened for small samples (Hesterberg, "What
    teachers should know about the bootstrap", 2015, §4.2). The second is Student's interval, which
    is robust under heavy tails. Faces without a number are resampled too.

    Args:
        values: (N,) one number per face; NaN for faces without one.
        confidence: level of the interval, in (0, 1).
        resamples: number of bootstrap resamples.
        seed: of the resamples.
        share: whether values are shares, so that the interval stays in [0, 1]. If all values are 0
            or 1 it is Wilson's interval, which does not shrink to a point if they are equal.

    >>> found = interval(np.array([1.0, 2.0, 3.0, 4.0, 5.0, np.nan]))
    >>> found.mean, found.n
    (3.0, 5)
    """
    kept = values[~np.isnan(values)]
    if len(kept) < FEWEST:
        mean = float(kept.mean()) if len(kept) else float("nan")
        return Interval(mean, float("nan"), float("nan"), len(kept))
    if share and np.isin(kept, (0.0, 1.0)).all():
        low, high = _wilson(kept, confidence)
    elif np.ptp(kept) == 0:
        low = high = kept[0]
    else:
        low, high = _student(kept, confidence)
        if len(kept) <= MANY:
            skewed = _bca(values, kept, confidence, resamples, seed)
            low, high = min(low, skewed.low), max(high, skewed.high)
        if share:
            low, high = max(0.0, low), min(1.0, high)
    return Interval(float(kept.mean()), float(low), float(high), len(kept))


def _student(kept: FloatArray, confidence: float) -> Bounds:
    half = stats.t.ppf((1 + confidence) / 2, len(kept) - 1) * kept.std(ddof=1) / np.sqrt(len(kept))
    return Bounds(kept.mean() - half, kept.mean() + half)


def _wilson(kept: FloatArray, confidence: float) -> Bounds:
    """Wilson's score interval of a share (1927)."""
    n, share, z = len(kept), kept.mean(), stats.norm.ppf((1 + confidence) / 2)
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return Bounds(max(0.0, centre - half), min(1.0, centre + half))


def _bca(
    values: FloatArray, kept: FloatArray, confidence: float, resamples: int, seed: int
) -> Bounds:
    """BCa percentiles of the bootstrap means, widened for few faces."""
    n, gaps = len(kept), kept - kept.mean()
    acceleration = (gaps**3).sum() / (6 * (gaps**2).sum() ** 1.5)
    means = _resampled_means(values, resamples, seed)
    # Means within rounding of the sample mean count half below it: discrete values tie often.
    moved, rounding = means - kept.mean(), 1e-9 * np.ptp(kept)
    below = ((moved < -rounding).mean() + (moved <= rounding).mean()) / 2
    bias = stats.norm.ppf(np.clip(below, 1 / resamples, 1 - 1 / resamples))
    # Hesterberg 2015, §4.2: the bootstrap's spread lacks the factor n / (n − 1), and the normal
    # quantile is replaced by Student's.
    wide = np.sqrt(n / (n - 1)) * stats.t.ppf((1 + confidence) / 2, n - 1)
    shifted = bias + np.array([-wide, wide])
    levels = stats.norm.cdf(bias + shifted / (1 - acceleration * shifted))
    low, high = np.quantile(means, levels)
    return Bounds(low, high)


def _resampled_means(values: FloatArray, resamples: int, seed: int) -> FloatArray:
    """Bootstrap means over the faces with a number. Resamples without any such face are dropped."""
    # One matrix product of counts (resamples, n) and values: much faster than drawing indices.
    drawn, known = _draws(len(values), resamples, seed), ~np.isnan(values)
    found = drawn @ known.astype(float)
    means: FloatArray = (drawn @ np.where(known, values, 0.0))[found > 0] / found[found > 0]
    return means


@lru_cache(maxsize=4)
def _draws(n: int, resamples: int, seed: int) -> FloatArray:
    """(resamples, n) counts of each face; cached, since all metrics of a run use the same ones."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64)


@lru_cache(maxsize=4)
def _signs(n: int, resamples: int, seed: int) -> FloatArray:
    return np.random.default_rng(seed).choice([-1.0, 1.0], size=(resamples, n))


def paired_difference(
    first: FloatArray,
    second: FloatArray,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Difference:
    """Compare two editors on the faces for which both have a number.

    The interval is that of `interval`. The two-sided p-value is from random sign flips of the
    differences, or from Student's t for more than `MANY` faces.

    Args:
        first, second: (N,), entry i of both for face i.
        confidence, resamples, seed: as in `interval`.
    """
    differences = first - second
    found = interval(differences, confidence=confidence, resamples=resamples, seed=seed)
    kept = np.nan_to_num(differences)
    if found.n < FEWEST or not kept.any():
        p = 1.0
    elif found.n > MANY:
        p = float(stats.ttest_1samp(differences, 0, nan_policy="omit").pvalue)
    else:
        flipped = _signs(len(kept), resamples, seed) @ kept / found.n
        # 1e-12: flips that give the observed mean must count in spite of rounding.
        extreme = np.abs(flipped) >= abs(found.mean) - 1e-12
        # The observed signs count as one of the flips, so p is never 0 (Phipson and Smyth 2010).
        p = (1 + int(extreme.sum())) / (1 + resamples)
    return Difference(found.mean, found.low, found.high, found.n, p)


def seed_interval(
    first: FloatArray, second: FloatArray, *, confidence: float = 0.95
) -> Bounds | None:
    """Welch's interval of the difference of means over fit seeds.

    It shows how much a repeated fit may change the difference.

    Args:
        first, second: (S,) and (S',) one mean per seed.

    Returns:
        None if one of them has fewer than two seeds, so that its spread is unknown.

    >>> seed_interval(np.array([1.0, 1.0]), np.array([0.0, 0.0]))
    Bounds(low=1.0, high=1.0)
    """
    if min(len(first), len(second)) < 2:
        return None
    gap = float(first.mean() - second.mean())
    parts = [x.var(ddof=1) / len(x) for x in (first, second)]
    if sum(parts) == 0:
        return Bounds(gap, gap)
    # Welch–Satterthwaite degrees of freedom: (Σ s²/n)² / Σ (s²/n)² / (n − 1)
    squares = sum(p**2 / (len(x) - 1) for p, x in zip(parts, (first, second), strict=True))
    half = stats.t.ppf((1 + confidence) / 2, sum(parts) ** 2 / squares) * np.sqrt(sum(parts))
    return Bounds(gap - float(half), gap + float(half))


def discoveries(p_values: list[float]) -> list[float]:
    """Benjamini–Hochberg q-values: the smallest false-discovery rate that accepts each p-value."""
    return [float(q) for q in stats.false_discovery_control(p_values)] if p_values else []
