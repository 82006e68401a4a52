"""Spectacles: rims in a plane before the eyes, bridge and temples, drawn over the canvas."""

from __future__ import annotations

import torch
from torch import Tensor

from latentedit_synthface.head import PIVOT, Shape, column, smoothstep

_INVISIBLE = 0.05
_FRAME = (0.05, 0.045, 0.05)
_PLANE = 0.93
"""Depth of the lens plane in head coordinates."""


def draw_glasses(canvas: Tensor, s: Shape, factors: Tensor, extent: float, centre: float) -> Tensor:
    """Draw spectacles on the images whose wearers have them.

    Args:
        canvas: (N, 3, S, S) in [0, 1].
        s: measures of the heads.
        factors: (N, 41).
        extent, centre: half the height of the view and the height of its centre.
    """
    amount = column(factors, "glasses")
    worn = (amount[:, 0] > _INVISIBLE).nonzero()[:, 0]
    if len(worn) == 0:
        return canvas
    shape = Shape(*(measure[worn] for measure in s))
    drawn = _draw(canvas[worn], shape, amount[worn], extent, centre)
    return canvas.index_copy(0, worn, drawn)


def _draw(canvas: Tensor, s: Shape, amount: Tensor, extent: float, centre: float) -> Tensor:
    size = canvas.shape[-1]
    axis = (torch.arange(size, device=canvas.device) + 0.5) / size * 2 - 1
    right = (axis * extent).repeat(size)[None]
    up = (centre - axis * extent).repeat_interleave(size)[None]
    x, y = _on_plane(s, right, up)
    lens_x, lens_y = s.eye_x * 1.08, s.eye_y - 0.03
    half_x, half_y = 0.235 * (0.8 + 0.75 * s.eye_x), 0.175
    qx = ((x.abs() - lens_x).abs() - half_x + 0.09).clamp(min=0)
    qy = ((y - lens_y).abs() - half_y + 0.09).clamp(min=0)
    rim = torch.sqrt(qx * qx + qy * qy + 1e-8) - 0.09
    bridge_y = y - lens_y - 0.06
    inner = x.abs() - (lens_x - half_x)
    bridge = torch.maximum(bridge_y.abs(), inner)
    thick = 0.016 + 0.022 * amount
    sharp = size / (2 * extent)
    frame = ((thick - torch.minimum(rim.abs(), bridge)) * sharp + 0.5).clamp(0, 1)
    frame = torch.maximum(
        frame, _temples(s, right, up, lens_x + half_x, lens_y + 0.08, thick, sharp)
    )
    opacity = smoothstep((amount - _INVISIBLE) * 1.7)
    lens = (-rim * sharp).clamp(0, 1) * opacity
    glint = (1 - ((x - 0.5 * y - 0.05).remainder(0.42) - 0.21).abs() * 14).clamp(min=0)
    flat = canvas.flatten(2)
    flat = flat * (1 - 0.06 * lens)[:, None] + (lens * (0.05 + 0.07 * glint))[:, None]
    colour = flat.new_tensor(_FRAME)[:, None].expand_as(flat)
    drawn = torch.lerp(flat, colour, (frame * opacity)[:, None])
    return drawn.reshape(-1, 3, size, size)


def _on_plane(s: Shape, right: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    """Head coordinates (x, y) where rays meet the lens plane z = _PLANE."""
    height, depth = PIVOT
    above = up - height
    turned = (_PLANE - depth - s.sin_pitch * above) / s.cos_pitch
    before = (turned - s.sin_yaw * right) / s.cos_yaw
    x = s.cos_yaw * right - s.sin_yaw * before
    y = s.cos_pitch * above - s.sin_pitch * turned + height
    return x, y


def _temples(
    s: Shape, right: Tensor, up: Tensor, x: Tensor, y: Tensor, thick: Tensor, sharp: float
) -> Tensor:
    """Coverage by the two side arms, from rim to ear, where the head does not hide them."""
    cover = torch.zeros_like(right)
    for sign in (-1.0, 1.0):
        hinge = _project(s, sign * x, y, torch.full_like(x, _PLANE))
        ear = _project(s, sign * (s.width + 0.03), y, torch.full_like(x, 0.05))
        du, dv = ear[0] - hinge[0], ear[1] - hinge[1]
        along = ((right - hinge[0]) * du + (up - hinge[1]) * dv) / (du * du + dv * dv + 1e-4)
        along = along.clamp(0, 1)
        away = torch.sqrt(
            (right - hinge[0] - along * du).square() + (up - hinge[1] - along * dv).square() + 1e-8
        )
        seen = smoothstep((0.10 - sign * s.sin_yaw) * 6 + 0.4)
        cover = torch.maximum(cover, ((thick - away) * sharp + 0.5).clamp(0, 1) * seen)
    return cover


def _project(s: Shape, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Head coordinates → right and up on the screen."""
    height, depth = PIVOT
    above, before = y - height, z - depth
    up = s.cos_pitch * above + s.sin_pitch * before + height
    turned = -s.sin_pitch * above + s.cos_pitch * before
    return s.cos_yaw * x + s.sin_yaw * turned, up
