"""The linear world with codes of other names and shapes, and with wide images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor
from toy import ToyGenerator, ToyOptions, toy_plugins

import latentedit_linear
import latentedit_styleflow
from latentedit import CodeSpaces, Generator, PluginSpec, Registry, Truth, fingerprint, hookimpl


class Reshaped(Generator):
    """The toy world's W, under the name `home_space` and in the shape that `spaces` says."""

    row_spaces: ClassVar[Mapping[str, str]] = {}
    spaces: Mapping[str, tuple[int, ...]] = {}
    resolution = 8

    def __init__(self) -> None:
        self.world = ToyGenerator(ToyOptions())
        self.fingerprint = fingerprint({"world": "reshaped", "name": type(self).__name__})

    def sample(self, n: int, seed: int, space: str = "w", truncation_psi: float = 1.0) -> Tensor:
        shape = CodeSpaces(type(self).__name__, self.spaces).shape(space)
        return self.world.sample(n, seed, "w", truncation_psi).view(n, *shape)

    def convert(self, codes: Tensor, source: str, target: str) -> Tensor:
        return CodeSpaces(type(self).__name__, self.spaces).walk(codes, source, target, ())

    def synthesize(self, codes: Tensor, space: str = "w") -> Tensor:
        return self.world.synthesize(self.convert(codes, space, space).flatten(1), "w")

    def truth(self, codes: Tensor, space: str = "w") -> Truth:
        return self.world.truth(self.convert(codes, space, space).flatten(1), "w")


class Maps(Reshaped):
    """Latent maps (6, 2, 2)."""

    spaces: Mapping[str, tuple[int, ...]] = {"h": (6, 2, 2)}


class Tokens(Reshaped):
    """Token codes (4, 6), called w: they are no rows of anything."""

    spaces: Mapping[str, tuple[int, ...]] = {"w": (4, 6)}


class ZOnly(Reshaped):
    spaces: Mapping[str, tuple[int, ...]] = {"z": (24,)}


class Wide(Reshaped):
    """Images of 32 × 48 pixels, the toy world's in a corner."""

    spaces: Mapping[str, tuple[int, ...]] = {"h": (24,)}
    resolution = 32

    @property
    def image_size(self) -> tuple[int, int]:
        return 32, 48

    def synthesize(self, codes: Tensor, space: str = "w") -> Tensor:
        small = super().synthesize(codes, space).flatten(2)
        images = torch.nn.functional.pad(small, (0, 32 * 48 - 64))
        return images.unflatten(2, (32, 48))


class TwoRowSpaces(ToyGenerator):
    """The toy world's W, W+ and S, as it is."""


KINDS = {"maps": Maps, "tokens": Tokens, "z-only": ZOnly, "wide": Wide, "rows": TwoRowSpaces}


class _Plugins:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [
            PluginSpec("generator", name, f"odd_spaces:{found.__name__}", "")
            for name, found in KINDS.items()
        ]


def registry() -> Registry:
    found = Registry()
    for name, plugin in (
        ("toy", toy_plugins),
        ("odd", _Plugins()),
        ("linear", latentedit_linear),
        ("styleflow", latentedit_styleflow),
    ):
        found.add(plugin, name)
    return found
