"""Intervals and tests over faces: one number a face goes in, never a number an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A mean over `n` faces and its confidence interval."""

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


def interval(
    values: Values, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """BCa bootstrap interval of the mean (Efron 1987), resampling faces.

    Args:
        values: (N,) one number a face; NaN are faces without one and are left out.
    """
    kept = values[~np.isnan(values)]
    if len(kept) == 0:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    mean = float(kept.mean())
    if len(kept) < 3 or np.ptp(kept) == 0:
        return Interval(mean, mean, mean, len(kept))
    found = stats.bootstrap(
        (kept,),
        np.mean,
        confidence_level=confidence,
        n_resamples=resamples,
        method="BCa",
        rng=np.random.default_rng(seed),
        batch=500,
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high), len(kept))


def paired_difference(
    first: Values, second: Values, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Difference:
    """Compare two editors on the faces that both have a number for.

    The interval is BCa over faces; p is two-sided from random sign flips of the differences.

    Args:
        first, second: (N,), the same face at the same place.
    """
    differences = (first - second)[~np.isnan(first - second)]
    found = interval(differences, confidence=confidence, resamples=resamples, seed=seed)
    if found.n < 3 or not differences.any():
        return Difference(found.mean, found.low, found.high, found.n, 1.0)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(resamples, found.n))
    extreme = np.abs((signs * differences).mean(1)) >= abs(found.mean) - 1e-12
    p = (1 + int(extreme.sum())) / (1 + resamples)
    return Difference(found.mean, found.low, found.high, found.n, p)


def discoveries(p_values: list[float]) -> list[float]:
    """Benjamini–Hochberg q-values: the false-discovery rate at which each p-value is accepted."""
    return [float(q) for q in stats.false_discovery_control(p_values)] if p_values else []
