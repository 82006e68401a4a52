"""Recipes of the networks that read faces: architecture, seeds, data and schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from latentedit import read_json
from latentedit_synthface.pretrained import WEIGHTS
from latentedit_synthface.schema import SCHEMA


@dataclass(frozen=True)
class Recipe:
    """How one network is made.

    Args:
        stages, hidden, outputs: arguments of `ConvNet`.
        target: what it learns: ``"attributes"``, ``"identity"`` or ``"person"``.
        seed: of initialisation and batches.
        data_seed: of its training images; no two independent networks share one.
        start: the network whose weights it begins with, to go on with generated images; without,
            it learns from renders.
    """

    stages: tuple[tuple[int, int, int, int], ...]
    hidden: int
    outputs: int
    target: str
    seed: int
    data_seed: int
    start: str | None = None

    @property
    def plan(self) -> dict[str, Any]:
        return {"stages": self.stages, "hidden": self.hidden, "outputs": self.outputs}

    def again(self, name: str) -> Recipe:
        """The next round of `name`, which learns from generated images: its own weights, fresh
        images."""
        return replace(self, start=name, data_seed=shipped(name)["data"]["training_seed"] + 1)


_OVERLAPPING = ((24, 3, 2, 0), (48, 3, 2, 1), (96, 3, 2, 2), (160, 3, 2, 0))
_PATCHES = ((64, 4, 4, 1), (112, 2, 2, 1), (144, 3, 2, 1))

RECIPES = {
    "labeller": Recipe(_OVERLAPPING, 192, SCHEMA.width, "attributes", seed=1, data_seed=101),
    "judge": Recipe(_PATCHES, 256, SCHEMA.width, "attributes", seed=2, data_seed=202),
    "net-labeller": Recipe(
        _OVERLAPPING, 192, SCHEMA.width, "attributes", seed=6, data_seed=303, start="labeller"
    ),
    "net-judge": Recipe(
        _PATCHES, 256, SCHEMA.width, "attributes", seed=7, data_seed=404, start="judge"
    ),
    "identity-contrastive": Recipe(_PATCHES, 192, 64, "person", seed=3, data_seed=101),
    "identity-regression": Recipe(_OVERLAPPING, 192, 14, "identity", seed=4, data_seed=202),
}


@dataclass(frozen=True)
class Schedule:
    """Steps, batch, images and how they are used; part of the card."""

    steps: int
    batch: int
    images: int
    learning_rate: float
    weight_decay: float
    precision: str

    def rate(self, step: int) -> float:
        """Linear warm-up over 5 % of the steps, then a cosine to zero."""
        warm = max(1, self.steps // 20)
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        done = (step - warm) / (self.steps - warm)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def learned(name: str) -> str:
    """What the shipped network of this name learned from, in words."""
    card = shipped(name)
    schedule, data = card["schedule"], card["data"]
    return (
        f"{schedule['steps']:,} steps at {schedule['learning_rate']:g} with {data['training']} "
        f"(seed {data['training_seed']})"
    )


def shipped(name: str) -> dict[str, Any]:
    """The card of the shipped network of this name."""
    card: dict[str, Any] = read_json(WEIGHTS / f"{name}.json")
    return card
