"""Images as floats in [-1, 1], and as the bytes that picture files hold."""

from __future__ import annotations

import torch
from torch import Tensor


def images_to_bytes(images: Tensor) -> Tensor:
    """Images of any shape in [-1, 1] → uint8 from 0 to 255, rounded; what lies outside is clipped.

    >>> images_to_bytes(torch.tensor([-1.0, 0.0, 1.0, 7.0])).tolist()
    [0, 128, 255, 255]
    """
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def bytes_to_images(images: Tensor) -> Tensor:
    """Images of any shape, uint8 → float32 in [-1, 1].

    >>> bytes_to_images(torch.tensor([0, 255], dtype=torch.uint8)).tolist()
    [-1.0, 1.0]
    """
    return images.float() / 127.5 - 1
