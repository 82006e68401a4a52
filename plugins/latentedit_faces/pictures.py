"""Pictures: reading, cropping and resizing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from latentedit import InputError, bytes_to_images, open_picture

WHOLE = (0.0, 0.0, 1.0, 1.0)


def read_picture(path: Path, side: int | None = None) -> Tensor:
    """The central square of a picture as (3, side, side) in [-1, 1]; `side` None keeps its size.

    Raises:
        InputError: there is no such file, or it has too many pixels; see `latentedit.open_picture`.
        CorruptArtefact: it cannot be decoded.
    """
    picture = open_picture(path)
    shades = bytes_to_images(torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None])
    edge = min(picture.size)
    top, left = (picture.height - edge) // 2, (picture.width - edge) // 2
    square = shades[:, :, top : top + edge, left : left + edge]
    return square[0] if side is None else resized(square, (side, side))[0]


def check_images(images: Tensor) -> Tensor:
    """(N, 3, H, W) as float32, or `InputError`."""
    if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape[2:]:
        raise InputError(f"images have shape (N, 3, H, W), received {tuple(images.shape)}")
    return images.float()


def cropped(images: Tensor, box: tuple[float, float, float, float]) -> Tensor:
    """The part of (N, 3, H, W) between top, left, bottom and right, as shares of its sides."""
    height, width = images.shape[2:]
    top, left, bottom, right = box
    rows = slice(round(top * height), max(round(bottom * height), round(top * height) + 1))
    columns = slice(round(left * width), max(round(right * width), round(left * width) + 1))
    return images[:, :, rows, columns]


def resized(images: Tensor, size: tuple[int, int], mode: str = "bilinear") -> Tensor:
    """(N, 3, H, W) → (N, 3, *size), antialiased; untouched where it has that size."""
    if tuple(images.shape[2:]) == tuple(size):
        return images
    return interpolate(images, size, mode=mode, antialias=True)
