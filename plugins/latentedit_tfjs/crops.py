"""Fixed crops: the same part of every image, in the size that a network takes."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

from latentedit import InputError

Share = Annotated[float, Field(ge=-1, le=2)]
Box = tuple[Share, Share, Share, Share]
"""Top, left, bottom and right, as shares of an image's sides."""
FACE: Box = (0.25, 0.13, 0.98, 0.86)
"""Where faces of `dcgan-faces` lie: the mean box of a detector on 116 of 150 of them."""


def cropped(images: Tensor, box: Box, margin: float, side: int) -> Tensor:
    """(N, 3, H, W) → (N, side, side, 3), the part in `box` with a margin, resampled.

    Args:
        margin: added on each side, as a share of the box. Outside of an image, its edge continues.
    """
    if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape[2:]:
        raise InputError(f"images have shape (N, 3, H, W), received {tuple(images.shape)}")
    images = images.float()
    top, left, bottom, right = box
    height, width = bottom - top, right - left
    if not (height > 0 and width > 0):
        raise InputError(f"a face is top, left, bottom, right as shares, received {box}")
    shrink = side / (max(height * images.shape[2], width * images.shape[3]) * (1 + 2 * margin))
    if shrink < 1:
        images = interpolate(images, scale_factor=shrink, mode="bilinear", antialias=True)
    if not len(images):
        return images.new_zeros(0, side, side, 3)
    wide = 1 + 2 * margin
    across = [width * wide, 0.0, left + right - 1]
    down = [0.0, height * wide, top + bottom - 1]
    places = images.new_tensor([across, down]).expand(len(images), 2, 3)
    grid = affine_grid(places, [len(images), 3, side, side], align_corners=False)
    made = grid_sample(images, grid, padding_mode="border", align_corners=False)
    return made.permute(0, 2, 3, 1)


def mirrored(images: Tensor) -> Tensor:
    """(N, 3, H, W) with left and right exchanged."""
    return images.flip(3)


GREY = torch.tensor([0.2989, 0.587, 0.114])
"""Weights of red, green and blue in a shade of grey (ITU-R BT.601)."""
