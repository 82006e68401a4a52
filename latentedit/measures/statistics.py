"""Intervals and tests over images and fits, from one number per image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

from latentedit.measures.sums import FaceSums, FitSums, FloatArray

FEWEST = 10
"""Smallest number of images for an interval: below it, simulated coverage falls under 93 %."""
MANY = 40
"""Shares of fewer images have few different values. Their intervals need more care."""
FEWEST_DIFFERING = 6
"""Smallest number of differing images for an interval of yes and no over fewer than `MANY`: a sign
test over five differing images has no p-value below 5 %."""


@dataclass(frozen=True)
class Interval:
    """A mean over `n` images and its confidence interval, which is NaN for too few images."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Difference:
    """A paired difference first − second over `n` images, with a two-sided p-value against 0."""

    mean: float
    low: float
    high: float
    n: int
    p: float


class Bounds(NamedTuple):
    low: float
    high: float


class Part(NamedTuple):
    """What a mean square adds to the variance of a mean, and its degrees of freedom."""

    variance: float
    freedom: float


class Spread(NamedTuple):
    """How far a mean moves with the fit: the mean square between fits, less that of the noise.

    Args:
        noise: its variance is 0 or less.
    """

    between: Part
    noise: Part

    @property
    def variance(self) -> float:
        """Without bias. So it is below 0 in about half of all cases where fits do not differ."""
        return self.between.variance + self.noise.variance


class _Mean(NamedTuple):
    """A mean with its variance, degrees of freedom and skewness."""

    value: float
    variance: float
    freedom: float
    skewness: float


def interval(
    values: FloatArray,
    *,
    confidence: float = 0.95,
    spreads: Sequence[Spread] = (),
    share: bool = False,
) -> Interval:
    """Confidence interval of a mean over images, and over fits where their spread is given.

    On each side it is the wider one of Student's interval and of Hall's (1992, "On the removal of
    skewness by transformation", JRSS B 54), which follows skewed values. With x̄ the mean, V its
    variance, λ its skewness and t the quantile of Student's distribution, Hall's ends are
    x̄ − √V h(±t), where h(t) = 3 ((1 + λ t − λ² / 6)^⅓ − 1) / λ.

    V is s² / n over the n images, plus the sum of `spreads` where it is above 0. So it is a sum of
    parts Vᵢ, one for each mean square. With fᵢ degrees of freedom each, it has Satterthwaite's
    (1946), V² / Σ (Vᵢ² / fᵢ). Where parts cancel, these are few, even less than one. So the parts
    of the noise, which are below 0, are left out where that makes the interval narrower.

    Args:
        values: (N,) one number per image, fits averaged; NaN for images without one.
        confidence: level of the interval, in (0, 1).
        spreads: of `fit_spread`; without them the interval is of these fits alone.
        share: whether values are shares, so that the interval stays in [0, 1]. If all values are 0
            or 1 it is Wilson's interval, which does not shrink to a point if they are equal. Other
            shares of fewer than `MANY` images have Wilson's interval of x̄ (1 − x̄) / V images, with
            t for the normal quantile. With `spreads`, no shares of fewer images have one.

    >>> found = interval(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, np.nan]))
    >>> found.mean, found.n
    (5.5, 10)
    """
    return interval_of(FaceSums.of(values), confidence=confidence, spreads=spreads, share=share)


def interval_of(
    faces: FaceSums,
    *,
    confidence: float = 0.95,
    spreads: Sequence[Spread] = (),
    share: bool = False,
) -> Interval:
    """The same from sums over faces."""
    few_shares = share and faces.n < MANY
    if faces.n < FEWEST or (few_shares and spreads):
        return Interval(faces.mean, float("nan"), float("nan"), faces.n)
    mean = _mean(faces, spreads)
    if share and faces.shares:
        low, high = _wilson(mean.value, 1 / faces.n, _normal(confidence))
    elif few_shares:
        of_one = mean.variance / (mean.value * (1 - mean.value))
        low, high = _wilson(mean.value, of_one, _student(mean.freedom, confidence))
    else:
        low, high = _bounds(mean, confidence)
        if share:
            low, high = max(0.0, low), min(1.0, high)
    return Interval(faces.mean, float(low), float(high), faces.n)


