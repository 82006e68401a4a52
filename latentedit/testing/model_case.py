"""An estimator, identity encoder or metric, and what the rules show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from latentedit.editing import guard
from latentedit.interfaces.estimators import AttributeEstimator, IdentityEncoder
from latentedit.interfaces.metric import RECORDED, EditMetric, EditsSeen, Seen
from latentedit.registry import Origin, Registry
from latentedit.testing.world import (
    RESOLUTION,
    SCHEMA,
    ToyEstimator,
    ToyGenerator,
    ToyIdentity,
)

SHOWN, ENCODERS = 8, ("identity", "second")
"""Images that the rules show, and the identity encoders that look at them."""
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
        """SHOWN images before and after a move of random size, with numbers for all that a run
        records at the metric's time."""
        world, at = ToyGenerator(), self.metric.at
        codes = world.sample(SHOWN, 0)
        moved = codes + 0.3 * world.sample(SHOWN, 1)
        before, after = (_seen(world, part) for part in (codes, moved))
        sizes = {"N": SHOWN, "A": SCHEMA.width, "E": len(ENCODERS), "S": 3, "O": 2}
        sizes |= dict.fromkeys("HW", RESOLUTION)
        rng = torch.Generator().manual_seed(0)
        recorded = {
            name: torch.rand([sizes[axis] for axis in axes], generator=rng)
            for name, axes in RECORDED[at].items()
        }
        if "may_change" in recorded:
            recorded["may_change"] = recorded["may_change"] > 0.5
        if "strengths" in recorded:
            recorded["strengths"] = recorded["strengths"].cumsum(0)
        return EditsSeen(
            before,
            after,
            before.attributes + 1,
            SCHEMA,
            torch.ones(SCHEMA.width),
            "age",
            seed=0,
            effect=0.8,
            at=at,
            recorded=recorded,
            axes={"recogniser": ENCODERS, "edits": (1, 2)},
        )

    def measure(self, metric: EditMetric, edits: EditsSeen | None = None) -> Tensor:
        """Checked as in every run; raises `PluginFault`."""
        return guard.measure(self.name, metric, self.edits if edits is None else edits)

    @cached_property
    def values(self) -> Tensor:
        return self.measure(self.metric)

    def only(self, row: int) -> EditsSeen:
        """One of the edits, alone."""
        return self.edits.take(torch.tensor([row]))


def _seen(world: ToyGenerator, codes: Tensor) -> Seen:
    images = world.synthesize(codes)
    embedded = {name: ToyIdentity().embed(images) for name in ENCODERS}
    return Seen(images, codes, ToyEstimator().estimate(images), embedded)
