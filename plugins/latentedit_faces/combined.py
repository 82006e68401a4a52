"""Several estimators combined into one, for instance pose, age and smile."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from latentedit import (
    AttributeEstimator,
    AttributeSchema,
    InputError,
    Options,
    Registry,
    fingerprint,
)
from latentedit_faces.declarations import Declaration

NAME = "faces-combined"


class Part(Declaration):
    """One of the combined estimators.

    Args:
        plugin, options: any installed attribute estimator.
        attributes: its attributes to use, in order; all by default.
    """

    plugin: str
    options: dict[str, Any] = Field(default_factory=dict)
    attributes: tuple[str, ...] = ()


class CombinedOptions(Options):
    """Options of `faces-combined`: the `parts`, whose attributes are concatenated."""

    parts: tuple[Part, ...] = Field(min_length=1)


class CombinedAttributes(AttributeEstimator):
    """Reads each attribute with the estimator that is best at it."""

    Options: ClassVar[type[CombinedOptions]] = CombinedOptions

    def __init__(self, options: CombinedOptions | None = None) -> None:
        if options is None:
            raise InputError(f"{NAME} needs the option parts: estimators with their options")
        registry = Registry.discover()
        self._parts = [
            (part, registry.estimator(part.plugin, part.options)) for part in options.parts
        ]
        schemas = [
            estimator.schema.subset(_chosen(part, estimator)) for part, estimator in self._parts
        ]
        self.schema = AttributeSchema(tuple(a for schema in schemas for a in schema))
        self.fingerprint = fingerprint(
            [[e.fingerprint, list(_chosen(part, e))] for part, e in self._parts]
        )

    def estimate(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] → (N, A), the concatenated columns of the parts."""
        return torch.cat(
            [
                estimator.schema.select(estimator.estimate(images), _chosen(part, estimator))
                for part, estimator in self._parts
            ],
            1,
        )

    def card(self) -> dict[str, Any]:
        """The cards of the parts, and their held-out figures by attribute."""
        held_out: dict[str, Any] = {}
        for part, estimator in self._parts:
            found = estimator.card().get("held_out", {})
            held_out |= {name: found[name] for name in _chosen(part, estimator) if name in found}
        cards = [{"plugin": part.plugin, **estimator.card()} for part, estimator in self._parts]
        return {"parts": cards, "held_out": held_out}


def _chosen(part: Part, estimator: AttributeEstimator) -> tuple[str, ...]:
    return part.attributes or estimator.schema.names
