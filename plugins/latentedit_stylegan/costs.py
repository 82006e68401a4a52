"""Limits on the cost of a network, from its shape alone, before anything of it is built.

A shape of a few numbers can ask for any amount of memory and time. Each limit is a share for every
weight, which a file must contain, and an allowance for small networks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """The largest amount of something: `allowance` + `per_weight` · number of weights."""

    what: str
    allowance: int
    per_weight: int

    def check(self, amount: int, weights: int) -> None:
        """Raises `ValueError` if `amount` is over the limit."""
        most = self.allowance + self.per_weight * weights
        if amount > most:
            raise ValueError(
                f"an image takes {amount:,} {self.what}; a network of {weights:,} weights may "
                f"take {most:,}"
            )


MAP = Limit("numbers in its largest feature maps", 4 << 20, 64)
"""The published 1024-pixel networks take 1 to 12 for each weight."""
MAPS = Limit("numbers in all feature maps", 4 << 20, 2_048)
"""The published 1024-pixel networks take 4 to 173 for each weight."""
PRODUCTS = Limit("multiplications", 1 << 30, 1 << 18)
"""The published 1024-pixel networks take 4,300 to 20,000 for each weight."""


@dataclass(frozen=True)
class LayerCost:
    """What one layer takes for one image.

    Args:
        largest: numbers in the feature maps that it holds at once.
        maps: numbers in all feature maps that it makes.
        products: multiplications.
    """

    largest: int
    maps: int
    products: int


def check_cost(shapes: Mapping[str, tuple[int, ...]], layers: Iterable[LayerCost]) -> None:
    """Refuse a network whose images cost much more than its weights.

    Args:
        shapes: of all weights.

    Raises:
        ValueError: naming the limit.
    """
    weights, costs = sum(math.prod(shape) for shape in shapes.values()), list(layers)
    MAP.check(max(cost.largest for cost in costs), weights)
    MAPS.check(sum(cost.maps for cost in costs), weights)
    PRODUCTS.check(sum(cost.products for cost in costs), weights)
