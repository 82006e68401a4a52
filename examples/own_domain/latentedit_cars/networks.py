"""The networks, and the one file that their weights are in."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from latentedit import read_tensors

WEIGHTS = Path(__file__).parent / "weights.safetensors"
MAP = (6, 4, 4)
"""Shape of a code: a small map, whose places lie where they act."""


def encoder() -> nn.Sequential:
    """(N, 3, 32, 32) images → (N, 12, 4, 4) mean and log variance of their codes."""
    layers: list[nn.Module] = []
    for before, after in ((3, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(before, after, 4, 2, 1), nn.SiLU()]
    return nn.Sequential(*layers, nn.Conv2d(64, 2 * MAP[0], 3, 1, 1))


def decoder() -> nn.Sequential:
    """(N, 6, 4, 4) codes → (N, 3, 32, 32) images in [-1, 1]."""
    layers: list[nn.Module] = [nn.Conv2d(MAP[0], 64, 3, 1, 1), nn.SiLU()]
    for before, after in ((64, 48), (48, 24)):
        layers += [nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, 1, 1), nn.SiLU()]
    return nn.Sequential(*layers, nn.Conv2d(24, 12, 3, 1, 1), nn.PixelShuffle(2), nn.Tanh())


def reader(width: int, outputs: int) -> nn.Sequential:
    """(N, 3, 32, 32) images → (N, outputs) numbers."""
    layers: list[nn.Module] = []
    for before, after in ((3, width), (width, 2 * width), (2 * width, 2 * width)):
        layers += [nn.Conv2d(before, after, 4, 2, 1), nn.SiLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * width, outputs))


@cache
def weights() -> dict[str, Tensor]:
    """All tensors of `WEIGHTS`, which ``train.py`` writes in half precision."""
    return {name: tensor.float() for name, tensor in read_tensors(WEIGHTS).items()}


def part(name: str) -> dict[str, Tensor]:
    """The tensors of one network."""
    return {k.removeprefix(f"{name}."): v for k, v in weights().items() if k.startswith(f"{name}.")}


def loaded(name: str, network: nn.Module) -> nn.Module:
    """`network` with its trained weights, ready to use."""
    network.load_state_dict(part(name))
    return network.eval().requires_grad_(False)


def apply(network: nn.Module, batch: Tensor) -> Tensor:
    found: Tensor = network(batch.to(torch.float32))
    return found
