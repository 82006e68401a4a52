"""A generator, built from its options, and a few of its codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import Tensor

from latentedit.errors import Unsupported
from latentedit.interfaces.generator import Generator
from latentedit.registry import Origin, Registry

SHOWN = 3
"""Codes that the rules look at."""


@dataclass(frozen=True)
class GeneratorCase:
    """What the rules of a generator try.

    Args:
        registry, name, options: the generator.
        other: options of a generator that makes other images; None where none are known.
        seed: of the codes.
    """

    registry: Registry
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    other: Mapping[str, Any] | None = None
    seed: int = 0

    @property
    def origin(self) -> Origin:
        return self.registry.find("generator", self.name)[0]

    def new(self) -> Generator:
        """The generator, built anew."""
        made: Generator = self.registry.bare("generator", self.name, self.options)
        return made

    @cached_property
    def generator(self) -> Generator:
        return self.new()

    @cached_property
    def codes(self) -> dict[str, Tensor]:
        """(SHOWN, \\*shape) codes of every space that can be sampled."""
        found = {}
        for space in self.generator.spaces:
            try:
                found[space] = self.generator.sample(SHOWN, self.seed, space)
            except Unsupported:
                continue
        return found

    @cached_property
    def images(self) -> dict[str, Tensor]:
        """(SHOWN, 3, R, R), what is made of `codes`, by space."""
        return {space: self.synthesize(codes, space) for space, codes in self.codes.items()}

    def synthesize(self, codes: Tensor, space: str) -> Tensor:
        return self.generator.synthesize(codes, space).detach()
