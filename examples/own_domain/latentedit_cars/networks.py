"""The networks, and the one file that their weights are in."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from latentedit import read_tensors

WEIGHTS = Path(__file__).parent / "weights.safetensors"
MAP, PATCH = (8, 4, 4), 8
"""Shape of a code: a small map, each of whose places has a patch of so many pixels."""


class Autoencoder(nn.Module):
    """A linear autoencoder of patches: the best one is given by their principal components (Baldi
    and Hornik 1989), so that it is fitted in closed form.

    Each of 4 × 4 patches of 8 × 8 pixels has a mean (D,) and 8 components (8, D) of its own.
    """

    def __init__(self) -> None:
        super().__init__()
        places, values = MAP[1] * MAP[2], 3 * PATCH**2
        self.register_buffer("mean", torch.zeros(places, values))
        self.register_buffer("components", torch.zeros(places, MAP[0], values))

    def fit(self, images: Tensor) -> None:
        """Components of images (N, 3, 32, 32)."""
        patches = self._patches(images)
        self.mean = patches.mean(0)
        spread = (patches - self.mean).transpose(0, 1)
        axes = torch.linalg.eigh(spread.mT @ spread).eigenvectors
        self.components = axes[:, :, -MAP[0] :].mT.flip(1).contiguous()

    def encode(self, images: Tensor) -> Tensor:
        """(N, 3, 32, 32) images → (N, 8, 4, 4) codes."""
        codes = torch.einsum("npd,pcd->ncp", self._patches(images) - self.mean, self.components)
        return codes.unflatten(2, MAP[1:])

    def decode(self, codes: Tensor) -> Tensor:
        """(N, 8, 4, 4) codes → (N, 3, 32, 32) images in [-1, 1]."""
        patches = torch.einsum("ncp,pcd->npd", codes.flatten(2), self.components) + self.mean
        size = (PATCH * MAP[1], PATCH * MAP[2])
        return nn.functional.fold(patches.mT, size, PATCH, stride=PATCH).clamp(-1, 1)

    def _patches(self, images: Tensor) -> Tensor:
        """(N, 16, D) values of each patch."""
        return nn.functional.unfold(images, PATCH, stride=PATCH).mT


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


def loaded(name: str, network: Any) -> Any:
    """`network` with its trained weights, ready to use."""
    network.load_state_dict(part(name))
    return network.eval().requires_grad_(False)


def apply(network: nn.Module, batch: Tensor) -> Tensor:
    found: Tensor = network(batch.to(torch.float32))
    return found
