"""Distances between the distributions of edited and unedited images, in a network's features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentedit.errors import InputError

Features = NDArray[np.float64]

MINIMUM_IMAGES = 50
"""Smallest number of images for a distance between distributions."""
IMPLEMENTATION = {
    "Fréchet distance": "closed form of Gaussians, covariances with n − 1, eigenvalues in float64",
    "kernel distance": "unbiased squared MMD, kernel (x·y / F + 1)³, in float64",
}
"""The computation of each distance in words, for results and reports."""


def frechet_distance(first: Features, second: Features) -> float:
    """|μ₁ − μ₂|² + tr(C₁ + C₂ − 2 (C₁ C₂)^½) between Gaussians fitted to (N, F) and (M, F).

    Heusel et al., "GANs trained by a two time-scale update rule", 2017, eq. 6. The distance is
    biased upwards for few images: compare only distances at the same number of images.

    Raises:
        InputError: there are fewer images than `MINIMUM_IMAGES`, or not more images than features.

    >>> x = np.random.default_rng(0).normal(size=(100, 2))
    >>> round(frechet_distance(x, x + [3, 4]), 6)
    25.0
    """
    check_count(min(len(first), len(second)), first.shape[1])
    return frechet_of(Gaussian.of(first), Gaussian.of(second))


@dataclass(frozen=True)
class Gaussian:
    """Mean (F,) and covariance (F, F), over n − 1, of n images' features; 0 of too few."""

    n: int
    mean: Features
    covariance: Features

    @classmethod
    def of(cls, features: Features) -> Gaussian:
        """Of (N, F) features."""
        n, count = features.shape
        mean = features.mean(0) if n else np.zeros(count)
        known = np.atleast_2d(np.cov(features, rowvar=False)) if n > 1 else np.zeros((count, count))
        return cls(n, mean, known)

    def __add__(self, other: Gaussian) -> Gaussian:
        """Of both parts' images.

        >>> x = np.random.default_rng(0).normal(size=(9, 2))
        >>> both = Gaussian.of(x[:4]) + Gaussian.of(x[4:])
        >>> bool(np.allclose(both.covariance, np.cov(x, rowvar=False)))
        True
        """
        if not (self.n and other.n):
            return self if self.n else other
        n, gap = self.n + other.n, other.mean - self.mean
        squares = (self.n - 1) * self.covariance + (other.n - 1) * other.covariance
        squares = squares + self.n * other.n / n * np.outer(gap, gap)
        return Gaussian(n, self.mean + other.n / n * gap, squares / (n - 1))


def frechet_of(first: Gaussian, second: Gaussian) -> float:
    """The same between Gaussians."""
    check_count(min(first.n, second.n), len(first.mean))
    gap, c1, c2 = first.mean - second.mean, first.covariance, second.covariance
    # tr (C₁ C₂)^½ = tr (C₁^½ C₂ C₁^½)^½, whose argument is symmetric: real roots, no complex ones.
    root = _square_root(c1)
    cross = np.sqrt(np.linalg.eigvalsh(root @ c2 @ root).clip(0)).sum()
    return max(0.0, float(gap @ gap + np.trace(c1) + np.trace(c2) - 2 * cross))


def check_count(n: int, features: int) -> None:
    """Raise `InputError` if `n` images are too few for a Fréchet distance."""
    needed = max(MINIMUM_IMAGES, features + 1)
    if n < needed:
        raise InputError(
            f"a Fréchet distance in {features} features needs at least {needed} images, "
            f"received {n}; use the kernel distance, or more images"
        )


def _square_root(matrix: Features) -> Features:
    """The symmetric root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    root: Features = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    return root


def kernel_distance_by_image(unedited: Features, edited: Features) -> Features:
    """Jackknife pseudo-values (N,) whose mean is the kernel distance of two (N, F).

    The distance is Gretton et al.'s unbiased squared maximum mean discrepancy ("A kernel
    two-sample test", 2012, lemma 6), with the kernel of Bińkowski et al. ("Demystifying MMD
    GANs", 2018). It is the mean over i ≠ j of

        h_ij = k(x_i, x_j) + k(y_i, y_j) − k(x_i, y_j) − k(x_j, y_i),    k(x, y) = (x·y / F + 1)³,

    so that no pair consists of one image before and after its edit. With D₋ᵢ the distance without
    image i, its pseudo-value is N D − (N − 1) D₋ᵢ. This is one number per image, for intervals over
    images.

    Args:
        unedited, edited: (N, F), row i of both for image i.

    Raises:
        InputError: there are fewer images than `MINIMUM_IMAGES`.
    """
    n = len(unedited)
    if n < MINIMUM_IMAGES:
        raise InputError(f"a kernel distance needs at least {MINIMUM_IMAGES} images, received {n}")
    rows = (_kernel_sums(unedited, unedited) + _kernel_sums(edited, edited)) / 2
    rows -= _kernel_sums(unedited, edited)
    total = rows.sum()
    distance = total / (n * (n - 1))
    # The sum over pairs without image i, for all i at once: h is symmetric, so row = column i.
    without = (total - 2 * rows) / ((n - 1) * (n - 2))
    pseudo: Features = n * distance - (n - 1) * without
    return pseudo


def _kernel_sums(x: Features, y: Features, block: int = 1024) -> Features:
    """(N,) Σ_{j ≠ i} k(x_i, y_j) + k(x_j, y_i), by blocks of rows of the kernel matrix."""
    sums = np.zeros(len(x))
    for start in range(0, len(x), block):
        part = slice(start, start + block)
        kernel = x[part] @ y.T / x.shape[1] + 1
        kernel *= kernel * kernel
        own = np.arange(start, start + len(kernel))
        sums[part] += kernel.sum(1) - 2 * kernel[own - start, own]
        sums += kernel.sum(0)
    return sums
