"""Controls: reference editors that any useful editor must beat."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from latentedit import (
    ANY_FLAT,
    Edited,
    Editor,
    FitStats,
    Generator,
    InputError,
    Options,
    Runtime,
    Split,
)
from latentedit_linear.directions import fitted_tensors, unit
from latentedit_linear.regression import Regression


class NoEdit(Editor):
    """w' = w. Keeps every identity and reaches nothing."""

    spaces = ("w", "z", "w+", "s", ANY_FLAT)
    needs = frozenset()
    seeded = False

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        return FitStats()

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited(codes.clone())


class Oracle(Editor):
    """The same face with only the requested attributes changed: no edit can be better.

        w' = counterfactual(w, a + (target − source)),  a the true attributes of w

    It asks the generator, which must know its world. The judge sees less of the change than is
    there, so faces may need another strength than 1.

    Attributes:
        columns: (A,) where each column of the labels stands in the generator's own attributes.
    """

    needs = frozenset({"generator", "counterfactual"})
    fitted = ("columns",)
    seeded = False
    bound: ClassVar[Literal["floor", "ceiling"] | None] = "ceiling"
    columns: Tensor

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        known = _generator(runtime).truth(data.codes[:1]).schema.column_names
        self.columns = torch.tensor([known.index(name) for name in data.schema.column_names])
        return FitStats()

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        (columns,) = self.state().values()
        generator, changed = _generator(runtime), target != source
        wanted = generator.truth(codes).attributes.clone()
        moved = wanted[:, columns] + (target - source)
        wanted[:, columns] = torch.where(changed, moved, wanted[:, columns])
        return Edited(generator.counterfactual(codes, wanted))


def _generator(runtime: Runtime) -> Generator:
    if runtime.generator is None:
        raise InputError("the oracle asks the generator; give Runtime(generator=...)")
    return runtime.generator


class RandomDirection(Regression):
    """Moves as far as the regression direction would, along a random direction per attribute.

        w' = w + Σ_k (target_k − source_k) / slope_k · u_k,    u_k uniform on the sphere, by seed

    with the slopes of `Regression`. It shows the cost of a move of this size in a random direction.
    """

    seeded = True

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        stats = super().fit(data, runtime)
        self.directions = unit(torch.randn(self.directions.shape, generator=runtime.rng()))
        return stats


class _OtherFace(Editor):
    """Replaces a face by a face of the fit split with the target's attributes.

    Faces without a requested change stay the same.

    Attributes:
        faces: (M, \\*shape) codes of the fit split.
        labels: (M, A) their attributes, natural units.
    """

    spaces = ("w", "z", "w+", "s", ANY_FLAT)
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
        """(N,) indices of the chosen faces, given (N, M) gaps between targets and M labels."""


class ResampleOptions(Options):
    """Options of resampling.

    Args:
        neighbours: number of faces with the nearest labels, from which one is drawn.
    """

    neighbours: int = Field(default=50, ge=1)


class Resample(_OtherFace):
    """A random face among the `neighbours` whose changed attributes are nearest to the target.

    It reaches the target and loses the person. The draw depends only on the runtime's seed and the
    face's source attributes, not on the batch or the strength.
    """

    Options: ClassVar[type[ResampleOptions]] = ResampleOptions
    bound: ClassVar[Literal["floor", "ceiling"] | None] = "floor"
    options: ResampleOptions

    def choose(self, gap: Tensor, codes: Tensor, source: Tensor, runtime: Runtime) -> Tensor:
        count = min(self.options.neighbours, gap.shape[1])
        nearest = gap.topk(count, dim=1, largest=False).indices
        return nearest.gather(1, draws(source, count, runtime)[:, None])[:, 0]


class NearestNeighbourOptions(Options):
    """Options of the nearest neighbour.

    Args:
        tolerance: largest distance of a label from the target, in standard deviations over the fit
            split. It is doubled until a face qualifies.
    """

    tolerance: float = Field(default=0.1, gt=0)


class NearestNeighbour(_OtherFace):
    """The face with the closest code, among faces whose changed attributes are near the target.

        w' = argmin ‖w_i − w‖ over the fit split with |a_ik − target_k| ≤ tolerance σ_k

    This is the result of a look-up in the fit split.
    """

    Options: ClassVar[type[NearestNeighbourOptions]] = NearestNeighbourOptions
    seeded = False
    options: NearestNeighbourOptions

    def choose(self, gap: Tensor, codes: Tensor, source: Tensor, runtime: Runtime) -> Tensor:
        faces = self.faces.to(codes).flatten(1)
        tolerance = self.options.tolerance
        doublings = (gap.amin(1, keepdim=True) / tolerance).clamp_min(1).log2().ceil()
        distance = torch.cdist(codes.flatten(1), faces)
        far = gap > tolerance * 2**doublings
        return distance.masked_fill(far, float("inf")).argmin(1)


def gaps(labels: Tensor, target: Tensor, changed: Tensor) -> Tensor:
    """Distance of each face's labels from each target, the largest over the changed columns.

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
    # A random generator would make a face's number depend on its place in the batch. This is a
    # multiplicative hash of the floats' bits, with odd factors from the seed.
    bits = source.float().contiguous().view(torch.int32).long()
    factors = torch.randint(1, 2**31, (source.shape[1],), generator=runtime.rng()) * 2 + 1
    mixed = (bits * factors.to(bits.device)).sum(1)
    return ((mixed >> 17) ^ mixed) % count
