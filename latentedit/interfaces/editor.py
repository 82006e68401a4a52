"""The editor interface: the one thing that a new method has to write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from latentedit.data.bank import Split
from latentedit.errors import InputError, NotFitted
from latentedit.interfaces.estimators import AttributeEstimator, IdentityEncoder
from latentedit.interfaces.generator import Generator
from latentedit.interfaces.runtime import Progress, seeded_rng, silent

Need = Literal["attributes", "generator", "estimator", "identity"]


class Options(BaseModel):
    """Base of every plugin's options: unknown keys are refused, values are checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Runtime:
    """Where and how to compute.

    Args:
        device: ``"cpu"`` or ``"cuda"``; codes and attributes arrive on it and leave on it.
        seed: the only source of randomness; derive generators with `rng`.
        progress: call with a fraction in [0, 1] and a short message.
        generator, estimator, identity: present where the editor's `needs` name them.
        checkpoint: a folder where a long fit may leave its state, to go on from when it is
            interrupted.
    """

    device: str = "cpu"
    seed: int = 0
    progress: Progress = silent
    generator: Generator | None = None
    estimator: AttributeEstimator | None = None
    identity: IdentityEncoder | None = None
    checkpoint: Path | None = None

    def rng(self, stream: int = 0) -> torch.Generator:
        """A CPU random generator; equal seeds and streams give equal numbers."""
        return seeded_rng(self.seed, stream)


@dataclass(frozen=True)
class FitStats:
    """What fitting cost and reached: `figures` by name, for reports."""

    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Edited:
    """The outcome of one batch of edits.

    Args:
        codes: (N, \\*shape), same shape, dtype and device as the input.
        ok: (N,) False where the editor could not serve the request; None means all served.
        nfe: function evaluations spent, for methods that integrate or optimise.
    """

    codes: Tensor
    ok: Tensor | None = None
    nfe: int = 0


class Editor(ABC):
    """A method of editing codes.

    A leaf class sets the class attributes, learns in `fit`, moves codes in `edit`, and names in
    `fitted` the tensors that `fit` leaves behind. Everything else (saving, layer subsets, W+
    rows, sequential edits, checks, benchmarks) is the core's work.

    Class attributes:
        Options: the pydantic model of the editor's options; their docstrings are its manual.
        spaces: the spaces it can be fitted in, preferred first. An editor of ``"w"`` is given W+
            codes row by row.
        needs: what `fit` and `edit` find in the runtime, beside codes; ``"attributes"`` means
            that `fit` reads ``data.attributes``.
        fitted: names of the instance attributes (tensors) that make up the fitted state.
        invertible: editing there and back returns the code.
        absolute: `target` alone decides where an attribute ends, not `target − source`.
        samplable: has ``sample(attributes, runtime) -> codes``.
        candidates: options worth trying on a validation split beside the defaults, each as far as
            it differs from them, the most promising first.
    """

    Options: ClassVar[type[Options]] = Options
    spaces: ClassVar[tuple[str, ...]] = ("w",)
    needs: ClassVar[frozenset[Need]] = frozenset({"attributes"})
    fitted: ClassVar[tuple[str, ...]] = ()
    invertible: ClassVar[bool] = False
    absolute: ClassVar[bool] = False
    samplable: ClassVar[bool] = False
    candidates: ClassVar[tuple[Mapping[str, Any], ...]] = ()

    def __init__(self, options: BaseModel | None = None) -> None:
        self.options: Any = self.Options() if options is None else options

    @abstractmethod
    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        """Learn from the codes (N, \\*shape) and attributes (N, A) of `data`."""

    @abstractmethod
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        """Move `codes` so that their images change from `source` to `target`.

        Args:
            codes: (N, \\*shape).
            source: (N, A) current attribute values, natural units.
            target: (N, A) desired values; columns equal to `source` are to stay as they are. The
                benchmark asks for more than the attribute's range when it looks for the strength
                that reaches an effect.
        """

    def state(self) -> dict[str, Tensor]:
        """The fitted tensors by name; editors with networks return their parameters."""
        missing = [name for name in self.fitted if not hasattr(self, name)]
        if missing:
            raise NotFitted(
                f"{type(self).__name__} is not fitted (it has no {missing[0]}); call fit first"
            )
        return {name: getattr(self, name) for name in self.fitted}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take up what `state` returned."""
        if missing := set(self.fitted) - set(state):
            raise InputError(
                f"{type(self).__name__} misses {', '.join(sorted(missing))} in {list(state)}"
            )
        for name in self.fitted:
            setattr(self, name, state[name])
