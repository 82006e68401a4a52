"""Cars, drawn from the side in 32 × 32 pixels: what the networks of this package learn from."""

from __future__ import annotations

import torch
from torch import Tensor

from latentedit import Attribute, AttributeSchema

SCHEMA = AttributeSchema(
    (
        Attribute("length", "continuous", 2.4, 4.4, "m"),
        Attribute("height", "continuous", 1.2, 2.2, "m"),
        Attribute("wheels", "continuous", 0.5, 1.0, "m"),
        Attribute("daylight", "continuous", 0.0, 1.0),
        Attribute("van", "binary", 0.0, 1.0),
    )
)
SIZE = 32
DESIGN = 8
"""Scores of a car's design, standard normal: what makes it this car and no other."""
WIDTH = 5.0
"""Of the picture, in metres."""


def random_cars(n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """(n, 5) attributes in natural units and (n, DESIGN) scores. Long cars are often vans."""
    shares = torch.rand(n, 5, generator=rng)
    low = torch.tensor([attribute.low for attribute in SCHEMA])
    high = torch.tensor([attribute.high for attribute in SCHEMA])
    attributes = low + (high - low) * shares
    long = 3 * (shares[:, 0] - 0.5) + torch.randn(n, generator=rng)
    attributes[:, 4] = (long > 0.3).float()
    return attributes, torch.randn(n, DESIGN, generator=rng)


def draw(attributes: Tensor, design: Tensor) -> Tensor:
    """(N, 5) attributes and (N, DESIGN) scores → (N, 3, 32, 32) images in [-1, 1]."""
    length, height, wheels, daylight, van = attributes.T[:, :, None, None]
    drawn = traits(design)
    place, extent = drawn[:, 6:].T[:, :, None, None]
    x = torch.linspace(-WIDTH / 2, WIDTH / 2, SIZE)[None, None]
    y = torch.linspace(3.8, 3.8 - WIDTH, SIZE)[None, :, None]
    paint, stripe = _colour(drawn[:, :3]), _colour(drawn[:, 3:6])
    radius, floor = wheels / 2, wheels / 3
    body = floor + 0.5 * height
    image = torch.stack([0.45 + 0.05 * y, 0.6 + 0.04 * y, 0.85 + 0.0 * y], 1)
    image = image.expand(len(attributes), 3, SIZE, SIZE)
    image = _over(image, torch.tensor([0.35, 0.35, 0.33])[None, :, None, None], _edge(-y))
    cabin = length * (0.45 + 0.5 * van)
    image = _over(image, 0.85 * paint, _box(x, y, -0.05 * length, cabin, body - 0.1, height))
    glass = torch.full((1, 3, 1, 1), 0.25)
    image = _over(image, glass, _box(x, y, -0.05 * length, 0.8 * cabin, body, height - 0.12))
    image = _over(image, paint, _box(x, y, 0 * length, length, floor, body))
    band = (floor + body) / 2
    image = _over(image, stripe, _box(x, y, 0 * length, length, band - 0.15, band + 0.15))
    sign = _disc(x, y, 0.25 * length * place, band, 0.35 + 0.12 * extent)
    image = _over(image, 1 - paint, sign)
    for side in (-1, 1):
        at = side * (0.5 * length - 0.65)
        image = _over(image, torch.full((1, 3, 1, 1), 0.08), _disc(x, y, at, radius, radius))
        image = _over(image, torch.full((1, 3, 1, 1), 0.6), _disc(x, y, at, radius, 0.4 * radius))
    shown: Tensor = (2 * (0.4 + 0.6 * daylight[:, None]) * image - 1).clamp(-1, 1)
    return shown


def traits(design: Tensor) -> Tensor:
    """(N, DESIGN) scores → (N, DESIGN) in (-1, 1), as they are drawn."""
    return design.tanh()


def _colour(scores: Tensor) -> Tensor:
    """(N, 3) drawn scores → (N, 3, 1, 1) colours."""
    return 0.5 + 0.42 * scores[:, :, None, None]


def _edge(distance: Tensor) -> Tensor:
    """1 inside, 0 outside, over one pixel; distances in metres are positive inside."""
    return (0.5 + distance * SIZE / WIDTH).clamp(0, 1)


def _box(x: Tensor, y: Tensor, middle: Tensor, width: Tensor, low: Tensor, top: Tensor) -> Tensor:
    return _edge(width / 2 - (x - middle).abs()) * _edge(y - low) * _edge(top - y)


def _disc(x: Tensor, y: Tensor, at: Tensor, height: Tensor, radius: Tensor) -> Tensor:
    return _edge(radius - ((x - at).square() + (y - height).square()).sqrt())


def _over(image: Tensor, colour: Tensor, mask: Tensor) -> Tensor:
    """`image` (N, 3, H, W) under `colour` (N, 3, 1, 1), where `mask` (N, H, W) says so."""
    shown = mask[:, None]
    return image + shown * (colour - image)
