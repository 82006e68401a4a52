"""Means, covariances and slopes of a split, read a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from latentedit.data.bank import Split

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
        attribute_mean: (A,) of the attributes, natural units.
        variance: (A,) of the attributes; 0 for one that does not vary.
    """

    n: int
    mean: Tensor
    covariance: Tensor
    shared: Tensor
    attribute_mean: Tensor
    variance: Tensor

    def variance_along(self, axes: Tensor) -> Tensor:
        """(K, D) → (K,) vᵀ Σ v, the variance of w·v; 0 where w does not vary along v."""
        axes = axes.double()
        found = ((axes @ self.covariance) * axes).sum(1).clamp_min(0)
        return _varying(found, found + (axes @ self.mean).square())

    def correlations(self, axes: Tensor) -> Tensor:
        """(K, D) → (K, A) corr(w·v, a), 0 where one of them does not vary."""
        spread = (self.variance_along(axes)[:, None] * self.variance).sqrt()
        return torch.where(spread > 0, axes.double() @ self.shared / spread, 0.0)

    def slopes(self, directions: Tensor) -> Tensor:
        """Change of each attribute per unit of strength along its own direction.

            slope_k = cov(w·d_k, a_k) / var(w·d_k)

        This is least squares of attribute k on the projection w·d_k. A move by
        (target − source) / slope_k therefore asks for what the target says, to first order.

        Args:
            directions: (A, D), unit norm or zero.

        Returns:
            (A,) natural units per unit of strength, in the precision of `directions`; 0 where w
            does not vary along the direction.
        """
        shared = (directions.double() * self.shared.T).sum(1)
        variance = self.variance_along(directions)
        return torch.where(variance > 0, shared / variance, 0.0).to(directions.dtype)


def _varying(variance: Tensor, square: Tensor) -> Tensor:
    """The variance, 0 where it is rounding beside the mean square."""
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
    variance = _varying(variance, attributes.square().mean(0))
    return Moments(n, mean, covariance, shared, centre, variance)
