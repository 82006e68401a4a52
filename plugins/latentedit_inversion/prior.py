"""Whitened coordinates of codes, in which the generator's own codes have unit covariance."""

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
    """w = mean + u @ spread, with u of unit covariance over sampled codes of the home space.

    Zhu et al., "Improved StyleGAN embedding: where are the good latents?", 2020, use such
    coordinates. Steps then follow the variance of the generator's codes in every direction, and
    ‖u‖² measures how unusual a code is.

    Args:
        mean: (D,) of flattened codes.
        spread: (D, D).
        home: the generator's home space.
        shape: of one of its codes.
        rows: the space whose codes are rows of the home space; None if there is none.
    """

    mean: Tensor
    spread: Tensor
    home: str
    shape: tuple[int, ...]
    rows: str | None

    @classmethod
    def of(cls, generator: Generator, seed: int, device: str) -> CodePrior:
        home, rows = generator.home, generator.row_spaces
        codes = generator.sample(SAMPLES, seed, home).flatten(1).double()
        mean = codes.mean(0)
        variances, axes = torch.linalg.eigh(torch.cov(codes.T))
        deviations = variances.clamp_min(0).sqrt()
        deviations = deviations.clamp_min(_FLOOR * deviations.max())
        spread = deviations[:, None] * axes.T
        return cls(
            mean.float().to(device),
            spread.float().to(device),
            home,
            tuple(generator.spaces[home]),
            next((s for s in generator.spaces if rows.get(s) == home), None),
        )

    def codes(self, u: Tensor) -> Tensor:
        """(..., D) coordinates → (..., \\*shape) codes."""
        flat = self.mean + u @ self.spread
        return flat.reshape(*flat.shape[:-1], *self.shape)

    def coordinates(self, codes: Tensor) -> Tensor:
        """(N, \\*shape) codes → (N, D) coordinates."""
        axes = self.spread / self.spread.square().sum(1, keepdim=True)
        return (codes.flatten(1) - self.mean) @ axes.T

    def space_of(self, codes: Tensor) -> str:
        """The home space, or that of its rows, by the shape of codes."""
        if self.rows is not None and codes.ndim > 1 + len(self.shape):
            return self.rows
        return self.home
