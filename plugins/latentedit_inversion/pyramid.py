"""A perceptual loss without a network."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import avg_pool2d

from latentedit import Options, PerceptualLoss, fingerprint


class PyramidOptions(Options):
    """Options of the pyramid.

    Args:
        coarsest: pixels along each side of the coarsest scale.
        gradients: weight of differences of neighbouring pixels, relative to that of pixels.
    """

    coarsest: int = Field(default=8, ge=1)
    gradients: float = Field(default=1.0, ge=0)


class Pyramid(PerceptualLoss):
    """Mean squared difference of pixels and of their gradients, over scales that halve.

        d(x, y) = 1/S Σ_s ( mean (x_s − y_s)² + g mean (∂x_s − ∂y_s)² )
        x_{s+1} = x_s averaged 2×2

    Fine scales align edges. Coarse scales give gradients to shapes that do not overlap yet.
    """

    Options: ClassVar[type[PyramidOptions]] = PyramidOptions
    options: PyramidOptions

    def __init__(self, options: PyramidOptions | None = None) -> None:
        super().__init__(options)
        self.fingerprint = fingerprint({"perceptual": "pyramid-1", **self.options.model_dump()})

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) → (N, F): pixels and gradients of every scale, each over √ of its number."""
        scales = self._scales(images)
        parts = []
        for scale in scales:
            parts.append(_mean_square(scale))
            if self.options.gradients and min(scale.shape[2:]) > 1:
                along, down = scale.diff(dim=3), scale.diff(dim=2)
                parts += [
                    (self.options.gradients / 2) ** 0.5 * _mean_square(d) for d in (along, down)
                ]
        found: Tensor = torch.cat(parts, 1) / len(scales) ** 0.5
        return found

    def _scales(self, images: Tensor) -> list[Tensor]:
        scales = [images]
        while min(scales[-1].shape[2:]) >= 2 * self.options.coarsest:
            scales.append(avg_pool2d(scales[-1], 2))
        return scales


def _mean_square(values: Tensor) -> Tensor:
    """(N, C, H, W) → (N, F) whose squared norm is the mean square of `values`."""
    flat = values.flatten(1)
    scaled: Tensor = flat / flat.shape[1] ** 0.5
    return scaled
