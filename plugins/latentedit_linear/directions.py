"""The bases of all linear editors: one direction per attribute column."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from latentedit import ANY_FLAT, Edited, Editor, FitStats, Moments, Runtime, Split, moments

Figures = dict[str, float]


NOTHING_TO_FOLLOW = "what is to change does not vary with the codes of the fit split"
"""Why faces are refused: the attribute has no slope along its direction."""


class LinearEditor(Editor):
    """Moves a code along one unit direction per attribute column, by the requested change.

        w' = w + Σ_k (target_k − source_k) / slope_k · d_k

    A subclass fits directions and slopes. Faces with a requested change of a column whose slope is
    0 are not `ok`.

    Attributes:
        directions: (A, D) d_k, unit norm, or zero where none was found.
        slopes: (A,) natural units per unit of strength, or zero.
    """

    spaces: ClassVar[tuple[str, ...]] = ("w", "z", ANY_FLAT)
    fitted = ("directions", "slopes")
    invertible: ClassVar[bool] = True
    directions: Tensor
    slopes: Tensor

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        directions, slope = fitted_tensors(self, codes)
        change, calibrated = target - source, slope != 0
        strength = torch.where(calibrated, change / slope, 0.0)
        ok = (calibrated | (change == 0)).all(1)
        return Edited(codes + strength @ directions, ok, reason=NOTHING_TO_FOLLOW)

    def take_moves(self, moves: Tensor) -> None:
        """Set directions and slopes from moves (A, D) per unit of each attribute, or zero."""
        self.directions = unit(moves).float()
        length = moves.norm(dim=1)
        self.slopes = torch.where(length > 0, 1 / length, 0.0).float()


class DirectionEditor(LinearEditor):
    """A linear editor whose slopes are calibrated on faces that did not choose the directions.

    A subclass finds the directions, from four fifths of the fit split. Their slopes are measured
    on the other fifth; see `latentedit.Moments.slopes`. If a direction does not predict its column
    there, its slope is 0.
    """

    @abstractmethod
    def find_directions(self, data: Split, runtime: Runtime) -> tuple[Tensor, Figures]:
        """(A, D) directions of unit norm or zero, and figures of the search."""

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        choosing, held_out = data.hold_out()
        found, figures = self.find_directions(choosing, runtime)
        self.directions, measured = found.float(), moments(held_out)
        self.slopes = measured.slopes(self.directions)
        return FitStats({**figures, **predictions(measured, self.directions, data)})


def fitted_tensors(editor: Editor, like: Tensor) -> list[Tensor]:
    """The fitted tensors in the order of `fitted`, on the device and of the dtype of `like`.

    Raises:
        NotFitted: before `fit` or `load_state`.
    """
    return [tensor.to(like) for tensor in editor.state().values()]


def predictions(held_out: Moments, directions: Tensor, data: Split) -> Figures:
    """Correlation of each attribute a_k with w·d_k on held-out faces; directions (A, D)."""
    predicted = held_out.correlations(directions).diagonal()
    return by_column("held_out_correlation", predicted, data)


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
