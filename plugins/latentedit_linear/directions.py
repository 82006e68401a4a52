"""The base of all linear editors: one direction per attribute column."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from latentedit import ANY_FLAT, Edited, Editor, FitStats, Moments, Runtime, Split, moments

Figures = dict[str, float]

CERTAINTY = 3.0
"""Smallest correlation that is calibrated, in standard errors of 1/√N from zero."""


class DirectionEditor(Editor):
    """Moves a code along unit directions, by distances from slopes fitted on the fit split.

        w' = w + Σ_k (target_k − source_k) / slope_k · d_k

    A subclass finds the directions. If a direction does not predict its column on the fit split,
    its slope is 0, and faces with a requested change of the column are not `ok`.

    Attributes:
        directions: (A, D) d_k, unit norm, or zero where none was found.
        slopes: (A,) natural units per unit of strength, or zero.
    """

    spaces: ClassVar[tuple[str, ...]] = ("w", "z", ANY_FLAT)
    fitted = ("directions", "slopes")
    invertible: ClassVar[bool] = True
    directions: Tensor
    slopes: Tensor

    @abstractmethod
    def find_directions(self, data: Split, runtime: Runtime) -> tuple[Tensor, Figures]:
        """(A, D) directions of unit norm or zero, and figures of the search."""

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        found, figures = self.find_directions(data, runtime)
        self.directions = found.float()
        self.slopes, predicted = calibrate(moments(data), self.directions)
        return FitStats({**figures, **by_column("correlation", predicted, data)})

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        directions, slope = fitted_tensors(self, codes)
        change, calibrated = target - source, slope != 0
        strength = torch.where(calibrated, change / slope, 0.0)
        ok = (calibrated | (change == 0)).all(1)
        return Edited(codes + strength @ directions, ok)


def fitted_tensors(editor: Editor, like: Tensor) -> list[Tensor]:
    """The fitted tensors in the order of `fitted`, on the device and of the dtype of `like`.

    Raises:
        NotFitted: before `fit` or `load_state`.
    """
    return [tensor.to(like) for tensor in editor.state().values()]


def calibrate(found: Moments, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Slopes of the attributes along their own directions; 0 if a slope is not significant.

    Args:
        found: of the fit split.
        directions: (A, D), unit norm or zero.

    Returns:
        (A,) natural units per unit of strength, and (A,) correlation of a_k with w·d_k.
    """
    predicted = found.correlations(directions).diagonal()
    certain = predicted.abs() > CERTAINTY / found.n**0.5
    slopes = torch.where(certain, found.slopes(directions), 0.0)
    return slopes.float(), predicted.float()


def unit(directions: Tensor) -> Tensor:
    """(…, D) at unit norm; zero or infinite vectors become zero."""
    norm = directions.norm(dim=-1, keepdim=True)
    return torch.where((norm > 0) & norm.isfinite(), directions / norm, 0.0)


def by_column(figure: str, values: Tensor, data: Split) -> Figures:
    """(A,) values as figures named ``figure/column``."""
    return {
        f"{figure}/{name}": value
        for name, value in zip(data.schema.column_names, values.tolist(), strict=True)
    }
