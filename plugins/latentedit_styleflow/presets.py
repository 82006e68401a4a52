"""Figures of the StyleFlow release and names for lights, as plain data."""

from __future__ import annotations

import torch
from torch import Tensor

from latentedit import UnknownName

RELEASED_GAINS = {
    "gender": 1.5,
    "glasses": 2.5,
    "yaw": 1.0,
    "pitch": 1.0,
    "baldness": 2.0,
    "beard": 1.7,
    "age": 0.93,
    "expression": 1.0,
}
"""By how much the release's interface multiplies a requested change."""

RELEASED_ROWS = {
    "gender": range(8),
    "glasses": range(2, 4),
    "yaw": range(4),
    "pitch": range(4),
    "baldness": range(6),
    "beard": range(5, 10),
    "age": range(4, 8),
    "expression": range(4, 6),
    "lighting": range(7, 12),
}
"""The rows of an 18-row W+ code that the release lets each edit change."""

_LIGHTS = {
    "left-to-right": (0, 0, 0, -1, 0, 0, 0, 0, 0),
    "right-to-left": (0, 0, 0, 1, 0, 0, 0, 0, 0),
    "down-to-up": (0, 0, -1, 0, 0, 0, 0, 0, 0),
    "up-to-down": (0, 0, 1, 0, 0, 0, 0, 0, 0),
    "front": (0, -1, 0, 0, 0, 0, 0, 0, 0),
    "none": (0, 0, 0, 0, 0, 0, 0, 0, 0),
}
LIGHT_PRESETS = tuple(_LIGHTS)


def lighting_preset(name: str, ambient: float = 0.85, strength: float = 0.5) -> Tensor:
    """(9,) spherical-harmonic coefficients of a light that shines the way its name says.

    The order is 1, y, z, x, xy, yz, 3z² − 1, xz, x² − y², in axes with x to the image's right, y
    away from the viewer and z up. ``"left-to-right"`` comes from the left; ``"none"`` is ambient
    light alone.

    >>> lighting_preset("front")[:4]
    tensor([ 0.8500, -0.5000,  0.0000,  0.0000])
    """
    if name not in _LIGHTS:
        raise UnknownName("lighting preset", name, _LIGHTS)
    direction = torch.tensor(_LIGHTS[name], dtype=torch.float32)
    coefficients = strength * direction
    coefficients[0] = ambient
    return coefficients + 0.0
