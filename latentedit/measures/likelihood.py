"""Likelihood of codes under Gaussians that are fitted to the fit split only."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

SHRINKAGE = 1e-3
"""Share of the mean variance added to the diagonal of a covariance, to make it invertible."""


@dataclass(frozen=True)
class CodeDensity:
    """Two Gaussians over codes (N, D): p(w), and p(w | a) with a mean linear in the attributes a.

        p(w) = N(μ, C),    p(w | a) = N(μ + B (a − μ_a), R)

    B is the least-squares regression of codes on attributes, and R the covariance of its residuals.
    C and R have `SHRINKAGE` of the mean variance of C added to the diagonal. No editor is fitted
    with this density.

    Attributes:
        mean, attribute_mean: (D,) μ and (A,) μ_a.
        regression: (A, D) Bᵀ.
        root, residual_root: (D, D) lower Cholesky factors of C and R.
    """

    mean: Tensor
    attribute_mean: Tensor
    regression: Tensor
    root: Tensor
    residual_root: Tensor

    @classmethod
    def fit(cls, shards: Iterable[tuple[Tensor, Tensor]]) -> CodeDensity:
        """Fit to parts of codes (M, D) and attributes (M, A); memory is that of one part."""
        n, sums, products, dim = 0, torch.zeros(0), torch.zeros(0), 0
        for codes, attributes in shards:
            rows = torch.cat([codes, attributes], 1).double()
            if n == 0:
                dim, width = codes.shape[1], rows.shape[1]
                sums, products = rows.new_zeros(width), rows.new_zeros(width, width)
            n += len(rows)
            sums, products = sums + rows.sum(0), products + rows.T @ rows
        mean = sums / n
        covariance = products / n - mean[:, None] * mean
        of_codes, between = covariance[:dim, :dim], covariance[dim:, :dim]
        # 1e-9 only keeps the solve defined if an attribute is constant.
        regression = torch.linalg.solve(_regular(covariance[dim:, dim:], 1e-9), between)
        left = of_codes - between.T @ regression
        return cls(
            mean[:dim],
            mean[dim:],
            regression,
            torch.linalg.cholesky(_regular(of_codes)),
            torch.linalg.cholesky(_regular(left, scale=of_codes)),
        )

    def log_likelihood(self, codes: Tensor, attributes: Tensor) -> Tensor:
        """log p(w | a) / D of codes (N, D) given attributes (N, A), in nats per dimension: (N,)."""
        expected = self.mean + (attributes.double() - self.attribute_mean) @ self.regression
        scores = _whitened(codes.double() - expected, self.residual_root)
        # log det R = 2 Σ log of the Cholesky factor's diagonal; here per dimension
        constant = math.log(2 * math.pi) / 2 + self.residual_root.diagonal().log().mean()
        return (-scores.square().mean(-1) / 2 - constant).to(codes.dtype)

    def mahalanobis(self, codes: Tensor) -> Tensor:
        """((w − μ)ᵀ C⁻¹ (w − μ) / D)^½ of codes (N, D) → (N,): about 1 for sampled codes."""
        scores = _whitened(codes.double() - self.mean, self.root)
        return scores.square().mean(-1).sqrt().to(codes.dtype)


def _whitened(gaps: Tensor, root: Tensor) -> Tensor:
    scores: Tensor = torch.linalg.solve_triangular(root, gaps.T, upper=False)
    return scores.T


def _regular(matrix: Tensor, share: float = SHRINKAGE, scale: Tensor | None = None) -> Tensor:
    """`matrix` (D, D), with a share of the mean variance of `scale` added to its diagonal."""
    variance = (matrix if scale is None else scale).diagonal().mean()
    return matrix + share * variance * torch.eye(len(matrix), dtype=matrix.dtype)