def paired_difference(
    first: FloatArray,
    second: FloatArray,
    *,
    confidence: float = 0.95,
    spreads: Sequence[Spread] = (),
    share: bool = False,
) -> Difference:
    """Compare two editors on the images for which both have a number.

    The interval is that of `interval`. The two-sided p-value belongs to it: the interval at level
    1 − p ends at 0. So it holds for differences that are not symmetric, which sign flips assume.

    Args:
        first, second: (N,), entry i of both for image i.
        confidence, spreads: as in `interval`.
        share: whether values are shares. If all are 0 or 1, the interval is the adjusted one of
            Bonett and Price (2012, "Adjusted Wald confidence interval for a difference of binomial
            proportions based on paired data", JEBS 37): as if the editors differed on two more
            images, once each way. Of fewer than `MANY` images there is none where fewer than
            `FEWEST_DIFFERING` differ, and none of any shares with `spreads`.
    """
    gaps = FaceSums.of(first - second)
    return difference_of(gaps, confidence=confidence, spreads=spreads, share=share)


def difference_of(
    gaps: FaceSums,
    *,
    confidence: float = 0.95,
    spreads: Sequence[Spread] = (),
    share: bool = False,
) -> Difference:
    """The same from sums over each face's difference."""
    signs = share and gaps.signs
    few = share and gaps.n < MANY and (bool(spreads) or (signs and gaps.squares < FEWEST_DIFFERING))
    if gaps.n < FEWEST or few:
        return Difference(gaps.mean, float("nan"), float("nan"), gaps.n, 1.0)
    if signs:
        return _adjusted(gaps, confidence)
    mean = _mean(gaps, spreads)
    return Difference(mean.value, *_bounds(mean, confidence), gaps.n, _p_value(mean, gaps.n))


def fit_spread(fits: FloatArray) -> Spread | None:
    """How much the mean over S fits moves with the fit, beyond the noise of each image.

    With M the mean square between fits and E that of the residuals of images × fits, the variance
    is (M − E) / (n S). M has S − 1 degrees of freedom, and E (n − 1) (S − 1).

    Args:
        fits: (S, N) the same images under each fit. Those without a number in a fit are left out.

    Returns:
        None for fewer than two fits or two images, whose spread is unknown.

    >>> fit_spread(np.array([[1.0, 2.0], [3.0, 4.0]])).between
    Part(variance=1.0, freedom=1.0)
    """
    return spread_of(FitSums.of(fits))


def spread_of(fits: FitSums) -> Spread | None:
    """The same from sums over faces."""
    count, n = len(fits.means), fits.n
    if min(count, n) < 2:
        return None
    freedom = count - 1.0
    between = float(np.var(fits.means, ddof=1)) / count
    noise = fits.error / ((n - 1) * freedom) / (n * count)
    return Spread(Part(between, freedom), Part(-noise, (n - 1) * freedom))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values (1979): each is at most α with the chance α that any of the true
    hypotheses is rejected.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    steps = np.arange(len(order), 0, -1)
    grown = np.maximum.accumulate(np.asarray(p_values, dtype=np.float64)[order] * steps)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(grown, 1.0)
    return [float(p) for p in adjusted]


