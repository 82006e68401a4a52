"""Images of codes, each drawn once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor

WHOLE = 32
"""Images are drawn in multiples of this number. Vector instructions treat the last few rows of
other numbers apart, and so the last bits of an image would depend on what it was drawn with."""
ROOM = 128 * 2**20
"""Bytes of images that are kept."""


class Pictures:
    """Draws images, and keeps them by code while there is room.

    Editors often give one code at several strengths, and a search ends where it has been. A kept
    image is the one that would be drawn again, to the last bit.

    Args:
        draw: (N, \\*shape) codes and their space → (N, 3, H, W) images; equal codes, equal images.
        resolution: the larger of H and W.
        batch: the largest N of one call of `of`. If the images of two do not fit, none is kept.
        room: bytes.
    """

    def __init__(
        self,
        draw: Callable[[Tensor, str], Tensor],
        resolution: int,
        batch: int,
        room: int = ROOM,
    ) -> None:
        self._draw = draw
        self._most = room // (12 * resolution**2)
        self._keeps = self._most >= 2 * batch
        self._kept: dict[bytes, Tensor] = {}

    def of(self, codes: Tensor, space: str) -> Tensor:
        """(N, \\*shape) codes → (N, 3, H, W) images."""
        if not self._keeps:
            return self._draw(codes, space)
        keys = [_key(code, space) for code in codes]
        missing = {key: i for i, key in enumerate(keys) if key not in self._kept}
        if missing:
            rows = list(missing.values())
            whole = rows + rows[:1] * (-len(rows) % WHOLE)
            drawn = self._draw(codes[whole], space)[: len(rows)].clone()
            self._kept |= zip(missing, drawn.unbind(), strict=True)
        images = torch.stack([self._kept[key] for key in keys])
        self._forget()
        return images

    def _forget(self) -> None:
        """Drop the images that were drawn first, beyond the room there is."""
        for key in list(self._kept)[: max(0, len(self._kept) - self._most)]:
            del self._kept[key]


def _key(code: Tensor, space: str) -> bytes:
    """A digest of the bits of one code."""
    numbers = code.detach().cpu().contiguous().numpy().tobytes()
    return hashlib.blake2b(numbers, digest_size=16, person=space.encode()[:16]).digest()
