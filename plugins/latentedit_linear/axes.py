"""Editors on unsupervised axes, and the assignment of axes to attributes."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from latentedit import InputError, Moments, Runtime, Split, moments
from latentedit_linear.directions import DirectionEditor, Figures, by_column


def label_axes(found: Moments, axes: Tensor) -> tuple[Tensor, Tensor]:
    """The axis most correlated with each attribute, and the sign of the correlation.

        index_k = argmax_i |corr(w · v_i, a_k)|,    sign_k = sign of that correlation

    Two attributes may get the same axis; then the method cannot separate them.

    Args:
        found: of the faces that choose.
        axes: (K, D).

    Returns:
        (A,) indices into `axes`, and (A,) signs, −1 or +1.
    """
    correlation = found.correlations(axes)
    index = correlation.abs().argmax(0)
    strongest = correlation.gather(0, index[None])[0]
    return index, torch.where(strongest < 0, -1.0, 1.0)


class AxisEditor(DirectionEditor):
    """Moves each attribute along the axis that is most correlated with it.

    A subclass finds the axes. Held-out faces calibrate slopes, as for any direction. Figures name
    the axis of each column, from 0, and the standard deviation of the codes along it, the usual
    unit of such axes.
    """

    spaces: ClassVar[tuple[str, ...]] = ("w",)
    seeded = False

    @abstractmethod
    def find_axes(self, data: Split, runtime: Runtime) -> Tensor:
        """(K, D) unit axes, the most important first."""

    def find_directions(self, data: Split, runtime: Runtime) -> tuple[Tensor, Figures]:
        axes = self.find_axes(data, runtime)
        if axes.shape[1:] != data.code_shape:
            raise InputError(
                f"the axes have {axes.shape[1]} dimensions, codes have shape {data.code_shape}; "
                "they come from another generator"
            )
        found = moments(data)
        index, sign = label_axes(found, axes)
        deviation = found.variance_along(axes).sqrt()[index]
        figures = by_column("axis", index, data) | by_column("sigma", deviation, data)
        return sign[:, None] * axes[index], figures
