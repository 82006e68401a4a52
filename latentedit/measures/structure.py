"""Structural similarity of images."""

from __future__ import annotations

import torch
from torch import Tensor

_WINDOW = 7
_STABLE = ((0.01 * 2) ** 2, (0.03 * 2) ** 2)
"""c₁ and c₂ of SSIM, for images whose values span 2."""


def structural_similarity(images: Tensor, others: Tensor) -> Tensor:
    """SSIM of images (N, 3, H, W) in [-1, 1], mean over channels and windows → (N,).

        (2 μ_x μ_y + c₁) (2 σ_xy + c₂) / ((μ_x² + μ_y² + c₁) (σ_x² + σ_y² + c₂))

    Wang et al., "Image quality assessment", IEEE TIP 2004, in plain windows of 7 × 7 pixels; of the
    whole image where it is smaller.
    """
    size = min(_WINDOW, images.shape[-1])

    def mean(values: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(values, size, stride=1)

    x, y = images.double(), others.double()
    mean_x, mean_y = mean(x), mean(y)
    var_x, var_y = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2
    joint = mean(x * y) - mean_x * mean_y
    first, second = _STABLE
    light = (2 * mean_x * mean_y + first) / (mean_x**2 + mean_y**2 + first)
    form = (2 * joint + second) / (var_x + var_y + second)
    similarity: Tensor = (light * form).flatten(1).mean(1).float()
    return similarity
