"""What a task asks of its images, and the strengths at which a judge sees that it is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from latentedit.benchmark.cells.extending import extended
from latentedit.benchmark.task import QuantileChange, SigmaChange, Task
from latentedit.data.attributes import AttributeSchema
from latentedit.errors import InputError
from latentedit.interfaces.editor import Edited
from latentedit.measures.metrics import achieved_change, match_effect

FEWEST = 2
"""Faces that a task must leave."""


def requested(
    task: Task, labels: Tensor, fit_labels: Tensor, schema: AttributeSchema, fewest: int = FEWEST
) -> tuple[Tensor, Tensor]:
    """Which images a task edits, and by how much.

    Args:
        labels: (N, A) of the test images.
        fit_labels: (M, A) of the fit split, for its median, standard deviation and quantiles.
        fewest: faces that must be left.

    Returns:
        (K,) image indices and (K,) changes Δ in natural units.

    Raises:
        InputError: fewer images are left, or the task cannot be asked of them.
    """
    keep = torch.ones(len(labels), dtype=torch.bool)
    for name, (low, high) in task.among.items():
        column = labels[:, schema.columns(name)][:, 0]
        keep &= (column >= low) & (column <= high)
    faces = keep.nonzero()[:, 0]
    if len(faces) < fewest:
        those = "its `among` leaves" if task.among else "it is asked of"
        raise InputError(
            f"task {task.name!r}: {those} {len(faces)} of {len(labels)} images, and a comparison "
            f"needs {fewest}"
        )
    return faces, requested_change(task, labels[faces], fit_labels, schema)


def requested_change(
    task: Task, labels: Tensor, fit_labels: Tensor, schema: AttributeSchema
) -> Tensor:
    """(K,) changes Δ in natural units that a task asks of images with `labels` (K, A)."""
    attribute = schema[task.attribute]
    if attribute.kind == "vector":
        raise InputError(f"a task changes one number; {task.attribute!r} is a vector")
    column = schema.columns(task.attribute).start
    values, fitted = labels[:, column], fit_labels[:, column]
    if task.change == "flip":
        middle = (attribute.low + attribute.high) / 2
        return torch.where(values < middle, attribute.high, attribute.low) - values
    below = values < fitted.median()
    if isinstance(task.change, QuantileChange):
        q = task.change.quantile
        change = torch.where(below, fitted.quantile(q), fitted.quantile(1 - q)) - values
        if alike := int((change == 0).sum()):
            raise InputError(
                f"task {task.name!r} asks {alike} of {len(change)} images for the {task.attribute} "
                f"that they have: more than {1 - q:.0%} of the fit split have one value. Ask for "
                "an amount"
            )
        return change
    amount = _amount(task, fitted)
    if not amount > 0:
        raise InputError(
            f"task {task.name!r} changes {task.attribute} by a multiple of its standard deviation, "
            "but all labels of the fit split are equal; ask for an amount"
        )
    if amount > attribute.high - attribute.low:
        raise InputError(
            f"task {task.name!r} changes {task.attribute} by {amount:g}, but its range is "
            f"{attribute.low:g} to {attribute.high:g} {attribute.unit}"
        )
    return torch.where(below, amount, -amount)


def _amount(task: Task, fitted: Tensor) -> float:
    """The change in natural units, given the fit split's labels (M,)."""
    if isinstance(task.change, SigmaChange):
        return task.change.sigma * float(fitted.std())
    return float(cast("float", task.change))


@dataclass(frozen=True)
class Asked:
    """A change of one attribute, asked of N images.

    Args:
        source: (N, A) labels of the unedited images, natural units.
        judged: (N, A) what the judge says of them.
        change: (N,) Δ in natural units.
        column: of the attribute.
    """

    source: Tensor
    judged: Tensor
    change: Tensor
    column: int

    @property
    def every(self) -> Tensor:
        """(N,) 0 to N − 1."""
        return torch.arange(len(self.change))

    def target(self, change: Tensor, rows: Tensor) -> Tensor:
        """(M, A) labels of the images `rows` with `change` (M,) made."""
        target = self.source[rows].clone()
        target[:, self.column] += change
        return target

    def effect(self, judged: Tensor, rows: Tensor) -> Tensor:
        """(M,) shares of the change that the judge's readings (M, A) of `rows` achieve."""
        column = self.column
        return achieved_change(self.judged[rows, column], judged[:, column], self.change[rows])


@dataclass(frozen=True)
class StrengthSearch:
    r"""The strength, image by image, at which an edit has an effect.

    Args:
        asked: what is asked at strength 1.
        edit: (target (M, A), rows (M,)) → edited codes.
        judge: codes (M, \*shape) → (M, A) the judge's readings.
        strengths: that are tried on every image, in ascending order.
        limit: the largest strength that is tried on images that need more.
    """

    asked: Asked
    edit: Callable[[Tensor, Tensor], Edited]
    judge: Callable[[Tensor], Tensor]
    strengths: Sequence[float]
    limit: float

    def at(self, strengths: Tensor, rows: Tensor) -> Edited:
        """The images `rows` (M,) edited at `strengths` (M,)."""
        return self.edit(self.asked.target(strengths * self.asked.change[rows], rows), rows)

    def effect_at(self, strengths: Tensor, rows: Tensor) -> Tensor:
        """(M,) measured effects of such edits."""
        return self.asked.effect(self.judge(self.at(strengths, rows).codes), rows)

    def extended(self, effects: Tensor, wanted: float) -> tuple[Tensor, Tensor]:
        """`strengths` with `effects` (S, N), and as many larger ones as `wanted` takes."""
        grid = torch.tensor(self.strengths)
        return extended(self.effect_at, grid, effects, wanted, self.limit)

    def matching(self, wanted: float, strengths: Tensor, effects: Tensor) -> tuple[Edited, Tensor]:
        """All images edited at the strength where the effect is `wanted`, and (N,) that strength.

        The strength is NaN for an image that does not reach the effect, or that the editor refuses
        there. Such an image is edited at the largest of the suite's strengths.

        Args:
            strengths: (S,) at which
            effects: (S, N) were measured.
        """
        at = match_effect(self.effect_at, strengths, effects, wanted)
        found = self.at(at.nan_to_num(self.strengths[-1]), self.asked.every)
        return found, torch.where(found.served, at, float("nan"))
