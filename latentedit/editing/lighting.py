"""Names for lights: spherical-harmonic coefficients of a vector attribute."""

from __future__ import annotations

import torch
from torch import Tensor

from latentedit.errors import UnknownName

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