def _mean(of: FaceSums, spreads: Sequence[Spread]) -> _Mean:
    n, mean, square = of.n, of.mean, of.square
    # Rounding of equal values is no spread.
    if square <= n * (1e-12 * mean) ** 2:
        square = 0.0
    faces = Part(square / (n - 1) / n, n - 1.0)
    choices = [[faces]]
    if sum(spread.variance for spread in spreads) > 0:
        between = [faces, *(spread.between for spread in spreads)]
        choices = [between, [*between, *(spread.noise for spread in spreads)]]
    variance, freedom = min(map(_sum, choices), key=_width)
    if variance == 0:
        return _Mean(mean, 0.0, faces.freedom, 0.0)
    skewness = 0.0
    if square > 0:
        # Fisher's G₁, which is less biased for few images; of their mean it is smaller by √n.
        of_faces = math.sqrt(n * (n - 1)) / (n - 2) * of.cube / square**1.5
        skewness = of_faces * (faces.variance / variance) ** 1.5
    return _Mean(mean, variance, freedom, skewness)


def _sum(parts: Sequence[Part]) -> Part:
    """The sum of parts, with Satterthwaite's degrees of freedom (1946)."""
    variance = sum(part.variance for part in parts)
    if variance == 0:
        return Part(0.0, parts[0].freedom)
    return Part(variance, variance**2 / sum(part.variance**2 / part.freedom for part in parts))


def _width(part: Part) -> float:
    """Half the width of Student's interval of 95%."""
    return _student(part.freedom, 0.95) * math.sqrt(part.variance)


def _bounds(mean: _Mean, confidence: float) -> Bounds:
    """The wider one of Student's and Hall's interval on each side."""
    t = _student(mean.freedom, confidence)
    far = [max(t, _hall_inverse(t, mean.skewness)), min(-t, _hall_inverse(-t, mean.skewness))]
    low, high = (mean.value - math.sqrt(mean.variance) * z for z in far)
    return Bounds(low, high)


def _p_value(mean: _Mean, n: int) -> float:
    """The larger one of Student's and Hall's, two-sided."""
    if mean.variance == 0:
        # Equal differences: only two of 2ⁿ patterns of signs are as far from 0.
        return 2.0 ** (1 - n) if mean.value else 1.0
    z = mean.value / math.sqrt(mean.variance)
    nearest = min(abs(z), math.copysign(1.0, z) * _hall(z, mean.skewness))
    return float(min(1.0, 2 * special.stdtr(mean.freedom, -max(nearest, 0.0))))


def _hall(z: float, skewness: float) -> float:
    """g(z) = z + λ z² / 3 + λ² z³ / 27 + λ / 6, close to normal where z is skewed by λ."""
    return z + skewness * z**2 / 3 + skewness**2 * z**3 / 27 + skewness / 6


def _hall_inverse(g: float, skewness: float) -> float:
    if abs(skewness) < 1e-6:  # h(t) → t; the formula divides by λ
        return g
    return 3 / skewness * (float(np.cbrt(1 + skewness * g - skewness**2 / 6)) - 1)


def _adjusted(gaps: FaceSums, confidence: float) -> Difference:
    """Bonett and Price's interval of differences −1, 0 and 1."""
    n = gaps.n + 2
    centre = gaps.total / n
    error = math.sqrt(((gaps.squares + 2) / n - centre**2) / n)
    half = _normal(confidence) * error
    p = min(1.0, 2 * float(special.ndtr(-abs(centre) / error)))
    low, high = max(-1.0, centre - half), min(1.0, centre + half)
    return Difference(gaps.mean, low, high, gaps.n, p)


def _wilson(share: float, of_one: float, z: float) -> Bounds:
    """Wilson's score interval (1927) of a share with the variance `of_one` · share (1 − share)."""
    added = z**2 * of_one
    centre = (share + added / 2) / (1 + added)
    half = z * math.sqrt(share * (1 - share) * of_one + added * of_one / 4) / (1 + added)
    return Bounds(max(0.0, centre - half), min(1.0, centre + half))


def _normal(confidence: float) -> float:
    return float(special.ndtri((1 + confidence) / 2))


def _student(freedom: float, confidence: float) -> float:
    return float(special.stdtrit(freedom, (1 + confidence) / 2))
