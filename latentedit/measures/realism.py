"""How far edited images lie from unedited ones as a whole, in the features of some network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from latentedit.errors import InputError

Features = NDArray[np.float64]

MINIMUM_FACES = 50
"""Below this many faces no distance between distributions is computed."""
IMPLEMENTATION = {
    "Fréchet distance": "closed form of Gaussians, covariances with n − 1, eigenvalues in float64",
    "kernel distance": "unbiased squared MMD, kernel (x·y / F + 1)³, in float64",
}
"""What computes each distance, for results and reports."""


def frechet_distance(first: Features, second: Features) -> float:
    """|μ₁ − μ₂|² + tr(C₁ + C₂ − 2 (C₁ C₂)^½) between Gaussians fitted to (N, F) and (M, F).

    Heusel et al., "GANs trained by a two time-scale update rule", 2017, eq. 6. Biased upwards
    for few faces, so that only distances at one number of faces compare.

    Raises:
        InputError: fewer faces than `MINIMUM_FACES`, or not more than features.

    >>> x = np.random.default_rng(0).normal(size=(100, 2))
    >>> round(frechet_distance(x, x + [3, 4]), 6)
    25.0
    """
    check_faces(min(len(first), len(second)), first.shape[1])
    gap = first.mean(0) - second.mean(0)
    c1, c2 = (np.atleast_2d(np.cov(part, rowvar=False)) for part in (first, second))
    root = _square_root(c1)
    cross = np.sqrt(np.linalg.eigvalsh(root @ c2 @ root).clip(0)).sum()
    return max(0.0, float(gap @ gap + np.trace(c1) + np.trace(c2) - 2 * cross))


def check_faces(n: int, features: int) -> None:
    """Raise `InputError` where `n` faces are too few for a Fréchet distance."""
    needed = max(MINIMUM_FACES, features + 1)
    if n < needed:
        raise InputError(
            f"a Fréchet distance in {features} features needs at least {needed} faces, "
            f"received {n}; use the kernel distance, or more faces"
        )


def _square_root(matrix: Features) -> Features:
    """The symmetric root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    root: Features = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    return root


def kernel_distance_by_face(unedited: Features, edited: Features) -> Features:
    """Jackknife pseudo-values (N,) whose mean is the kernel distance of two (N, F).

    The distance is Gretton et al.'s unbiased squared maximum mean discrepancy ("A kernel
    two-sample test", 2012, lemma 6), with the kernel of Bińkowski et al. ("Demystifying MMD
    GANs", 2018). It is the mean over i ≠ j of

        h_ij = k(x_i, x_j) + k(y_i, y_j) − k(x_i, y_j) − k(x_j, y_i),    k(x, y) = (x·y / F + 1)³,

    which leaves out pairs of one face before and after. Without face i it is D₋ᵢ, and the
    pseudo-value of face i is N D − (N − 1) D₋ᵢ: one number a face, for intervals over faces.

    Args:
        unedited, edited: (N, F), the same face at the same place.

    Raises:
        InputError: fewer faces than `MINIMUM_FACES`.
    """
    n = len(unedited)
    if n < MINIMUM_FACES:
        raise InputError(f"a kernel distance needs at least {MINIMUM_FACES} faces, received {n}")
    rows = _kernel_sums(unedited, unedited) + _kernel_sums(edited, edited)
    rows -= _kernel_sums(unedited, edited) + _kernel_sums(edited, unedited)
    total = rows.sum()
    distance = total / (n * (n - 1))
    without = (total - 2 * rows) / ((n - 1) * (n - 2))
    pseudo: Features = n * distance - (n - 1) * without
    return pseudo


def _kernel_sums(x: Features, y: Features, block: int = 1024) -> Features:
    """(N,) Σ_{j ≠ i} k(x_i, y_j), in blocks so that memory stays flat."""
    sums = np.empty(len(x))
    for start in range(0, len(x), block):
        part = slice(start, start + block)
        kernel = (x[part] @ y.T / x.shape[1] + 1) ** 3
        own = np.arange(start, start + len(kernel))
        sums[part] = kernel.sum(1) - kernel[own - start, own]
    return sums
