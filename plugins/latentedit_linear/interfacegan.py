"""InterFaceGAN: unit normals of linear boundaries between faces with and without an attribute."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import SVC
from torch import Tensor

from latentedit import InputError, Runtime, Split
from latentedit_linear.boundaries import project, read_boundary
from latentedit_linear.directions import Figures, unit
from latentedit_linear.extremes import extremes
from latentedit_linear.whitening import NormalEditor, WhitenOptions

MAX_ITERATIONS = 50_000
"""Limit of the SVM's solver, about a second on 4,000 faces; figures count how often it is hit."""


class InterFaceGANOptions(WhitenOptions):
    """Options of InterFaceGAN, in addition to `whiten`.

    Args:
        extreme_share: share of all faces at each end on which the SVM is trained.
        validation_share: share of these faces held out to measure a first boundary's accuracy. The
            boundary is then trained on all of them. 0 trains once.
        c: the SVM's C; smaller values give a wider margin.
        conditional: ``"none"``; ``"others"``, to move each attribute parallel to the boundaries of
            all others; or names of attributes, to move parallel to their boundaries.
        boundaries: published ``.npy`` or ``.pt`` files by attribute name, used instead of training;
            not with `whiten`, since they are normals of raw codes. On a bank of W+ codes, a file
            has a direction for each row.
    """

    extreme_share: float = Field(default=0.02, gt=0, le=0.5)
    validation_share: float = Field(default=0.3, ge=0, lt=1)
    c: float = Field(default=1.0, gt=0)
    conditional: Literal["none", "others"] | tuple[str, ...] = "none"
    boundaries: Mapping[str, Path] = {}

    @model_validator(mode="after")
    def _raw_boundaries(self) -> Self:
        if self.whiten and self.boundaries:
            raise ValueError(
                "published boundaries are normals of raw codes, received whiten=true; leave out "
                "`whiten` or `boundaries`"
            )
        return self


class _Boundary(NamedTuple):
    """A (D,) unit normal, its accuracy on held-out faces, and whether its solver finished."""

    normal: Tensor
    accuracy: float
    converged: bool = True


class InterFaceGAN(NormalEditor):
    """Moves along the normals of linear support vector machines.

        n = argmin ½‖n‖² + C Σ_i max(0, 1 − y_i (n·w_i + b)),    d = n / ‖n‖

    with y = −1, +1 for the faces with the lowest and highest values of the attribute. Every column
    of a vector attribute has its own boundary. With `conditional`, each d is projected orthogonal
    to other boundaries before its slope is calibrated; see `project`.

    Shen, Gu, Tang, Zhou: "Interpreting the latent space of GANs for semantic face editing", CVPR
    2020; Shen, Yang, Tang, Zhou: "InterFaceGAN", TPAMI 2020.
    """

    Options: ClassVar[type[InterFaceGANOptions]] = InterFaceGANOptions
    seeded = False  # a seed decides the faces of the stated accuracy alone
    candidates = (
        {"whiten": True, "extreme_share": 0.1, "c": 0.001},
        {"extreme_share": 0.1},
        {"extreme_share": 0.1, "c": 0.01},
        {"extreme_share": 0.3, "c": 0.01},
    )
    options: InterFaceGANOptions

    def find_normals(self, data: Split, runtime: Runtime) -> tuple[Tensor, Figures]:
        directions = torch.zeros(data.schema.width, *data.code_shape, dtype=torch.float64)
        published, figures = self._published(data), {"unconverged": 0.0}
        for k, name in enumerate(data.schema.column_names):
            runtime.progress(k / data.schema.width, f"boundary of {name}")
            if k in published:
                directions[k] = published[k]
            else:
                found = self._train(data, data.attributes[:, k], runtime.rng(k))
                directions[k], figures[f"accuracy/{name}"] = found.normal, found.accuracy
                figures["unconverged"] += not found.converged
        return self._conditional(directions, data), figures

    def _published(self, data: Split) -> dict[int, Tensor]:
        """The published boundaries by column, for the attributes in `boundaries`."""
        found = {}
        for name, path in self.options.boundaries.items():
            boundary, columns = read_boundary(path, data.code_shape[0]), data.schema.columns(name)
            if data.schema[name].size != 1 or data.code_shape != boundary.shape:
                raise InputError(
                    f"{path} holds one boundary in {len(boundary)} dimensions; {name!r} has "
                    f"{data.schema[name].size} columns and codes have shape {data.code_shape}"
                )
            found[columns.start] = boundary
        return found

    def _train(self, data: Split, values: Tensor, rng: torch.Generator) -> _Boundary:
        """The boundary between the extremes of `values` (N,); a zero normal if all are equal."""
        ends = extremes(values, self.options.extreme_share)
        kept = [len(end) - int(self.options.validation_share * len(end)) for end in ends]
        if min(kept) == 0:
            return _Boundary(torch.zeros(*data.code_shape, dtype=torch.float64), 0.5)
        codes, labels = _examples(data, ends)
        machine = self._machine(codes, labels)
        drawn = [_shuffled(end, rng) for end in ends]
        held, truth = _examples(data, [end[n:] for end, n in zip(drawn, kept, strict=True)])
        if len(held) == 0:
            accuracy = machine.score(codes, labels)
        else:
            first = _examples(data, [end[:n] for end, n in zip(drawn, kept, strict=True)])
            accuracy = self._machine(*first).score(held, truth)
        normal = unit(torch.tensor(machine.coef_[0]))
        return _Boundary(normal, float(accuracy), machine.fit_status_ == 0)

    def _machine(self, codes: NDArray[np.float64], labels: NDArray[np.float64]) -> SVC:
        """A trained linear support vector machine."""
        machine = SVC(kernel="linear", C=self.options.c, max_iter=MAX_ITERATIONS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return machine.fit(codes, labels)

    def _conditional(self, directions: Tensor, data: Split) -> Tensor:
        """Each direction projected orthogonal to the boundaries that `conditional` names."""
        if self.options.conditional == "none":
            return directions
        names = data.schema.names
        if self.options.conditional != "others":
            names = self.options.conditional
        width = range(data.schema.width)
        keep_to = [k for name in names for k in width[data.schema.columns(name)]]
        others = [[k for k in keep_to if k != column] for column in width]
        return torch.stack(
            [
                project(directions[column], directions[other]) if other else directions[column]
                for column, other in enumerate(others)
            ]
        )


def _shuffled(index: Tensor, rng: torch.Generator) -> Tensor:
    return index[torch.randperm(len(index), generator=rng)]


def _examples(
    data: Split, ends: Sequence[Tensor]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, D) codes of low and high faces as float64 for the solver, and (n,) labels 0 and 1."""
    codes: NDArray[np.float64] = data.rows(torch.cat([*ends]))[0].double().numpy()
    return codes, np.repeat([0.0, 1.0], [len(end) for end in ends])
