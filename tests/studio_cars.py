"""A world of no faces: cars in pictures that are no squares, with codes that are no rows."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor

from latentedit import (
    Attribute,
    AttributeEstimator,
    AttributeSchema,
    CodeSpaces,
    Generator,
    PluginSpec,
    Registry,
    fingerprint,
    hookimpl,
)

NASTY = "</script><img src=x onerror=alert(1)>"
SCHEMA = AttributeSchema(
    (
        Attribute("wheelbase", "continuous", 2.0, 4.0, "m"),
        Attribute("roof rack", "binary", 0.0, 1.0, named={"bare": (0.0,), NASTY: (1.0,)}),
        Attribute(
            "paint",
            "vector",
            -1.5,
            1.5,
            size=2,
            named={"red-to-blue": (-1.0, 0.25), "blue-to-red": (1.0, 0.25)},
        ),
    )
)
MIDDLE, SCALE = torch.tensor([3.0, 0.5, 0.0, 0.0]), torch.tensor([0.3, 0.2, 0.5, 0.5])
HEIGHT, WIDTH = 8, 12


class Cars(Generator):
    """Each attribute is a pixel, and affine in the code: a = middle + scale · w."""

    row_spaces: ClassVar[Mapping[str, str]] = MappingProxyType({})
    spaces: Mapping[str, tuple[int, ...]] = MappingProxyType({"w": (6,)})
    resolution = HEIGHT
    fingerprint = fingerprint({"world": "cars"})

    @property
    def image_size(self) -> tuple[int, int]:
        return HEIGHT, WIDTH

    def sample(self, n: int, seed: int, space: str = "w", truncation_psi: float = 1.0) -> Tensor:
        return truncation_psi * torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))

    def convert(self, codes: Tensor, source: str, target: str) -> Tensor:
        return CodeSpaces("cars", self.spaces).walk(codes, source, target, ())

    def synthesize(self, codes: Tensor, space: str = "w") -> Tensor:
        images = codes.new_zeros(len(codes), 3, HEIGHT * WIDTH)
        images[:, 0, :6] = (codes / 8).clamp(-1, 1)
        return images.unflatten(2, (HEIGHT, WIDTH))


class CarReader(AttributeEstimator):
    schema = SCHEMA
    fingerprint = fingerprint({"estimator": "car-reader"})

    def estimate(self, images: Tensor) -> Tensor:
        return MIDDLE + SCALE * 8 * images[:, 0].flatten(1)[:, :4]


class CarJudge(CarReader):
    fingerprint = fingerprint({"estimator": "car-judge"})


class _Plugins:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [
            PluginSpec("generator", "cars", "studio_cars:Cars", "pictures of cars"),
            PluginSpec("estimator", "car-reader", "studio_cars:CarReader", "labels"),
            PluginSpec("estimator", "car-judge", "studio_cars:CarJudge", "judges"),
        ]


def registry() -> Registry:
    """Cars, and the third party's editor of the example."""
    example = Path(__file__).parent.parent / "examples" / "out_of_tree_plugin"
    if str(example) not in sys.path:
        sys.path.append(str(example))
    import latentedit_fisher

    found = Registry()
    found.add(_Plugins(), "cars")
    found.add(latentedit_fisher, "fisher")
    return found
