"""First stage of training ``synthface-net``: the mapping network, which is then frozen.

There are no faces yet. The network learns a fixed, seeded, curved function of z, which concentrates
W on the directions that faces will be read from, as training on faces does.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from latentedit_synthface.code_factors import CodeFactors
from latentedit_synthface.style_network import CODE_SCORES, W_DIM, Dense, MappingNetwork
from latentedit_synthface.warp import GaussianWarp, orthogonal

STEPS, BATCH, RATE = 1500, 256, 3e-3
_COORDINATES, _CURVATURE, _LAYERS = 64, 0.35, 3
_CALIBRATION = 50_000


def trained_mapping(seed: int, steps: int = STEPS) -> tuple[MappingNetwork, CodeFactors]:
    """Train and freeze the mapping network; fit what its codes stand for. About a minute."""
    rng = torch.Generator().manual_seed(seed)
    projection = orthogonal(W_DIM, rng)[:, :_COORDINATES].float()
    warp = GaussianWarp(1, _COORDINATES, _LAYERS, rng)
    torch.manual_seed(seed)
    mapping, head = MappingNetwork(), Dense(W_DIM, CODE_SCORES)
    parameters = [*mapping.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, RATE, betas=(0.9, 0.99))
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * _share(step, steps)
        z = torch.randn(BATCH, W_DIM, generator=rng)
        wanted = warp((z @ projection)[:, None], _CURVATURE)[:, 0, :CODE_SCORES]
        loss = (head(mapping(z)) - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    mapping.requires_grad_(False)
    codes = _standardised(mapping, torch.randn(_CALIBRATION, W_DIM, generator=rng))
    reader = CodeFactors()
    reader.whiten(head.scaled.detach().T, codes)
    return mapping, reader


def _share(step: int, steps: int) -> float:
    """Of the learning rate: a short warm-up, then a cosine to zero."""
    return min(1.0, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * step / steps))


@torch.no_grad()
def _standardised(mapping: MappingNetwork, z: Tensor) -> Tensor:
    """Give w mean 0 and mean square 1; the codes of z."""
    raw = torch.cat([mapping(part) for part in z.split(4096)])
    mapping.centre.copy_(raw.mean(0))
    mapping.scale.copy_((raw - mapping.centre).square().mean().rsqrt())
    return torch.cat([mapping(part) for part in z.split(4096)])
