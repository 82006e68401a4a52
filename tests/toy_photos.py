"""Photographs of the toy world, and a registry that can invert them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import toy_editors
from PIL import Image
from torch import Tensor
from toy import ToyGenerator

import latentedit_inversion
from latentedit import InversionRuntime, Inverted, Inverter, PluginSpec, Registry, hookimpl


class _Breaks(Inverter):
    def invert(self, images: Tensor, runtime: InversionRuntime) -> Inverted:
        codes = runtime.generator.sample(len(images), 0)
        return self.spoilt(codes)

    def spoilt(self, codes: Tensor) -> Inverted:
        raise NotImplementedError


class GivesNaN(_Breaks):
    def spoilt(self, codes: Tensor) -> Inverted:
        return Inverted(codes * float("nan"), "w")


class WrongShape(_Breaks):
    def spoilt(self, codes: Tensor) -> Inverted:
        return Inverted(codes[:, :-1], "w")


class WrongSpace(_Breaks):
    def spoilt(self, codes: Tensor) -> Inverted:
        return Inverted(codes, "q")


class _Mutants:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [
            PluginSpec("inverter", name, f"toy_photos:{target}", "breaks its contract")
            for name, target in (
                ("nan", "GivesNaN"),
                ("shape", "WrongShape"),
                ("space", "WrongSpace"),
            )
        ]


def registry() -> Registry:
    """The toy world with its editors, the bundled inverter, and inverters that misbehave."""
    found = toy_editors.registry()
    found.add(latentedit_inversion, "inversion")
    found.add(_Mutants(), "mutants")
    return found


def as_picture(image: Tensor) -> Image.Image:
    """(3, H, W) in [-1, 1] as a picture."""
    levels = ((image.clamp(-1, 1) + 1) * 127.5).round().byte()
    return Image.fromarray(np.asarray(levels.permute(1, 2, 0)))


def write_photos(folder: Path, n: int = 3, seed: int = 11) -> Tensor:
    """``0.png``, ``1.png``, … in `folder`; the codes that they were made from."""
    folder.mkdir(exist_ok=True)
    world = ToyGenerator()
    codes = world.sample(n, seed)
    for i, image in enumerate(world.synthesize(codes)):
        as_picture(image).save(folder / f"{i}.png")
    return codes
