"""A discrete conditional flow of affine coupling layers, as a counterpart to the continuous one."""

from __future__ import annotations

from typing import NoReturn, cast

import torch
from torch import Tensor, nn

from latentedit import Unsupported
from latentedit_styleflow.flow import (
    Mapped,
    MovingBatchNorm,
    Norm,
    Whitening,
    standard_normal_log_prob,
)

_SCALE_BOUND = 2.0
"""Largest |log scale| of a layer; the bound keeps inversion exact in float32."""


class AffineCoupling(nn.Module):
    """y = x ⊙ exp(s) + t on half of the coordinates, (s, t) a function of the others and of a.

    Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", ICLR 2017.
    """

    order: Tensor

    def __init__(self, order: Tensor, condition: int, hidden: int) -> None:
        super().__init__()
        self.register_buffer("order", order)
        self.kept = len(order) // 2
        moved = len(order) - self.kept
        last = nn.Linear(hidden, 2 * moved)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.net = nn.Sequential(
            nn.Linear(self.kept + condition, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            last,
        )

    def encode(self, x: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (N, D) → (N, D), and log|det| (N,)."""
        kept, moved = x[:, self.order].split([self.kept, x.shape[1] - self.kept], 1)
        scale, shift = self._of(kept, a)
        return torch.cat([kept, moved * scale.exp() + shift], 1), scale.sum(1)

    def decode(self, y: Tensor, a: Tensor) -> Tensor:
        kept, moved = y.split([self.kept, y.shape[1] - self.kept], 1)
        scale, shift = self._of(kept, a)
        x = torch.cat([kept, (moved - shift) * (-scale).exp()], 1)
        return x[:, self.order.argsort()]

    def _of(self, kept: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
        scale, shift = self.net(torch.cat([kept, a], 1)).chunk(2, 1)
        return _SCALE_BOUND * (scale / _SCALE_BOUND).tanh(), shift


class CouplingFlow(nn.Module):
    """A norm, then affine couplings of coordinates in fixed random orders.

    Args:
        dim: D; condition: A; hidden: width of each layer's network; layers: how many.
        whiten: begin with `Whitening`, not with `MovingBatchNorm`.
    """

    def __init__(
        self, dim: int, condition: int, hidden: int, layers: int, whiten: bool = False
    ) -> None:
        super().__init__()
        self.dim = dim
        self.norm: Norm = Whitening(dim) if whiten else MovingBatchNorm(dim)
        rng = torch.Generator().manual_seed(0)
        self.layers = nn.ModuleList(
            AffineCoupling(torch.randperm(dim, generator=rng, device="cpu"), condition, hidden)
            for _ in range(layers)
        )

    def _couplings(self) -> list[AffineCoupling]:
        return [cast(AffineCoupling, layer) for layer in self.layers]

    def start(self, mean: Tensor, covariance: Tensor) -> None:
        """Set the norm to standardise codes; new couplings are the identity."""
        self.norm.take(mean, covariance)

    def matching(self) -> NoReturn:
        raise Unsupported("flow matching trains a vector field; coupling layers have none")

    def encode(self, w: Tensor, a: Tensor) -> Mapped:
        """Codes (N, D) under attributes (N, A) → base samples (N, D)."""
        return Mapped(self._encode(w, a)[0], len(self.layers))

    def decode(self, z: Tensor, a: Tensor) -> Mapped:
        """Base samples (N, D) under attributes (N, A) → codes (N, D)."""
        for layer in reversed(self._couplings()):
            z = layer.decode(z, a)
        return Mapped(self.norm.decode(z), len(self.layers))

    def log_prob(self, w: Tensor, a: Tensor) -> Tensor:
        """log p(w | a) (N,), exact."""
        z, log_det = self._encode(w, a)
        return standard_normal_log_prob(z) + log_det

    def _encode(self, w: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
        log_det = self.norm.log_scale.sum().expand(len(w))
        z = self.norm.encode(w)
        for layer in self._couplings():
            z, change = layer.encode(z, a)
            log_det = log_det + change
        return z, log_det
