"""Images as floats in [-1, 1], and as the bytes that picture files hold."""

from __future__ import annotations

import base64
import io

import torch
from PIL import Image
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


def pictures(images: Tensor) -> list[Image.Image]:
    """Images (N, 3, H, W), in [-1, 1] or as uint8, as N pictures of PIL.

    >>> [picture.size for picture in pictures(torch.zeros(2, 3, 32, 48))]
    [(48, 32), (48, 32)]
    """
    shown = images if images.dtype == torch.uint8 else images_to_bytes(images)
    return [Image.fromarray(one) for one in shown.permute(0, 2, 3, 1).contiguous().cpu().numpy()]


def png(picture: Image.Image) -> bytes:
    """A picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def data_uri(picture: Image.Image) -> str:
    """A picture as an address that holds its own pixels, for HTML."""
    return "data:image/png;base64," + base64.b64encode(png(picture)).decode()
