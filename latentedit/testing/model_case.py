"""An estimator, identity encoder or metric, and what the rules show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from latentedit.editing import guard
from latentedit.interfaces.estimators import AttributeEstimator, IdentityEncoder
from latentedit.interfaces.metric import EditMetric, EditsSeen, Seen
from latentedit.registry import Origin, Registry
from latentedit.testing.world import SCHEMA, ToyEstimator, ToyGenerator, ToyIdentity

SHOWN = 8
"""Images that the rules show."""
PIXELS = 64
_COARSE = 8


@dataclass(frozen=True)
class ModelCase:
    """What the rules of estimators and identity encoders try.

    Args:
        registry, kind, name, options: the model; `kind` is ``"estimator"`` or ``"identity"``.
        other: options with which it returns other values; None where none are known.
        size: height and width of the images that it is shown.
    """

    registry: Registry
    kind: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    other: Mapping[str, Any] | None = None
    size: tuple[int, int] = (PIXELS, PIXELS)

    @property
    def origin(self) -> Origin:
        return self.registry.find(self.kind, self.name)[0]

    def new(self, options: Mapping[str, Any] | None = None) -> Any:
        """The model, built anew."""
        given = self.options if options is None else options
        return self.registry.bare(self.kind, self.name, given)

    @cached_property
    def model(self) -> Any:
        return self.new()

    @cached_property
    def images(self) -> Tensor:
        """(SHOWN, 3, H, W) random smooth images in [-1, 1]."""
        rng = torch.Generator().manual_seed(0)
        coarse = torch.rand(SHOWN, 3, _COARSE, _COARSE, generator=rng) * 2 - 1
        return torch.nn.functional.interpolate(coarse, self.size, mode="bilinear")

    def read(self, model: Any, images: Tensor) -> Tensor:
        """(N, A) estimates or (N, E) embeddings."""
        found: AttributeEstimator | IdentityEncoder = model
        with torch.no_grad():
            if isinstance(found, AttributeEstimator):
                return found.estimate(images)
            return found.embed(images)

    @property
    def method(self) -> str:
        return "estimate" if self.kind == "estimator" else "embed"

    @cached_property
    def values(self) -> Tensor:
        return self.read(self.model, self.images)


@dataclass(frozen=True)
class MetricCase:
    """What the rules of a metric try: edits of the linear world.

    Args:
        registry, name, options: the metric.
        other: options with which it measures something else; None where none are known.
    """

    registry: Registry
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    other: Mapping[str, Any] | None = None

    @property
    def origin(self) -> Origin:
        return self.registry.find("metric", self.name)[0]

    def new(self, options: Mapping[str, Any] | None = None) -> EditMetric:
        """The metric, built anew."""
        given = self.options if options is None else options
        made: EditMetric = self.registry.bare("metric", self.name, given)
        return made

    @cached_property
    def metric(self) -> EditMetric:
        return self.new()

    @cached_property
    def edits(self) -> EditsSeen:
        """SHOWN images before and after a move of random size."""
        world = ToyGenerator()
        codes = world.sample(SHOWN, 0)
        moved = codes + 0.3 * world.sample(SHOWN, 1)
        before, after = (_seen(world, part) for part in (codes, moved))
        target = before.attributes + 1
        return EditsSeen(before, after, target, SCHEMA, torch.ones(SCHEMA.width), "age", 0)

    def measure(self, metric: EditMetric, edits: EditsSeen | None = None) -> Tensor:
        """Checked as in every run; raises `PluginFault`."""
        return guard.measure(self.name, metric, self.edits if edits is None else edits)

    @cached_property
    def values(self) -> Tensor:
        return self.measure(self.metric)

    def only(self, row: int) -> EditsSeen:
        """One of the edits, alone."""
        rows = slice(row, row + 1)
        before, after = (
            Seen(
                side.images[rows],
                side.codes[rows],
                side.attributes[rows],
                {name: values[rows] for name, values in side.embeddings.items()},
            )
            for side in (self.edits.before, self.edits.after)
        )
        return replace(self.edits, before=before, after=after, target=self.edits.target[rows])


def _seen(world: ToyGenerator, codes: Tensor) -> Seen:
    images = world.synthesize(codes)
    embedded = {"identity": ToyIdentity().embed(images)}
    return Seen(images, codes, ToyEstimator().estimate(images), embedded)
