"""Readings of faces off points: turns of the head, and shapes of the mouth.

All are in the frame of the eyes: x from the outer corner of the image's left eye to that of its
right eye, y down at a right angle, the distance of both corners as unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Points:
    """Indices of points; left and right are those of the image.

    Args:
        upper, lower: the inner edges of the lips, in the middle.
        lip: the upper edge of the upper lip, in the middle.
    """

    left_eye: int
    right_eye: int
    nose: int
    left_mouth: int
    right_mouth: int
    upper: int
    lower: int
    lip: int


MESH = Points(33, 263, 1, 61, 291, 13, 14, 0)
"""Of the 468 points of facemesh."""
SIXTY_EIGHT = Points(36, 45, 30, 48, 54, 62, 66, 51)
"""Of the usual 68 points."""


def point_readings(points: Tensor, named: Points) -> Mapping[str, Tensor]:
    """Readings (N,) by name, off points (N, P, 2 or more), y down.

    ``yaw`` rises as the nose turns to the image's right, ``pitch`` as it turns up.

    >>> square = torch.tensor([[[0.0, 0], [2, 0], [1.5, 1], [0.5, 2], [1.5, 2], [1, 2], [1, 3],
    ...     [1, 1.5]]])
    >>> found = point_readings(square, Points(0, 1, 2, 3, 4, 5, 6, 7))
    >>> {name: round(float(value), 2) for name, value in found.items()}
    {'yaw': 0.25, 'pitch': -0.67, 'mouth-open': 0.5, 'width': 0.5, 'lift': 0.25}
    """
    flat = points[..., :2]
    left, right = flat[:, named.left_eye], flat[:, named.right_eye]
    middle, across = (left + right) / 2, right - left
    unit = across.norm(dim=1, keepdim=True).clamp_min(1e-6)
    x = across / unit
    y = torch.stack([-x[:, 1], x[:, 0]], 1)

    def place(index: int) -> tuple[Tensor, Tensor]:
        moved = (flat[:, index] - middle) / unit
        return (moved * x).sum(1), (moved * y).sum(1)

    nose, lip = place(named.nose), place(named.lip)
    ends = place(named.left_mouth), place(named.right_mouth)
    upper, lower = place(named.upper)[1], place(named.lower)[1]
    return {
        "yaw": nose[0],
        "pitch": -nose[1] / lip[1].clamp_min(1e-3),
        "mouth-open": lower - upper,
        "width": ends[1][0] - ends[0][0],
        "lift": (upper + lower) / 2 - (ends[0][1] + ends[1][1]) / 2,
    }


ODD = frozenset({"yaw"})
"""Readings that a mirror image has with the other sign."""


def of_mirror(name: str, values: Tensor) -> Tensor:
    """What a reading of the mirror image says of the image itself."""
    return -values if name in ODD else values
