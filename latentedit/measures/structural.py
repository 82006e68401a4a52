"""Structural similarity of two images."""

from __future__ import annotations

import torch
from torch import Tensor

WINDOW, SIGMA = 11, 1.5
"""Pixels and standard deviation of the Gaussian window, as in the paper."""
K1, K2 = 0.01, 0.03
RANGE = 2.0
"""Of images in [-1, 1]."""


def structural_similarity(images: Tensor, others: Tensor) -> Tensor:
    """Mean structural similarity of images (N, 3, H, W) in [-1, 1] → (N,), 1 for equal images.

        (2 μ_x μ_y + c_1) (2 σ_xy + c_2) / ((μ_x² + μ_y² + c_1) (σ_x² + σ_y² + c_2))

    with Gaussian windows inside the image, c_1 = (0.01 · 2)² and c_2 = (0.03 · 2)²; the mean is
    over windows and channels. Windows are smaller where images are smaller than 11 pixels.

    Wang, Bovik, Sheikh, Simoncelli: "Image quality assessment: from error visibility to structural
    similarity", IEEE TIP 2004.
    """
    x, y = images.double(), others.double()
    parts = torch.cat([x, y, x * x, y * y, x * y])
    mean_x, mean_y, xx, yy, xy = _windowed(parts).chunk(5)
    c1, c2 = (K1 * RANGE) ** 2, (K2 * RANGE) ** 2
    shared = (2 * mean_x * mean_y + c1) * (2 * (xy - mean_x * mean_y) + c2)
    total = (mean_x.square() + mean_y.square() + c1) * (
        xx - mean_x.square() + yy - mean_y.square() + c2
    )
    found: Tensor = (shared / total).flatten(1).mean(1)
    return found.to(images.dtype)


def _windowed(images: Tensor) -> Tensor:
    """Weighted means (N, C, H', W') of every window that lies inside (N, C, H, W)."""
    channels = images.shape[1]
    for axis in (2, 3):
        size = min(WINDOW, images.shape[axis])
        places = torch.arange(size, dtype=images.dtype, device=images.device) - (size - 1) / 2
        weights = (-places.square() / (2 * SIGMA**2)).exp()
        kernel = (weights / weights.sum()).view(1, 1, *((-1, 1) if axis == 2 else (1, -1)))
        kernel = kernel.expand(channels, -1, -1, -1)
        images = torch.nn.functional.conv2d(images, kernel, groups=channels)
    return images
