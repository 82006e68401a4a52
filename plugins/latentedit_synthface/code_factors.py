"""The factors of a ``synthface-net`` code, which its network learned to draw."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from latentedit_synthface.factors import NAMES
from latentedit_synthface.style_network import CODE_SCORES, NUM_WS, W_DIM
from latentedit_synthface.warp import GaussianWarp

CURVATURE = 0.3
LAYERS = 2
"""A linear probe in W explains exp(−2 · 0.3²) = 0.84 of the scores: entangled, not hopeless."""
_WARP_SEED = 41

GROUPS = (slice(0, 4), slice(4, 7), slice(7, NUM_WS))
"""Coarse, middle and fine rows of W+."""
_MIDDLE = (
    *("glasses", "baldness", "beard", "age", "expression"),
    *("eye_size", "gaze", "lips", "mouth_width", "brow"),
)
_FINE = (
    *(f"light_{i}" for i in range(9)),
    *("eye_hue", "skin", "hair_lightness", "hair_redness", "background_hue"),
    *("background_saturation", "background_lightness", "clothes_hue", "clothes_lightness"),
)
"""Factors of the middle and of the fine rows; the coarse rows decide pose and shape."""


class CodeFactors(nn.Module):
    """Maps codes of W+ to scores of the 41 factors, each from its own group of rows.

        u_g = H (mean of the rows of group g)    (48,), white over the prior
        scores_i = warp(u_g(i))_i, with g(i) the group that decides factor i

    The warp preserves the normal distribution: scores are about standard normal, but not linear in
    w. H is fitted once, when the mapping network is frozen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("head", torch.zeros(W_DIM, CODE_SCORES))
        self.head: Tensor
        rng = torch.Generator().manual_seed(_WARP_SEED)
        self._warp = GaussianWarp(1, CODE_SCORES, LAYERS, rng)
        self._group = torch.tensor([_group_of(name) for name in NAMES])

    def forward(self, rows: Tensor) -> Tensor:
        """(N, 10, 512) → (N, 41) scores, in the order of `NAMES`."""
        means = torch.stack([rows[:, group].mean(1) for group in GROUPS], dim=1)
        index = self._group.to(rows.device).expand(len(rows), 1, -1)
        return self.bent(means)[..., : len(NAMES)].gather(1, index)[:, 0]

    def bent(self, rows: Tensor) -> Tensor:
        """(N, R, 512) → (N, R, 48): each row alone, whitened and warped."""
        white = rows @ self.head
        return self._warp(white.flatten(0, 1)[:, None], CURVATURE).reshape(white.shape)

    def moved(self, codes: Tensor, scores: Tensor) -> Tensor:
        """Codes (N, 512) of W with the given scores (N, 41), moved as little as possible.

        w' = w + (u' − Hᵀ w) H⁺,  u' the white scores that the warp bends to `scores`
        """
        bent = self._warp((codes @ self.head)[:, None], CURVATURE)
        wanted = torch.cat([scores[:, None], bent[..., len(NAMES) :]], dim=-1)
        white = self._warp.inverse(wanted, CURVATURE)[:, 0]
        change: Tensor = (white - codes @ self.head) @ torch.linalg.pinv(self.head)
        return codes + change

    def whiten(self, raw: Tensor, codes: Tensor) -> None:
        """Set H so that codes (N, 512) of mean zero give white scores, nearest to codes @ raw.

        Args:
            raw: (512, 48) a head before whitening: H = raw C^(−1/2), C the covariance it gives.
        """
        scores = (codes @ raw).double()
        covariance = scores.T @ scores / len(scores)
        values, vectors = torch.linalg.eigh(covariance)
        root = (vectors * values.clamp(min=1e-6).rsqrt()) @ vectors.T
        self.head.copy_((raw.double() @ root).float())


def described() -> dict[str, Any]:
    """Everything except H that decides the factors of a code."""
    groups = {name: _group_of(name) for name in NAMES}
    return {"curvature": CURVATURE, "layers": LAYERS, "warp_seed": _WARP_SEED, "groups": groups}


def _group_of(name: str) -> int:
    return 1 if name in _MIDDLE else 2 if name in _FINE else 0
