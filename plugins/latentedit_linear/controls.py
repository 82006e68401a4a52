"""Controls: reference editors that any useful editor must beat."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from latentedit import Edited, Editor, FitStats, Options, Runtime, Split
from latentedit_linear.directions import fitted_tensors, unit
from latentedit_linear.regression import Regression


class NoEdit(Editor):
    """w' = w. Keeps every identity and reaches nothing."""

    spaces = ("w", "z", "w+", "s")
    needs = frozenset()

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        return FitStats()

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited(codes.clone())


class RandomDirection(Regression):
    """Moves as far as the regression direction would, along a random direction per attribute.

        w' = w + Σ_k (target_k − source_k) / slope_k · u_k,    u_k uniform on the sphere, by seed

    with the slopes of `Regression`: what a change of this size costs without aim.
    """

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        stats = super().fit(data, runtime)
        self.directions = unit(torch.randn(self.directions.shape, generator=runtime.rng()))
        return stats


class _OtherFace(Editor):
    """Replaces a face by one of the fit split that has what was asked for.

    Faces for which nothing is to change stay as they are.

    Attributes:
        faces: (M, \\*shape) codes of the fit split.
        labels: (M, A) their attributes, natural units.
    """

    spaces = ("w", "z", "w+", "s")
    fitted = ("faces", "labels")
    absolute: ClassVar[bool] = True
    faces: Tensor
    labels: Tensor

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        self.faces, self.labels = data.codes.clone(), data.attributes.clone()
        return FitStats()

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        faces, labels = fitted_tensors(self, codes)
        changed = target != source
        index = self.choose(gaps(labels, target, changed), codes, source, runtime)
        moves = changed.any(1).view(-1, *[1] * (codes.ndim - 1))
        return Edited(torch.where(moves, faces[index], codes))

    @abstractmethod
    def choose(self, gap: Tensor, codes: Tensor, source: Tensor, runtime: Runtime) -> Tensor:
        """(N,) which of the M faces to take, given the (N, M) gaps between labels and targets."""


class ResampleOptions(Options):
    """Options of resampling.

    Args:
        neighbours: how many faces with the nearest labels to choose from.
    """

    neighbours: int = Field(default=50, ge=1)


class Resample(_OtherFace):
    """Another face, drawn among the `neighbours` whose changed attributes are nearest the target.

    Reaches the target and keeps nothing of the person. The draw is a function of the runtime's
    seed and of the face's source attributes, so that neither the batch nor the strength matters.
    """

    Options: ClassVar[type[ResampleOptions]] = ResampleOptions
    options: ResampleOptions

    def choose(self, gap: Tensor, codes: Tensor, source: Tensor, runtime: Runtime) -> Tensor:
        count = min(self.options.neighbours, gap.shape[1])
        nearest = gap.topk(count, dim=1, largest=False).indices
        return nearest.gather(1, draws(source, count, runtime)[:, None])[:, 0]


class NearestNeighbourOptions(Options):
    """Options of the nearest neighbour.

    Args:
        tolerance: how far from the target a label may lie, in standard deviations over the fit
            split; doubled until some face qualifies.
    """

    tolerance: float = Field(default=0.1, gt=0)


class NearestNeighbour(_OtherFace):
    """Of the faces whose changed attributes are near the target, the one with the closest code.

        w' = argmin ‖w_i − w‖ over the fit split with |a_ik − target_k| ≤ tolerance σ_k

    What looking the answer up in the fit split would give.
    """

    Options: ClassVar[type[NearestNeighbourOptions]] = NearestNeighbourOptions
    options: NearestNeighbourOptions

    def choose(self, gap: Tensor, codes: Tensor, source: Tensor, runtime: Runtime) -> Tensor:
        faces = self.faces.to(codes).flatten(1)
        tolerance = self.options.tolerance
        doublings = (gap.amin(1, keepdim=True) / tolerance).clamp_min(1).log2().ceil()
        distance = torch.cdist(codes.flatten(1), faces)
        far = gap > tolerance * 2**doublings
        return distance.masked_fill(far, float("inf")).argmin(1)


def gaps(labels: Tensor, target: Tensor, changed: Tensor) -> Tensor:
    """How far each face's labels are from each target, in the worst of the changed columns.

    Args:
        labels: (M, A), target: (N, A), natural units.
        changed: (N, A) the columns that count.

    Returns:
        (N, M) in standard deviations of the labels.
    """
    sigma = labels.std(0).nan_to_num(0.0).clamp_min(1e-6)
    gap = target.new_zeros(len(target), len(labels))
    for k in changed.any(0).nonzero()[:, 0].tolist():
        column = (labels[:, k] - target[:, k, None]).abs() / sigma[k]
        gap = torch.maximum(gap, column * changed[:, k, None])
    return gap


def draws(source: Tensor, count: int, runtime: Runtime) -> Tensor:
    """(N,) numbers from 0 to count − 1, each a hash of one row of `source` (N, A) and the seed."""
    bits = source.float().contiguous().view(torch.int32).long()
    factors = torch.randint(1, 2**31, (source.shape[1],), generator=runtime.rng()) * 2 + 1
    mixed = (bits * factors.to(bits.device)).sum(1)
    return ((mixed >> 17) ^ mixed) % count
