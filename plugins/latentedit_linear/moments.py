"""Means and covariances of a fit split, computed batch by batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from latentedit import Split

_NEGLIGIBLE = 1e-14
"""Variance relative to the mean square, below which it is only rounding error of a constant."""


@dataclass(frozen=True)
class Moments:
    """Moments of N codes w and their attributes a, in double precision; covariances divide by N.

    Args:
        n: N.
        mean: (D,) of the codes.
        covariance: (D, D) Σ, of the codes.
        shared: (D, A) cov(w, a).
        variance: (A,) of the attributes; 0 for one that does not vary.
    """

    n: int
    mean: Tensor
    covariance: Tensor
    shared: Tensor
    variance: Tensor

    def variance_along(self, axes: Tensor) -> Tensor:
        """(K, D) → (K,) vᵀ Σ v, the variance of w·v; 0 where w does not vary along v."""
        axes = axes.double()
        found = ((axes @ self.covariance) * axes).sum(1).clamp_min(0)
        return varying(found, found + (axes @ self.mean).square())

    def correlations(self, axes: Tensor) -> Tensor:
        """(K, D) → (K, A) corr(w·v, a), 0 where one of them does not vary."""
        spread = (self.variance_along(axes)[:, None] * self.variance).sqrt()
        return torch.where(spread > 0, axes.double() @ self.shared / spread, 0.0)


def varying(variance: Tensor, square: Tensor) -> Tensor:
    """The variance, or 0 if it is only rounding error relative to the mean square."""
    return torch.where(variance > _NEGLIGIBLE * square, variance, 0.0)


def moments(data: Split) -> Moments:
    """The moments of a split of codes (N, D), in two passes."""
    # Two passes, since E[w²] − E[w]² loses digits where the mean is large.
    n = len(data)
    mean = torch.stack([codes.double().sum(0) for codes, _ in data.batches()]).sum(0) / n
    attributes = data.attributes.double()
    centre = attributes.mean(0)
    covariance = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    shared = torch.zeros(len(mean), len(centre), dtype=torch.float64)
    for codes, values in data.batches():
        centred = codes.double() - mean
        covariance += centred.T @ centred / n
        shared += centred.T @ (values.double() - centre) / n
    variance = (attributes - centre).square().mean(0)
    return Moments(n, mean, covariance, shared, varying(variance, attributes.square().mean(0)))
