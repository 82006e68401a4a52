"""A smooth, invertible map that preserves the standard normal distribution."""

from __future__ import annotations

import torch
from torch import Tensor


class GaussianWarp:
    """Turns pairs of coordinates by angles that depend on the other coordinates.

    One layer mixes x by a fixed orthogonal matrix O, splits it into halves a and b, turns the
    pairs of a by the angles c · V₁ b and those of b by c · V₂ a, and mixes back by Oᵀ. Given the
    other half, a turn is a rotation. It preserves lengths, volumes and N(0, I), and the inverse
    turns back in the opposite order. At curvature c = 0 the map is the identity. With every turn
    the linear part of the map shrinks by exp(−c²/2).

    Args:
        blocks: B, the number of independent blocks.
        size: d, coordinates in a block, a multiple of 4.
        layers: number of turns with mixing.
        rng: random generator of the fixed matrices.
    """

    def __init__(self, blocks: int, size: int, layers: int, rng: torch.Generator) -> None:
        self.mixes = torch.stack(
            [torch.stack([orthogonal(size, rng) for _ in range(blocks)]) for _ in range(layers)]
        ).float()
        shape = (layers, 2, blocks, size // 2, size // 4)
        slopes = torch.randn(shape, generator=rng, dtype=torch.float64)
        self.angles = (slopes / slopes.norm(dim=-2, keepdim=True)).float()

    def __call__(self, x: Tensor, curvature: float) -> Tensor:
        """(N, B, d) → (N, B, d)."""
        if curvature == 0:
            return x
        half = x.shape[-1] // 2
        for mix, (first, second) in zip(self.mixes.to(x), self.angles.to(x), strict=True):
            a, b = _blockwise(x, mix).split(half, dim=-1)
            a = _turned(a, curvature * _blockwise(b, first))
            b = _turned(b, curvature * _blockwise(a, second))
            x = _blockwise(torch.cat([a, b], dim=-1), mix.mT)
        return x

    def inverse(self, x: Tensor, curvature: float) -> Tensor:
        """(N, B, d) → (N, B, d), the inverse of the map."""
        half = x.shape[-1] // 2
        layers = list(zip(self.mixes.to(x), self.angles.to(x), strict=True))
        for mix, (first, second) in reversed(layers):
            a, b = _blockwise(x, mix).split(half, dim=-1)
            b = _turned(b, -curvature * _blockwise(a, second))
            a = _turned(a, -curvature * _blockwise(b, first))
            x = _blockwise(torch.cat([a, b], dim=-1), mix.mT)
        return x


def _blockwise(x: Tensor, matrices: Tensor) -> Tensor:
    """(N, B, i) by (B, i, j) → (N, B, j)."""
    return torch.einsum("nbi,bij->nbj", x, matrices)


def _turned(x: Tensor, angles: Tensor) -> Tensor:
    """(N, B, 2m) with coordinates j and j + m turned by angles (N, B, m) in radians."""
    u, v = x.chunk(2, dim=-1)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([cos * u - sin * v, sin * u + cos * v], dim=-1)


def orthogonal(size: int, rng: torch.Generator) -> Tensor:
    """A (size, size) rotation drawn uniformly, float64: QR of a normal matrix, signs fixed."""
    q, r = torch.linalg.qr(torch.randn(size, size, generator=rng, dtype=torch.float64))
    signs = r.diagonal().sign()
    rotation: Tensor = q * signs
    return rotation
