"""Shading by nine real spherical-harmonic coefficients."""

from __future__ import annotations

import math

from torch import Tensor

from latentedit_synthface.head import root

_BAND0 = math.pi * 0.5 / math.sqrt(math.pi)
_BAND1 = (2 / 3) * math.pi * math.sqrt(3) / (2 * math.sqrt(math.pi))
_BAND2 = (1 / 4) * math.pi * math.sqrt(15) / (2 * math.sqrt(math.pi))
_BAND2_ZONAL = (1 / 4) * math.pi * math.sqrt(5) / (4 * math.sqrt(math.pi))
_AMBIENT_FLOOR, _FLOOR_WIDTH = 0.10, 0.05


def irradiance(x: Tensor, y: Tensor, z: Tensor, light: Tensor) -> Tensor:
    """Light received by a surface, at least a small ambient floor.

        E(n) = Σ_b a_b c_b Y_b(n), a = π, 2π/3, π/4 for the bands of degree 0, 1, 2

    Basis order 1, y, z, x, xy, yz, 3z² − 1, xz, x² − y² in axes with x to the image's right,
    y away from the viewer and z up. So light_1 < 0 lights the face from the front, light_2 > 0
    from above, and light_3 > 0 from the image's right (checked on renders: the side lit is the
    right one). Ramamoorthi & Hanrahan 2001, equation 10.

    Args:
        x, y, z: (N, K) unit normals in *camera* axes: x right, y up, z towards the viewer.
        light: (N, 9) coefficients.

    Returns:
        (N, K), about 0.2 to 1.4.
    """
    right, away, up = x, -z, y
    bands = light * light.new_tensor(
        [_BAND0, _BAND1, _BAND1, _BAND1, _BAND2, _BAND2, _BAND2_ZONAL, _BAND2, _BAND2 / 2]
    )
    c = [bands[:, i : i + 1] for i in range(9)]
    along_right = c[3] + c[4] * away + c[7] * up + c[8] * right
    along_away = c[1] + c[5] * up - c[8] * away
    along_up = c[2] + 3 * c[6] * up
    total = (c[0] - c[6]) + right * along_right + away * along_away + up * along_up
    excess = (total - _AMBIENT_FLOOR) / 2
    return _AMBIENT_FLOOR + excess + root(excess.square() + _FLOOR_WIDTH**2)
