"""Interfaces of inversion: from images back to codes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from latentedit.errors import InputError
from latentedit.interfaces.editor import Options
from latentedit.interfaces.generator import Generator
from latentedit.interfaces.runtime import Progress, seeded_rng, silent


class PerceptualLoss(ABC):
    """A distance of images, as the squared distance of their features.

        d(x, y) = ‖f(x) − f(y)‖²

    Attributes:
        Options: the pydantic model of its options.
        fingerprint: sha256 of weights and configuration.
    """

    Options: ClassVar[type[Options]] = Options
    fingerprint: str

    def __init__(self, options: Any = None) -> None:
        self.options: Any = self.Options() if options is None else options

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) images, about in [-1, 1] → (N, F); pure and differentiable."""


@dataclass(frozen=True)
class WeightedLoss:
    """A weighted sum of perceptual losses, which is again a squared distance of features.

        f = (√λ₁ f₁, √λ₂ f₂, …)  ⇒  ‖f(x) − f(y)‖² = Σ λ_i d_i(x, y)

    >>> WeightedLoss(())
    Traceback (most recent call last):
    latentedit.errors.InputError: a loss needs at least one term, received none
    """

    terms: tuple[tuple[float, PerceptualLoss], ...]

    def __post_init__(self) -> None:
        if not self.terms:
            raise InputError("a loss needs at least one term, received none")
        for weight, _ in self.terms:
            if not 0 < weight < float("inf"):
                raise InputError(f"the weight of a loss must be above 0, received {weight}")

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) → (N, F)."""
        return torch.cat([weight**0.5 * loss.features(images) for weight, loss in self.terms], 1)


@dataclass(frozen=True)
class InversionRuntime:
    """Models, device and randomness for an inverter.

    Args:
        generator: the generator of the codes.
        loss: the distance to minimise.
        device: ``"cpu"`` or ``"cuda"``; images are passed and codes returned on it.
        seed: the only source of randomness.
        progress: function of a fraction in [0, 1] and a short message.
    """

    generator: Generator
    loss: WeightedLoss
    device: str = "cpu"
    seed: int = 0
    progress: Progress = silent

    def rng(self, stream: int | str = 0) -> torch.Generator:
        """A random generator on the CPU; equal seeds and streams give equal numbers.

        A stream is a number, or a name such as ``"noise"``.
        """
        return seeded_rng(self.seed, stream)


@dataclass(frozen=True)
class Inverted:
    """The result of an inversion.

    Args:
        codes: (N, \\*shape) of `space`.
        space: a space of the generator.
        weights: tensors of the generator that were tuned to these pictures, named as in
            `Generator.tunable`; empty if it was not tuned.
        figures: costs and errors by name.
    """

    codes: Tensor
    space: str
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)


class Inverter(ABC):
    """A method of finding codes whose images look like given pictures.

    Class attributes:
        losses: default perceptual losses: weights by plugin.
    """

    Options: ClassVar[type[Options]] = Options
    losses: ClassVar[Mapping[str, float]] = {}

    def __init__(self, options: Any = None) -> None:
        self.options: Any = self.Options() if options is None else options

    @abstractmethod
    def invert(self, images: Tensor, runtime: InversionRuntime) -> Inverted:
        """Find codes for pictures (N, 3, R, R) in [-1, 1], with R the generator's resolution."""
