"""Whitened codes: directions found in coordinates of unit covariance, and mapped back."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from latentedit import Moments, Options, Runtime, Split, moments
from latentedit_linear.directions import DirectionEditor, Figures, unit

FLOOR = 1e-6
"""Smallest variance as a share of the largest; with few codes, some variances would be 0."""


@dataclass(frozen=True)
class Whitening:
    """x = Λ^(−1/2) Uᵀ (w − mean), with the covariance Σ = U Λ Uᵀ of the codes.

    Args:
        mean: (D,) of the codes.
        basis: (D, D) U, its columns the principal axes.
        deviations: (D,) Λ^(1/2), the standard deviation along each axis.
    """

    mean: Tensor
    basis: Tensor
    deviations: Tensor

    @classmethod
    def of(cls, found: Moments) -> Whitening:
        """The whitening of codes with these moments."""
        variance, basis = torch.linalg.eigh(found.covariance)
        return cls(found.mean, basis, variance.clamp_min(FLOOR * float(variance[-1])).sqrt())

    def encode(self, codes: Tensor) -> Tensor:
        """Codes (N, D) → x (N, D), float64."""
        return (codes.double() - self.mean) @ self.basis / self.deviations

    def decode_moves(self, moves: Tensor) -> Tensor:
        """Moves (A, D) of x → moves of w, U Λ^(1/2) m."""
        moved: Tensor = moves.double() * self.deviations @ self.basis.T
        return moved


@dataclass(frozen=True)
class WhitenedSplit(Split):
    """A split whose codes are whitened as they are read; `whitening` must be given."""

    whitening: Whitening | None = None

    def rows(self, index: Tensor) -> tuple[Tensor, Tensor]:
        codes, attributes = super().rows(index)
        return self._encoded(codes), attributes

    def _slice(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        codes, attributes = super()._slice(start, stop)
        return self._encoded(codes), attributes

    @property
    def codes(self) -> Tensor:
        return self._encoded(super().codes)

    def _encoded(self, codes: Tensor) -> Tensor:
        return codes if self.whitening is None else self.whitening.encode(codes)


class WhitenOptions(Options):
    """Option of editors whose directions depend on the metric of codes.

    Args:
        whiten: find directions of whitened codes, in which distances are Mahalanobis distances.
            Then a direction is a move along which many faces vary.
    """

    whiten: bool = False


class NormalEditor(DirectionEditor):
    """A direction editor that can work on whitened codes.

        x = Λ^(−1/2) Uᵀ (w − mean),    d ∝ U Λ^(1/2) n    for a direction n of x

    A subclass finds normals for the codes that it is given.
    """

    options: WhitenOptions

    @abstractmethod
    def find_normals(self, data: Split, runtime: Runtime) -> tuple[Tensor, Figures]:
        """(A, D) directions of unit norm or zero, and figures of the search."""

    def find_directions(self, data: Split, runtime: Runtime) -> tuple[Tensor, Figures]:
        if not self.options.whiten:
            return self.find_normals(data, runtime)
        whitening = Whitening.of(moments(data))
        whitened = WhitenedSplit(data.space, data.schema, data.shards, data.mappings, whitening)
        normals, figures = self.find_normals(whitened, runtime)
        return unit(whitening.decode_moves(normals)), figures
