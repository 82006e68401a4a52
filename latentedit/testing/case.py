"""An editor in the linear world, fitted with no more than it declares to need."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from latentedit.data.split import Split
from latentedit.editing import guard
from latentedit.interfaces.editor import Edited, Editor, Runtime
from latentedit.registry import Origin, Registry
from latentedit.testing.world import (
    MIDDLE,
    SCHEMA,
    ToyEstimator,
    ToyGenerator,
    ToyIdentity,
    toy_split,
)

IMAGES, SHOWN, CONSTANT = 1000, 6, 0.3
REQUESTS = {"age": (10.0, (0, 2, 3, 5)), "yaw": (12.0, (1, 4, 5))}
"""By how many years and degrees, towards the middle of the range, which images are to change: some
in one attribute, one in both."""


@dataclass(frozen=True)
class Case:
    """What the rules try.

    Args:
        registry, name, options: the editor.
        seed: of everything that it may draw.
        environment: the variables that were set before it ran.
    """

    registry: Registry
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))

    @property
    def origin(self) -> Origin:
        return self.registry.find(self.registry.editor_kind(self.name), self.name)[0]

    def new(self) -> Editor:
        """The editor, not fitted."""
        return self.registry.editor(self.name, self.options)

    @cached_property
    def space(self) -> str:
        """Where it edits: the first of its spaces."""
        return self.new().spaces[0]

    @cached_property
    def runtime(self) -> Runtime:
        """With only what the editor's `needs` name."""
        needs, found = self.new().needs, self.with_everything
        return replace(
            found,
            generator=found.generator if "generator" in needs else None,
            estimator=found.estimator if "estimator" in needs else None,
            identity=found.identity if "identity" in needs else None,
        )

    @cached_property
    def with_everything(self) -> Runtime:
        return Runtime(
            seed=self.seed,
            generator=ToyGenerator(),
            estimator=ToyEstimator(),
            identity=ToyIdentity(),
        )

    def images(self, n: int, seed: int) -> Split:
        """n images in the editor's space with their exact attributes."""
        images = toy_split(n, seed)
        codes = ToyGenerator().convert(images.codes, "w", self.space)
        return Split(self.space, SCHEMA, ((codes, images.attributes),))

    def fit(self, luck: int = 0, constant: str = "") -> Editor:
        """The editor, fitted where torch's global generator has the seed `luck`, which must not
        matter, and where all images have one label of the attribute `constant`, if it is given."""
        editor, data = self.new(), self.images(IMAGES, self.seed)
        if constant:
            labels = data.attributes.clone()
            labels[:, SCHEMA.columns(constant)] = CONSTANT
            data = Split(self.space, SCHEMA, ((data.codes, labels),))
        with torch.random.fork_rng():
            torch.manual_seed(luck)
            guard.fit(self.name, editor, data, self.runtime)
        return editor

    @cached_property
    def fitted(self) -> Editor:
        return self.fit()

    @cached_property
    def request(self) -> tuple[Tensor, Tensor, Tensor]:
        """Codes (N, \\*shape), their attributes, and what `REQUESTS` makes of them."""
        images = self.images(SHOWN, self.seed + 1)
        source, target = images.attributes, images.attributes.clone()
        for name, (change, index) in REQUESTS.items():
            rows, column = list(index), SCHEMA.columns(name).start
            low = source[rows, column] < MIDDLE[column]
            target[rows, column] += torch.where(low, change, -change)
        return images.codes, source, target

    def edit(self, editor: Editor, codes: Tensor, source: Tensor, target: Tensor) -> Edited:
        """Checked as in every use of the editor; raises `PluginFault`."""
        return guard.edit(self.name, editor, codes, source, target, self.runtime)

    @cached_property
    def edited(self) -> Tensor:
        return self.edit(self.fitted, *self.request).codes
