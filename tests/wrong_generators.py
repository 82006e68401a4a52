"""Generators that each break one rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor
from toy import ROWS, SCHEMA, ToyGenerator, ToyOptions

from latentedit import PluginSpec, Registry, Truth, fingerprint, hookimpl


class Right(ToyGenerator):
    """Keeps every rule."""


class CallsStylesSomethingElse(ToyGenerator):
    has_styles: ClassVar[bool] = False


class LivesNowhere(ToyGenerator):
    home_space: ClassVar[str] = "x"


class TakesStylesForRows(ToyGenerator):
    row_spaces: ClassVar[Mapping[str, str]] = {"w+": "w", "s": "w"}


class DrawsFromTheWorld(ToyGenerator):
    def sample(self, n: int, seed: int, space: str = "w", truncation_psi: float = 1.0) -> Tensor:
        return self.convert(torch.randn(n, 24), "z", space)


class DrawsOneFace(ToyGenerator):
    def sample(self, n: int, seed: int, space: str = "w", truncation_psi: float = 1.0) -> Tensor:
        return super().sample(n, 0, space, truncation_psi)


class CountsInDoubles(ToyGenerator):
    def sample(self, n: int, seed: int, space: str = "w", truncation_psi: float = 1.0) -> Tensor:
        return super().sample(n, seed, space, truncation_psi).double()


class Overexposes(ToyGenerator):
    def synthesize(self, codes: Tensor, space: str = "w") -> Tensor:
        return 30 * super().synthesize(codes, space)


class DrawsGrey(ToyGenerator):
    def synthesize(self, codes: Tensor, space: str = "w") -> Tensor:
        return super().synthesize(codes, space)[:, :1]


class ConvertsToOneRow(ToyGenerator):
    def convert(self, codes: Tensor, source: str, target: str) -> Tensor:
        found = super().convert(codes, source, target)
        return found[:, :1] if (source, target) == ("w", "w+") else found


class StraysOnTheWay(ToyGenerator):
    """From z to W+ it makes another face than by way of W."""

    def convert(self, codes: Tensor, source: str, target: str) -> Tensor:
        found = super().convert(codes, source, target)
        return found + 1 if (source, target) == ("z", "w+") else found


class ShowsAnotherFaceInRows(ToyGenerator):
    def synthesize(self, codes: Tensor, space: str = "w") -> Tensor:
        return super().synthesize(codes + (space == "w+"), space)


class RefusesUntyped(ToyGenerator):
    def convert(self, codes: Tensor, source: str, target: str) -> Tensor:
        if target not in self.spaces:
            raise KeyError(target)
        return super().convert(codes, source, target)


class TakesAnyShape(ToyGenerator):
    def convert(self, codes: Tensor, source: str, target: str) -> Tensor:
        return codes if source == target else super().convert(codes, source, target)


class ChangesItsCodes(ToyGenerator):
    def synthesize(self, codes: Tensor, space: str = "w") -> Tensor:
        images = super().synthesize(codes, space)
        with torch.no_grad():
            codes.mul_(0.999999)
        return images


class AddsNoise(ToyGenerator):
    def synthesize(self, codes: Tensor, space: str = "w") -> Tensor:
        images = super().synthesize(codes, space)
        return images + 1e-6 * torch.randn(images.shape)


class TakesStatistics(ToyGenerator):
    def synthesize(self, codes: Tensor, space: str = "w") -> Tensor:
        images = super().synthesize(codes, space)
        return images - images.mean(0) / 4 if len(codes) else images


class NamesEachInstance(ToyGenerator):
    made = 0

    def __init__(self, options: ToyOptions | None = None) -> None:
        super().__init__(options)
        type(self).made += 1
        self.fingerprint = fingerprint({"instance": self.made})


class NamesAllAlike(ToyGenerator):
    def __init__(self, options: ToyOptions | None = None) -> None:
        super().__init__(options)
        self.fingerprint = fingerprint({"world": "always"})


class StopsGradients(ToyGenerator):
    @torch.no_grad()
    def synthesize(self, codes: Tensor, space: str = "w") -> Tensor:
        return super().synthesize(codes, space)


class KnowsHalfTheTruth(ToyGenerator):
    def truth(self, codes: Tensor, space: str = "w") -> Truth:
        known = super().truth(codes, space)
        return Truth(known.attributes[:, :2], known.identity, SCHEMA)


class KnowsAnotherTruthInRows(ToyGenerator):
    def truth(self, codes: Tensor, space: str = "w") -> Truth:
        known = super().truth(codes, space)
        return Truth(known.attributes + 9 * (space == "w+"), known.identity, SCHEMA)


class KeepsCounterfactualsToItself(ToyGenerator):
    has_counterfactuals: ClassVar[bool] = False


class ChangesMoreThanAsked(ToyGenerator):
    def counterfactual(self, codes: Tensor, attributes: Tensor, space: str = "w") -> Tensor:
        if torch.equal(attributes, self.truth(codes, space).attributes):
            return codes
        return super().counterfactual(codes, attributes, space) + 0.3


class MixesUpRows(ToyGenerator):
    def style_rows(self) -> Tensor:
        return (super().style_rows() + 1) % ROWS


WRONG = {
    "calls-styles-something-else": (CallsStylesSomethingElse, "says what it has", "has_styles"),
    "lives-nowhere": (LivesNowhere, "says what it has", "home_space is 'x'"),
    "takes-styles-for-rows": (TakesStylesForRows, "says what it has", "codes of s are rows"),
    "draws-from-the-world": (DrawsFromTheWorld, "draws codes by seed", "two results with one seed"),
    "draws-one-face": (DrawsOneFace, "draws codes by seed", "the same codes with two seeds"),
    "counts-in-doubles": (CountsInDoubles, "draws codes by seed", "torch.float64"),
    "overexposes": (Overexposes, "makes images", "clip images to [-1, 1]"),
    "draws-grey": (DrawsGrey, "makes images", "(3, 1, 8, 8)"),
    "converts-to-one-row": (ConvertsToOneRow, "converts to codes of the other space", "(3, 1, 24)"),
    "strays-on-the-way": (StraysOnTheWay, "converts to codes of the other space", "z → w → w+"),
    "shows-another-face-in-rows": (
        ShowsAnotherFaceInRows,
        "makes one image of a code in every space",
        "the same image in w+",
    ),
    "refuses-untyped": (RefusesUntyped, "refuses what it does not know", "KeyError"),
    "takes-any-shape": (TakesAnyShape, "refuses what it does not know", "raised nothing"),
    "changes-its-codes": (ChangesItsCodes, "changes nothing around it", "in place"),
    "adds-noise": (AddsNoise, "changes nothing around it", "torch's global random state"),
    "takes-statistics": (TakesStatistics, "treats codes one by one", "statistics over the batch"),
    "names-each-instance": (NamesEachInstance, "is named by its fingerprint", "two fingerprints"),
    "names-all-alike": (NamesAllAlike, "is named by its fingerprint", "the same fingerprint"),
    "stops-gradients": (StopsGradients, "lets gradients through", "torch.no_grad()"),
    "knows-half-the-truth": (KnowsHalfTheTruth, "knows the truth if it says so", "(3, 2)"),
    "knows-another-truth-in-rows": (
        KnowsAnotherTruthInRows,
        "knows the truth if it says so",
        "than of the same image in z",
    ),
    "keeps-counterfactuals-to-itself": (
        KeepsCounterfactualsToItself,
        "changes one attribute if it says so",
        "declare True exactly where",
    ),
    "changes-more-than-asked": (
        ChangesMoreThanAsked,
        "changes one attribute if it says so",
        "and nothing else",
    ),
    "mixes-up-rows": (MixesUpRows, "assigns styles to rows if it has any", "other rows"),
}
"""By name: the class, the rule that it breaks, and part of what is said of it."""


class _Plugins:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        named = {"right": Right, **{name: row[0] for name, row in WRONG.items()}}
        return [
            PluginSpec("generator", name, f"wrong_generators:{found.__name__}", "")
            for name, found in named.items()
        ]


def registry() -> Registry:
    found = Registry()
    found.add(_Plugins(), "wrong")
    return found
