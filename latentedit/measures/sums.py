"""Sums over faces, from which intervals and tests follow, and which merge part by part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class FaceSums:
    """Of n numbers x, one a face.

    Args:
        total: Σ x.
        squares: Σ x².
        square, cube: Σ (x − x̄)² and Σ (x − x̄)³.
        shares: whether all are 0 or 1.
        signs: whether all are −1, 0 or 1.
    """

    n: int
    total: float
    squares: float
    square: float
    cube: float
    shares: bool
    signs: bool

    @classmethod
    def of(cls, values: FloatArray) -> FaceSums:
        """Of (N,) numbers; NaN counts as none.

        >>> FaceSums.of(np.array([1.0, 0.0, np.nan])).total
        1.0
        """
        kept = values[~np.isnan(values)]
        if not len(kept):
            return cls(0, 0.0, 0.0, 0.0, 0.0, True, True)
        gaps = kept - kept.mean()
        return cls(
            len(kept),
            float(kept.sum()),
            float((kept**2).sum()),
            float(gaps @ gaps),
            float(gaps**2 @ gaps),
            bool(((kept == 0) | (kept == 1)).all()),
            bool(((kept == 0) | (np.abs(kept) == 1)).all()),
        )

    @property
    def mean(self) -> float:
        """x̄; NaN of no number."""
        return self.total / self.n if self.n else float("nan")

    def __add__(self, other: FaceSums) -> FaceSums:
        """Of both parts' faces, after Pébay, "Formulas for robust, one-pass parallel computation
        of covariances and arbitrary-order statistical moments", 2008, eqs. 1.2 and 1.3."""
        if not (self.n and other.n):
            return self if self.n else other
        a, b, n = self.n, other.n, self.n + other.n
        gap = other.mean - self.mean
        square = self.square + other.square + gap**2 * a * b / n
        cube = self.cube + other.cube + gap**3 * a * b * (a - b) / n**2
        cube += 3 * gap * (a * other.square - b * self.square) / n
        total, squares = self.total + other.total, self.squares + other.squares
        of_all = self.shares and other.shares, self.signs and other.signs
        return FaceSums(n, total, squares, square, cube, *of_all)


@dataclass(frozen=True)
class FitSums:
    """Of n faces that have a number under each of S fits.

    Args:
        means: (S,) of each fit.
        error: Σ of squares of what fits and faces together leave,
            x_si − x̄_s − x̄_i + x̄.
    """

    n: int
    means: tuple[float, ...]
    error: float

    @classmethod
    def of(cls, fits: FloatArray) -> FitSums:
        """Of (S, N) numbers; faces without one in some fit are left out."""
        known = fits[:, ~np.isnan(fits).any(0)]
        if not known.shape[1]:
            return cls(0, (0.0,) * len(fits), 0.0)
        means = known.mean(1)
        if len(means) == 1:
            return cls(known.shape[1], (float(means[0]),), 0.0)
        residuals = known - means[:, None] - known.mean(0) + known.mean()
        return cls(known.shape[1], tuple(means.tolist()), float((residuals**2).sum()))

    def __add__(self, other: FitSums) -> FitSums:
        """Of both parts' faces. Where the parts have other fits, no face is known to have all."""
        if len(self.means) != len(other.means):
            fits = max(len(self.means), len(other.means))
            return FitSums(0, (0.0,) * fits, 0.0)
        if not (self.n and other.n):
            return self if self.n else other
        n = self.n + other.n
        first, second = np.array(self.means), np.array(other.means)
        gaps = second - first
        error = (
            self.error
            + other.error
            + self.n * other.n / n * float(((gaps - gaps.mean()) ** 2).sum())
        )
        means = first + other.n / n * gaps
        return FitSums(n, tuple(means.tolist()), error)
