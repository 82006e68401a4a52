"""Estimators and identity encoders that each break one rule."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from toy import SCHEMA

from latentedit import (
    AttributeEstimator,
    Described,
    IdentityEncoder,
    Options,
    PluginSpec,
    Registry,
    fingerprint,
    hookimpl,
)


class GainOptions(Options):
    """Options of the models.

    Args:
        gain: a factor of brightness.
    """

    gain: float = Field(default=1.0, gt=0)


class Reads(AttributeEstimator):
    """Keeps every rule: brightness of six parts of an image."""

    Options: ClassVar[type[GainOptions]] = GainOptions
    schema: Any = SCHEMA

    def __init__(self, options: GainOptions | None = None) -> None:
        self.options = GainOptions() if options is None else options
        self.fingerprint = fingerprint({"reads": self.options.gain})

    def estimate(self, images: Tensor) -> Tensor:
        parts = torch.nn.functional.adaptive_avg_pool2d(images.mean(1), (2, 3))
        return self.options.gain * parts.flatten(1)


class HasNoSchema(Reads):
    schema: Any = None


class ReadsOneColumn(Reads):
    def estimate(self, images: Tensor) -> Tensor:
        return super().estimate(images)[:, :1]


class ReadsDoubles(Reads):
    def estimate(self, images: Tensor) -> Tensor:
        return super().estimate(images).double()


class DividesByZero(Reads):
    def estimate(self, images: Tensor) -> Tensor:
        return super().estimate(images) / 0


class FeelsNothing(Reads):
    def features(self, images: Tensor) -> Tensor:
        return super().features(images) * float("nan")


class DescribesOthers(Reads):
    def described(self, images: Tensor) -> Described:
        return super().described(images.flip(0))


class Brightens(Reads):
    def estimate(self, images: Tensor) -> Tensor:
        found = super().estimate(images)
        images.add_(1e-6)
        return found


class Guesses(Reads):
    def estimate(self, images: Tensor) -> Tensor:
        return super().estimate(images) + 1e-7 * torch.rand(1)


class Normalises(Reads):
    def estimate(self, images: Tensor) -> Tensor:
        found = super().estimate(images)
        return found - found.mean(0)


class ForgetsItsGain(Reads):
    def __init__(self, options: GainOptions | None = None) -> None:
        super().__init__(options)
        self.fingerprint = fingerprint({"reads": 0})


class Recognises(IdentityEncoder):
    """Keeps every rule."""

    Options: ClassVar[type[GainOptions]] = GainOptions
    same_person_threshold: Any = 0.5

    def __init__(self, options: GainOptions | None = None) -> None:
        self.options = GainOptions() if options is None else options
        self.fingerprint = fingerprint({"recognises": self.options.gain})

    def vectors(self, images: Tensor) -> Tensor:
        parts = torch.nn.functional.adaptive_avg_pool2d(images.mean(1), (2, 3)).flatten(1)
        return (self.options.gain * parts + 0.1).tanh()

    def embed(self, images: Tensor) -> Tensor:
        return torch.nn.functional.normalize(self.vectors(images), dim=1)


class TrustsEveryone(Recognises):
    same_person_threshold: Any = 7


class Flattens(Recognises):
    def embed(self, images: Tensor) -> Tensor:
        return super().embed(images).flatten()


class KeepsLengths(Recognises):
    def embed(self, images: Tensor) -> Tensor:
        return self.vectors(images)


class SeesOnePerson(Recognises):
    def embed(self, images: Tensor) -> Tensor:
        return super().embed(torch.ones_like(images))


class DrawsOnTheSide(Recognises):
    def embed(self, images: Tensor) -> Tensor:
        torch.rand(1)
        return super().embed(images)


class Centres(Recognises):
    def vectors(self, images: Tensor) -> Tensor:
        found = super().vectors(images)
        return found - found.mean(0) / 2


class ForgetsItself(Recognises):
    made = 0

    def __init__(self, options: GainOptions | None = None) -> None:
        super().__init__(options)
        type(self).made += 1
        self.fingerprint = fingerprint({"instance": self.made})


ESTIMATORS: dict[str, tuple[type[Reads], str, str]] = {
    "has-no-schema": (HasNoSchema, "says what it reads", "AttributeSchema"),
    "reads-one-column": (ReadsOneColumn, "reads images", "(8, 1)"),
    "reads-doubles": (ReadsDoubles, "reads images", "torch.float64"),
    "divides-by-zero": (DividesByZero, "reads images", "infinity"),
    "feels-nothing": (FeelsNothing, "describes images by features", "features returned NaN"),
    "describes-others": (DescribesOthers, "describes images by features", "other numbers than"),
    "brightens": (Brightens, "changes nothing around it", "in place"),
    "guesses": (Guesses, "changes nothing around it", "global random state"),
    "normalises": (Normalises, "treats images one by one", "statistics over the batch"),
    "forgets-its-gain": (ForgetsItsGain, "is named by its fingerprint", "same fingerprint"),
}
"""By name: the class, the rule that it breaks, and part of what is said of it."""

ENCODERS: dict[str, tuple[type[Recognises], str, str]] = {
    "trusts-everyone": (TrustsEveryone, "says who counts as one person", "is 7"),
    "flattens": (Flattens, "reads images", "(48,)"),
    "keeps-lengths": (KeepsLengths, "returns unit vectors", "norms from"),
    "sees-one-person": (SeesOnePerson, "returns unit vectors", "one vector"),
    "draws-on-the-side": (DrawsOnTheSide, "changes nothing around it", "random state"),
    "centres": (Centres, "treats images one by one", "statistics over the batch"),
    "forgets-itself": (ForgetsItself, "is named by its fingerprint", "two fingerprints"),
}


class _Plugins:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        estimators = {"reads": Reads} | {name: row[0] for name, row in ESTIMATORS.items()}
        encoders = {"recognises": Recognises} | {name: row[0] for name, row in ENCODERS.items()}
        return [
            *(
                PluginSpec("estimator", name, f"wrong_models:{found.__name__}", "")
                for name, found in estimators.items()
            ),
            *(
                PluginSpec("identity", name, f"wrong_models:{found.__name__}", "")
                for name, found in encoders.items()
            ),
        ]


def registry() -> Registry:
    found = Registry()
    found.add(_Plugins(), "wrong")
    return found
