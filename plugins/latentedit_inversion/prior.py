"""Whitened coordinates of W, in which the generator's own codes have unit covariance."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from latentedit import Generator

SAMPLES = 4_096
_FLOOR = 1e-4
"""Smallest deviation, as a share of the largest; smaller ones would blow up steps."""


@dataclass(frozen=True)
class CodePrior:
    """w = mean + u @ spread, with u of unit covariance over sampled codes.

    Zhu et al., "Improved StyleGAN embedding: where are the good latents?", 2020, use such
    coordinates. Steps then follow the variance of the generator's codes in every direction, and
    ‖u‖² measures how unusual a code is.

    Args:
        mean: (D,).
        spread: (D, D).
    """

    mean: Tensor
    spread: Tensor

    @classmethod
    def of(cls, generator: Generator, seed: int, device: str) -> CodePrior:
        codes = generator.sample(SAMPLES, seed, "w").double()
        mean = codes.mean(0)
        variances, axes = torch.linalg.eigh(torch.cov(codes.T))
        deviations = variances.clamp_min(0).sqrt()
        deviations = deviations.clamp_min(_FLOOR * deviations.max())
        spread = deviations[:, None] * axes.T
        return cls(mean.float().to(device), spread.float().to(device))

    def codes(self, u: Tensor) -> Tensor:
        """(..., D) coordinates → (..., D) codes."""
        return self.mean + u @ self.spread

    def coordinates(self, codes: Tensor) -> Tensor:
        """(..., D) codes → (..., D) coordinates."""
        axes = self.spread / self.spread.square().sum(1, keepdim=True)
        return (codes - self.mean) @ axes.T
