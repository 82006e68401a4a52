"""Means, covariances and slopes of a split, read a batch at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from latentedit.data.split import Split

_NEGLIGIBLE = 1e-14
"""Variance relative to the mean square, below which it is only rounding error of a constant."""
FALSE_SLOPES = 0.05
"""Share of attributes without any relation to codes that get a slope all the same."""
_DEPENDENT = 1e-9
"""Eigenvalue of a correlation matrix relative to the largest, below which it counts as 0."""


@dataclass(frozen=True)
class Moments:
    """Moments of N codes w and their attributes a, in double precision; covariances divide by N.

    Args:
        n: N.
        mean: (D,) of the codes.
        covariance: (D, D) Σ, of the codes.
        shared: (D, A) cov(w, a).
        attribute_mean: (A,) of the attributes, natural units.
        attribute_covariance: (A, A) cov(a); 0 for an attribute that does not vary.
    """

    n: int
    mean: Tensor
    covariance: Tensor
    shared: Tensor
    attribute_mean: Tensor
    attribute_covariance: Tensor

    @property
    def variance(self) -> Tensor:
        """(A,) of the attributes; 0 for one that does not vary."""
        return self.attribute_covariance.diagonal()

    def of_columns(self, columns: Tensor) -> Moments:
        """The moments with only these attribute columns, (K,) indices, in their order."""
        return replace(
            self,
            shared=self.shared[:, columns],
            attribute_mean=self.attribute_mean[columns],
            attribute_covariance=self.attribute_covariance[columns][:, columns],
        )

    def without(self, part: Moments) -> Moments:
        """The moments of all other images; `part` has those of some of these images.

            m C = N C_all − n C_part − (m n / N) δ δᵀ,    m = N − n,  δ = mean − mean_part

        At least one image must be left.
        """
        left = self.n - part.n
        share, weight = part.n / left, part.n / self.n

        def centre(of: Tensor, without: Tensor) -> Tensor:
            return of + share * (of - without)

        mean = centre(self.mean, part.mean)
        values = centre(self.attribute_mean, part.attribute_mean)
        moved, changed = mean - part.mean, values - part.attribute_mean

        def spread(of: Tensor, without: Tensor, x: Tensor, y: Tensor) -> Tensor:
            return of + share * (of - without) - weight * torch.outer(x, y)

        among = spread(self.attribute_covariance, part.attribute_covariance, changed, changed)
        variance = among.diagonal().clamp_min(0)
        still = _varying(variance, variance + values.square()) == 0
        return Moments(
            left,
            mean,
            spread(self.covariance, part.covariance, moved, moved),
            spread(self.shared, part.shared, moved, changed),
            values,
            among.masked_fill(still | still[:, None], 0.0),
        )

    def effects(self) -> Tensor:
        """Change of the mean code per unit of each attribute, the other attributes unchanged.

            B = cov(w, a) cov(a)⁻¹,    E[w | a] ≈ mean + B (a − attribute mean)

        Returns:
            (D, A); 0 for an attribute that does not vary. Attributes that depend on each other
            linearly share the effect, by the pseudo-inverse.
        """
        scale = torch.where(self.variance > 0, self.variance.rsqrt(), 0.0)
        correlation = scale[:, None] * self.attribute_covariance * scale
        inverse = torch.linalg.pinv(correlation, rtol=_DEPENDENT, hermitian=True)
        effects: Tensor = (self.shared * scale) @ inverse * scale
        return effects

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

        These must be the moments of images that did not choose the directions; see
        `Split.hold_out`. Otherwise slopes are overstated, and noise gets one.

        Args:
            directions: (A, D), unit norm or zero.

        Returns:
            (A,) natural units per unit of strength, in the precision of `directions`; 0 where w
            does not vary along the direction, or where the correlation does not differ from 0 by
            a two-sided t-test at 5 %.
        """
        shared = (directions.double() * self.shared.T).sum(1)
        variance = self.variance_along(directions)
        certain = self.correlations(directions).diagonal().abs() > self._least_correlation()
        return torch.where(certain, shared / variance, 0.0).to(directions.dtype)

    def _least_correlation(self) -> float:
        """The least |r| of N pairs that is significant: t = r √((N − 2) / (1 − r²))."""
        if self.n <= 2:
            return 1.0
        from scipy.special import stdtrit  # noqa: PLC0415  takes long to import

        t = float(stdtrit(self.n - 2, 1 - FALSE_SLOPES / 2))
        return t / math.sqrt(self.n - 2 + t**2)


def _varying(variance: Tensor, square: Tensor) -> Tensor:
    """The variance, 0 where it is rounding beside the mean square."""
    return torch.where(variance > _NEGLIGIBLE * square, variance, 0.0)


def moments(data: Split) -> Moments:
    """The moments of a split of codes (N, D), in two passes; all are 0 where N is 0."""
    # Two passes, since E[w²] − E[w]² loses digits where the mean is large.
    n = len(data)
    if n == 0:
        return _no_moments(data.code_shape[0], data.schema.width)
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
    still = _varying(variance, attributes.square().mean(0)) == 0
    among = (attributes - centre).T @ (attributes - centre) / n
    among = among.masked_fill(still | still[:, None], 0.0)
    return Moments(n, mean, covariance, shared, centre, among)


def _no_moments(d: int, a: int) -> Moments:
    """The moments of no image, so that nothing correlates and no slope is certain."""
    codes, shared, attributes = (torch.zeros(*shape).double() for shape in ((d,), (d, a), (a,)))
    return Moments(0, codes, torch.diag(codes), shared, attributes, torch.diag(attributes))
