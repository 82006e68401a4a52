"""The `dcgan-faces` generator."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import batch_norm, conv_transpose2d

from latentedit import (
    CodeSpaces,
    Generator,
    InputError,
    Options,
    Subject,
    Tunable,
    UnknownName,
    fingerprint,
)
from latentedit_dcgan.weights import LAYERS, NORM, installed_file, read_generator

NAME = "dcgan-faces"
LICENCE = (
    "MIT, as its package states; the network was trained on DigiFace-1M, whose own terms allow "
    "research that is not commercial"
)


class DcganOptions(Options):
    """Options of `dcgan-faces`.

    Args:
        path: a weight file of the same architecture; that of the installed package by default.
    """

    path: Path | None = None


class DcganFaces(Generator):
    """Faces of 64 × 64 pixels from z ~ N(0, I), by five transposed convolutions.

        h_1 = relu(norm(z ∗ᵀ W_1)),   h_l = relu(norm(h_(l−1) ∗ᵀ W_l)),   x = tanh(h_4 ∗ᵀ W_5)

    Kernels have 4 × 4 pixels. The first convolution makes 4 × 4 pixels of the code, and each other
    one doubles the side. Norms use the running statistics of training. Z is the only space.

    Radford, Metz, Chintala: "Unsupervised representation learning with deep convolutional
    generative adversarial networks", ICLR 2016.
    """

    Options: ClassVar[type[DcganOptions]] = DcganOptions
    subject: ClassVar[Subject] = Subject("face", "faces")
    resolution = 64

    def __init__(self, options: DcganOptions | None = None) -> None:
        self.options = DcganOptions() if options is None else options
        weights, self._sha256 = read_generator(self.options.path or installed_file())
        self._use(weights)

    def _use(self, weights: Mapping[str, Tensor]) -> None:
        self._host = dict(weights)
        self.spaces: Mapping[str, tuple[int, ...]] = MappingProxyType(
            {"z": (len(weights["0.weight"]),)}
        )
        self._in = CodeSpaces(NAME, self.spaces)
        self.fingerprint = fingerprint({"generator": NAME}, self._host)
        self._weights = lru_cache(maxsize=2)(self._weights_on)

    def _weights_on(self, device: torch.device) -> dict[str, Tensor]:
        return {name: tensor.to(device) for name, tensor in self._host.items()}

    def sample(self, n: int, seed: int, space: str = "z", truncation_psi: float = 1.0) -> Tensor:
        return self._in.draw(n, seed, space, truncation_psi)

    def convert(self, codes: Tensor, source: str, target: str) -> Tensor:
        return self._in.walk(codes, source, target, ())

    def synthesize(self, codes: Tensor, space: str = "z") -> Tensor:
        return _images(self.convert(codes, space, "z"), self._weights(codes.device))

    def style_weights(self) -> list[Tensor]:
        """The first convolution, which is linear in z: (16 · 512, 100)."""
        return [self._host["0.weight"].flatten(1).T.clone()]

    def tunable(self) -> Tunable:
        """All weights; the network adds no noise."""
        weights = {name: self._host[name].clone() for name in self._host if "running" not in name}
        return Tunable(weights=weights, noise={})

    def synthesize_with(
        self, tensors: Mapping[str, Tensor], codes: Tensor, space: str = "z"
    ) -> Tensor:
        weights = self._replaced(tensors, self._weights(codes.device))
        return _images(self.convert(codes, space, "z"), weights)

    def tuned(self, tensors: Mapping[str, Tensor]) -> DcganFaces:
        changed = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
        made = DcganFaces.__new__(DcganFaces)
        made.options, made._sha256 = self.options, self._sha256
        made._use(self._replaced(changed, self._host))
        return made

    def _replaced(
        self, tensors: Mapping[str, Tensor], weights: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        for name, tensor in tensors.items():
            if name not in weights:
                raise UnknownName("weight", name, weights, f"of {NAME}")
            if tensor.shape != weights[name].shape:
                raise InputError(
                    f"weight {name!r} of {NAME} has shape {tuple(weights[name].shape)}, received "
                    f"{tuple(tensor.shape)}"
                )
        return {**weights, **tensors}

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "licence": LICENCE, "sha256": self._sha256}


def _images(codes: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
    """(N, 100) → (N, 3, 64, 64) in [-1, 1]."""
    shown = conv_transpose2d(codes[:, :, None, None], weights["0.weight"], stride=1, padding=0)
    for layer in LAYERS[1:]:
        scale, shift, mean, variance = (weights[f"{layer - 2}.{name}"] for name in NORM)
        shown = batch_norm(shown, mean, variance, scale, shift).relu()
        shown = conv_transpose2d(shown, weights[f"{layer}.weight"], stride=2, padding=1)
    return shown.tanh()
