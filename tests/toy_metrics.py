"""Metrics with a closed form, and some that break a rule."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from latentedit import (
    EditMetric,
    EditsSeen,
    Options,
    PluginSpec,
    Registry,
    fingerprint,
    hookimpl,
)


class MoveOptions(Options):
    """Options of the move.

    Args:
        scale: a factor.
    """

    scale: float = Field(default=1.0, gt=0)


class Move(EditMetric):
    """How far a code moved: scale · |w' − w|."""

    Options: ClassVar[type[MoveOptions]] = MoveOptions
    unit: ClassVar[str] = "code units"
    higher_is_better: ClassVar[bool] = False
    formula: ClassVar[str] = "scale · |w' − w|"
    smallest_difference: ClassVar[float] = 0.1

    def __init__(self, options: MoveOptions | None = None) -> None:
        super().__init__(options)
        self.fingerprint = fingerprint({"metric": "move", "scale": self.options.scale})

    def measure(self, edits: EditsSeen) -> Tensor:
        moved = (edits.after.codes - edits.before.codes).flatten(1).norm(dim=1)
        return self.options.scale * moved


class Spread(Move):
    """The standard deviation of the edited attribute over the set."""

    of: ClassVar[Literal["image", "set"]] = "set"
    higher_is_better: ClassVar[bool] = True
    formula: ClassVar[str] = "standard deviation of the edited attribute"

    def measure(self, edits: EditsSeen) -> Tensor:
        column = edits.schema.columns(edits.attribute).start
        return edits.after.attributes[:, column].std()


class FromImages(Move):
    """Mean |x' − x|."""

    def measure(self, edits: EditsSeen) -> Tensor:
        return (edits.after.images - edits.before.images).abs().flatten(1).mean(1)


class Raises(Move):
    def measure(self, edits: EditsSeen) -> Tensor:
        raise ValueError("no luck")


class Mutates(Move):
    def measure(self, edits: EditsSeen) -> Tensor:
        edits.after.codes.add_(1)
        return super().measure(edits)


class Sums(Move):
    """One number where one an image is declared."""

    def measure(self, edits: EditsSeen) -> Tensor:
        return super().measure(edits).sum()


class Divides(Move):
    def measure(self, edits: EditsSeen) -> Tensor:
        return super().measure(edits) / 0


class Lists(Move):
    def measure(self, edits: EditsSeen) -> Tensor:
        return super().measure(edits).tolist()  # type: ignore[return-value]


class Draws(Move):
    def measure(self, edits: EditsSeen) -> Tensor:
        return super().measure(edits) + torch.rand(1)


class ComparesTheBatch(Move):
    def measure(self, edits: EditsSeen) -> Tensor:
        found = super().measure(edits)
        return found - found.mean()


class ForgetsItsOptions(Move):
    def __init__(self, options: MoveOptions | None = None) -> None:
        super().__init__(options)
        self.fingerprint = fingerprint({"metric": "move"})


class SaysNothing(Move):
    formula: ClassVar[str] = ""


class Unsure(Move):
    smallest_difference: ClassVar[float] = -1.0


class Misspells(Move):
    needs: ClassVar[frozenset[str]] = frozenset({"similarty"})


class HidesItsNeeds(FromImages):
    needs: ClassVar[frozenset[str]] = frozenset({"codes"})


class Likeness(Move):
    """E(x) · E(x') of every identity encoder, from embeddings."""

    higher_is_better: ClassVar[bool] = True
    formula: ClassVar[str] = "E(x) · E(x')"
    needs: ClassVar[frozenset[str]] = frozenset({"embeddings"})
    by = ("recogniser",)

    def measure(self, edits: EditsSeen) -> Tensor:
        sides = edits.before.embeddings, edits.after.embeddings
        return torch.stack([(sides[0][name] * sides[1][name]).sum(1) for name in sides[0]])


class RecordedLikeness(Likeness):
    """The same, as the run recorded it."""

    needs: ClassVar[frozenset[str]] = frozenset({"similarity"})

    def measure(self, edits: EditsSeen) -> Tensor:
        return edits.recorded["similarity"]


class Outside(Move):
    """Mean |x' − x| over the pixels that may not change."""

    needs: ClassVar[frozenset[str]] = frozenset({"images", "may_change"})

    def measure(self, edits: EditsSeen) -> Tensor:
        change = (edits.after.images - edits.before.images).abs().mean(1)
        fixed = ~edits.recorded["may_change"]
        return (change * fixed).flatten(1).sum(1) / fixed.flatten(1).sum(1)


class FromAttributes(Move):
    """|A(x') − A(x)| of the edited attribute; it only describes."""

    higher_is_better: ClassVar[bool | None] = None
    smallest_difference: ClassVar[float | None] = None
    needs: ClassVar[frozenset[str]] = frozenset({"attributes"})

    def measure(self, edits: EditsSeen) -> Tensor:
        return (edits.after.attributes - edits.before.attributes)[:, edits.column].abs()


RIGHT = {
    "move": Move,
    "spread": Spread,
    "from-images": FromImages,
    "likeness": Likeness,
    "recorded-likeness": RecordedLikeness,
    "from-attributes": FromAttributes,
    "outside": Outside,
}
WRONG: dict[str, tuple[type[EditMetric], str, str]] = {
    "says-nothing": (SaysNothing, "says what it measures", "formula"),
    "unsure": (Unsure, "says what it measures", "smallest_difference"),
    "raises": (Raises, "measures edits", "no luck"),
    "mutates": (Mutates, "measures edits", "in place"),
    "sums": (Sums, "measures edits", "of shape (8,)"),
    "divides": (Divides, "measures edits", "infinity"),
    "lists": (Lists, "measures edits", "list, not Tensor"),
    "draws": (Draws, "measures edits", "global random state"),
    "compares-the-batch": (ComparesTheBatch, "measures images one by one", "batch"),
    "misspells": (Misspells, "measures edits", "'similarty', which no run has"),
    "hides-its-needs": (HidesItsNeeds, "measures edits", "declare in needs all that it reads"),
    "forgets-its-options": (ForgetsItsOptions, "is named by its fingerprint", "same fingerprint"),
}
"""By name: the class, the rule that it breaks, and part of what is said of it."""


class _Plugins:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        found = RIGHT | {name: row[0] for name, row in WRONG.items()}
        return [
            PluginSpec("metric", name, f"toy_metrics:{metric.__name__}", "a metric of a test")
            for name, metric in found.items()
        ]


toy_metric_plugins = _Plugins()


def metric_registry() -> Registry:
    found = Registry()
    found.add(toy_metric_plugins, "toy-metrics", version="1")
    return found
