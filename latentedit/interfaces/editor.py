"""The editor interface, which a new editing method implements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from latentedit.data.split import Split
from latentedit.errors import InputError, NotFitted
from latentedit.files.tables import html_table
from latentedit.interfaces.estimators import AttributeEstimator, IdentityEncoder
from latentedit.interfaces.generator import Generator
from latentedit.interfaces.runtime import Log, Progress, seeded_rng, silent, unlogged

Need = Literal["attributes", "generator", "counterfactual", "estimator", "identity"]

ANY_FLAT = "any flat space"
"""Among an editor's `spaces`: it edits vectors of any space.

The core flattens codes of another shape for it, and gives its results their shape back.
"""


class Options(BaseModel):
    """Base of every plugin's options. Unknown keys are rejected, and values are checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Runtime:
    """Device, randomness and models for an editor.

    Args:
        device: ``"cpu"`` or ``"cuda"``; codes and attributes are passed and returned on it.
        seed: the only source of randomness; derive random generators with `rng`.
        progress: function of a fraction in [0, 1] and a short message.
        log: function of a step and figures by name, such as a loss, for trackers.
        generator, estimator, identity: set if the editor's `needs` name them, otherwise None.
        checkpoint: a folder in which a long fit may save its state, to resume after an
            interruption. It may not exist yet. The core chooses it by everything that decides the
            fit (bank, options, seed, code), so what lies there is always of the same fit. The core
            removes it once the editor is saved.
    """

    device: str = "cpu"
    seed: int = 0
    progress: Progress = silent
    log: Log = unlogged
    generator: Generator | None = None
    estimator: AttributeEstimator | None = None
    identity: IdentityEncoder | None = None
    checkpoint: Path | None = None

    def rng(self, stream: int | str = 0) -> torch.Generator:
        """A random generator on the CPU; equal seeds and streams give equal numbers.

        A stream is a number, or a name such as ``"noise"``.
        """
        return seeded_rng(self.seed, stream)


@dataclass(frozen=True)
class FitStats:
    """Figures of a fit by name, such as costs and errors, for reports."""

    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class Edited:
    """The result of one batch of edits.

    Args:
        codes: (N, \\*shape), same shape, dtype and device as the input.
        ok: (N,) False for images that could not be edited as requested; None if all were.
        nfe: number of function evaluations, for methods that integrate or optimise.
        reason: one line, why the images that are not ok could not be edited.
    """

    codes: Tensor
    ok: Tensor | None = None
    nfe: int = 0
    reason: str = ""

    def __repr__(self) -> str:
        refused = int((~self.served).sum())
        said = f", {refused} refused: {self.reason}" if refused else ""
        return f"<Edited: codes {tuple(self.codes.shape)}{said}>"

    def _repr_html_(self) -> str:
        return html_table([], [("edited", int(self.served.sum())), ("of", len(self.codes))])

    @property
    def served(self) -> Tensor:
        """(N,) True for images that were edited as requested."""
        if self.ok is not None:
            return self.ok
        return torch.ones(len(self.codes), dtype=torch.bool, device=self.codes.device)


class Editor(ABC):
    """A method of editing codes.

    A subclass sets the class attributes and implements `fit`, which learns, and `edit`, which moves
    codes. `fitted` names the tensors that `fit` sets. The core does everything else: saving, layer
    subsets, W+ rows, sequential edits, checks and benchmarks.

    Class attributes:
        Options: the pydantic model of the editor's options; its docstring documents them.
        spaces: the spaces in which it can be fitted, preferred first. An editor of ``"w"`` gets W+
            codes row by row. With `ANY_FLAT` among them it takes every space, as vectors.
        needs: the models that `fit` and `edit` use from the runtime; ``"attributes"`` means that
            `fit` reads ``data.attributes``, ``"counterfactual"`` that the generator must have
            counterfactuals.
        fitted: names of the instance attributes (tensors) that form the fitted state.
        invertible: an edit and its undoing return the original code.
        absolute: the result depends on `target` alone, not on `target − source`.
        bound: for a control, ``"floor"`` where no useful editor is worse, ``"ceiling"`` where none
            can be better. Reports give every metric as a share of the way from floor to ceiling.
        seeded: another seed gives other edits. Where False, a benchmark computes the first seed's
            cells and copies them for the others.
        samplable: it has a method ``sample(attributes, runtime) -> codes``.
        candidates: options to try on a validation split besides the defaults, the most promising
            first. Each entry has only the options that differ from the defaults.
    """

    Options: ClassVar[type[Options]] = Options
    spaces: ClassVar[tuple[str, ...]] = ("w",)
    needs: ClassVar[frozenset[Need]] = frozenset({"attributes"})
    fitted: ClassVar[tuple[str, ...]] = ()
    invertible: ClassVar[bool] = False
    absolute: ClassVar[bool] = False
    seeded: ClassVar[bool] = True
    samplable: ClassVar[bool] = False
    bound: ClassVar[Literal["floor", "ceiling"] | None] = None
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
            target: (N, A) desired values; columns equal to `source` should not change. Values may
                be outside the attribute's range: the benchmark searches for the strength that
                reaches an effect.
        """

    def state(self) -> dict[str, Tensor]:
        """The fitted tensors by name; editors with networks return their parameters.

        Raises:
            NotFitted: before `fit` or `load_state`.
        """
        missing = [name for name in self.fitted if not hasattr(self, name)]
        if missing:
            raise NotFitted(
                f"{type(self).__name__} is not fitted (it has no {missing[0]}); call fit first"
            )
        return {name: getattr(self, name) for name in self.fitted}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore the result of `state`.

        Raises:
            InputError: a tensor that `fitted` names is missing.
        """
        if missing := set(self.fitted) - set(state):
            raise InputError(
                f"the state of a {type(self).__name__} needs {', '.join(sorted(missing))}, "
                f"received {list(state)}"
            )
        for name in self.fitted:
            setattr(self, name, state[name])
