"""The head as a signed-distance field, and the pose that places it before the camera."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from latentedit_synthface.factors import NAMES

_COLUMN = {name: i for i, name in enumerate(NAMES)}
PIVOT = (-0.35, -0.15)
"""Height and depth of the joint about which the head turns."""
EAR_HEIGHT = 0.0
_PI = (3.140625, 9.67502593994140625e-4, 1.509957990978376432e-7)
"""Numbers with the sum π. The first two have at most 11 bits, so their multiples are exact."""


class Shape(NamedTuple):
    """Measures of one head, each (N, 1); lengths in units of half a head's height.

    The head's axes are x to the image's right, y up and z towards the viewer when yaw and pitch
    are zero; its origin lies midway between crown and chin.
    """

    width: Tensor
    height: Tensor
    depth: Tensor
    taper: Tensor
    square: Tensor
    chin: Tensor
    cheek: Tensor
    eye_x: Tensor
    eye_y: Tensor
    eye_size: Tensor
    brow_y: Tensor
    brow_ridge: Tensor
    nose_width: Tensor
    nose_tip: Tensor
    nose_height: Tensor
    mouth_y: Tensor
    mouth_width: Tensor
    lips: Tensor
    smile: Tensor
    hair_volume: Tensor
    hairline: Tensor
    fringe: Tensor
    parting: Tensor
    bald: Tensor
    beard: Tensor
    curtain_length: Tensor
    curtain: Tensor
    neck: Tensor
    shoulders: Tensor
    old: Tensor
    child: Tensor
    male: Tensor
    sin_yaw: Tensor
    cos_yaw: Tensor
    sin_pitch: Tensor
    cos_pitch: Tensor


class Points(NamedTuple):
    """Positions (N, K) in head axes (x, y, z) and camera axes (right, up, near)."""

    x: Tensor
    y: Tensor
    z: Tensor
    right: Tensor
    up: Tensor
    near: Tensor


class Parts(NamedTuple):
    """Approximate signed distances (N, K) to each part, and how far above the hairline."""

    head: Tensor
    ear: Tensor
    curtain: Tensor
    neck: Tensor
    shoulders: Tensor
    above_hairline: Tensor


def column(factors: Tensor, name: str) -> Tensor:
    """(N, 41) → (N, 1) values of one factor."""
    i = _COLUMN[name]
    return factors[:, i : i + 1]


def smoothstep(x: Tensor) -> Tensor:
    """3 x² − 2 x³ on [0, 1], constant outside."""
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)


def smooth_min(a: Tensor, b: Tensor, width: float) -> Tensor:
    """min(a, b) rounded off where they differ by less than `width`: min − h² width / 4."""
    h = (width - (a - b).abs()).clamp(min=0)
    return torch.minimum(a, b) - h * h * (0.25 / width)


def root(x: Tensor) -> Tensor:
    """√x of positive values as x · 1/√x, of which each step is rounded as IEEE 754 says.

    `torch.sqrt` rounds otherwise with some libraries, and its last bit then depends on the machine.
    """
    return x * torch.rsqrt(x)


def mix(a: Tensor, b: Tensor | float, share: Tensor | float) -> Tensor:
    """a + share (b − a), of which each step is rounded, unlike `torch.lerp`."""
    return a + share * (b - a)


def sine(x: Tensor) -> Tensor:
    """sin x to about 1e-7, in steps that are rounded as IEEE 754 says.

    The nearest multiple of π is taken off in three parts. The rest r, at most π / 2, goes into the
    Taylor series up to r¹¹, whose error is 6e-8 there. `torch.sin` depends on the machine in its
    last bit.
    """
    half_turns = torch.round(x * (1 / torch.pi))
    odd = half_turns - 2 * torch.round(half_turns * 0.5)
    r = x - half_turns * _PI[0] - half_turns * _PI[1] - half_turns * _PI[2]
    square = r * r
    series: Tensor | float = 0.0
    for order in (11, 9, 7, 5, 3):
        series = (series + (-1) ** (order // 2) / math.factorial(order)) * square
    return (r + r * series) * (1 - 2 * odd * odd)


def shape_of(factors: Tensor) -> Shape:
    """(N, 41) factor values → measures of the head."""

    def f(name: str) -> Tensor:
        return column(factors, name)

    age, male = f("age"), f("gender")
    child = 1 - smoothstep((age - 2) / 15)
    old = smoothstep((age - 30) / 35)
    male = male * (1 - 0.8 * child)
    yaw, pitch = torch.deg2rad(f("yaw")), torch.deg2rad(f("pitch"))
    height = (0.90 + 0.22 * f("face_height")) * (1 - 0.10 * child)
    eye_y = 0.10 - 0.14 * child
    nose_tip = eye_y - 0.24 - 0.20 * f("nose_length") * (1 - 0.5 * child) - 0.04 * old
    mouth_y = 0.5 * (nose_tip - 0.92 * height) + 0.06
    long_hair = torch.sigmoid((f("hair_length") - 0.28 - 0.75 * f("gender") + 0.2 * child) / 0.09)
    bald = f("baldness")
    return Shape(
        width=0.60 + 0.20 * f("face_width") + 0.03 * male + 0.04 * child,
        height=height,
        depth=0.84 + 0 * age,
        taper=0.64 - 0.50 * f("jaw") - 0.12 * male - 0.10 * child - 0.06 * old,
        square=0.05 + 0.70 * f("jaw") + 0.20 * male + 0.10 * old - 0.2 * child,
        chin=0.05 + 0.07 * male + 0.03 * (1 - f("jaw")) - 0.03 * child,
        cheek=0.05 + 0.03 * f("expression") + 0.03 * child - 0.03 * old,
        eye_x=0.235 + 0.12 * f("eye_distance") + 0.02 * child,
        eye_y=eye_y,
        eye_size=0.125 + 0.085 * f("eye_size") + 0.03 * child - 0.012 * male,
        brow_y=eye_y + 0.215 + 0.03 * (1 - male) + 0.02 * child - 0.02 * old,
        brow_ridge=0.02 + 0.075 * male + 0.02 * f("brow"),
        nose_width=(0.085 + 0.085 * f("nose_width")) * (1 + 0.1 * male),
        nose_tip=nose_tip,
        nose_height=(0.20 + 0.10 * f("nose_length") + 0.04 * male + 0.03 * old) * (1 - 0.4 * child),
        mouth_y=mouth_y,
        mouth_width=(0.15 + 0.23 * f("mouth_width")) * (1 - 0.12 * child),
        lips=(0.25 + 1.05 * f("lips")) * (1 - 0.30 * male) * (1 - 0.35 * old),
        smile=f("expression"),
        hair_volume=0.05 + 0.22 * f("hair_volume") * (1 - 0.45 * male * (1 - long_hair)),
        hairline=0.06 + 0.05 * male + 0.05 * old * male,
        fringe=f("fringe") * (1 - smoothstep((bald - 0.15) / 0.3)),
        parting=f("parting") * 2 - 1,
        bald=bald,
        beard=f("beard"),
        curtain_length=0.35 + 1.1 * f("hair_length"),
        curtain=long_hair * (1 - smoothstep((bald - 0.25) / 0.3)),
        neck=0.30 + 0.12 * male - 0.05 * child,
        shoulders=1.02 + 0.28 * male - 0.25 * child,
        old=old,
        child=child,
        male=male,
        sin_yaw=yaw.sin(),
        cos_yaw=yaw.cos(),
        sin_pitch=pitch.sin(),
        cos_pitch=pitch.cos(),
    )


def place(s: Shape, right: Tensor, up: Tensor, near: Tensor) -> Points:
    """Camera positions (N, K) with their head coordinates: p = R_pitchᵀ R_yawᵀ (P − pivot)."""
    height, depth = PIVOT
    above, before = up - height, near - depth
    x = s.cos_yaw * right - s.sin_yaw * before
    turned = s.sin_yaw * right + s.cos_yaw * before
    y = s.cos_pitch * above - s.sin_pitch * turned + height
    z = s.sin_pitch * above + s.cos_pitch * turned + depth
    return Points(x, y, z, right, up, near)


def parts(s: Shape, p: Points) -> Parts:
    """Distances to head with hair, ears, hair curtain, neck and shoulders."""
    side = p.x.abs()
    above = _above_hairline(s, side, p)
    head = _skull(s, side, p) - _relief(s, side, p) - s.hair_volume * _thickness(above)
    return Parts(head, _ear(s, side, p), _curtain(s, side, p), _neck(s, p), _shoulders(s, p), above)


def union(d: Parts) -> Tensor:
    """(N, K) distance to all parts, blended where they meet."""
    head = smooth_min(smooth_min(d.head, d.ear, 0.03), d.curtain, 0.05)
    return smooth_min(head, smooth_min(d.neck, d.shoulders, 0.12), 0.06)


def _skull(s: Shape, side: Tensor, p: Points) -> Tensor:
    """A super-ellipsoid that narrows below the ears: (‖·‖ − 1) × mean radius."""
    level = p.y / s.height
    low = (-level).clamp(min=0)
    low2 = low * low
    level2 = level * level
    vertical = level2 + (level2 - 1) * (0.25 * level2 + (s.square - 0.25) * low2)
    across = side * (1 + s.taper * low2) / s.width
    deep = (p.z - 0.10 * low2) / s.depth
    return (root(across * across + vertical + deep * deep + 1e-6) - 1) * 0.78


def _kernel(square_distance: Tensor) -> Tensor:
    """(1 − q)₊²: a smooth bump with compact support."""
    k = (1 - square_distance).clamp(min=0)
    return k * k


def _relief(s: Shape, side: Tensor, p: Points) -> Tensor:
    """How far the face stands out of the skull: nose, brow, eyes, cheeks, lips and chin."""
    x2, y = p.x * p.x, p.y
    bridge = s.eye_y + 0.06
    rise = ((bridge - y) / (bridge - s.nose_tip)).clamp(0, 1)
    under = smoothstep((y - s.nose_tip + 0.12) * 7.5)
    breadth = s.nose_width * (1.15 + 0.75 * rise)
    nose = s.nose_height * rise * (0.45 + 0.55 * rise) * under
    nose = nose * _kernel(x2 / (breadth * breadth))
    wing_x, wing_y = side - 0.95 * s.nose_width, y - (s.nose_tip + 0.02)
    wing = 0.06 * _kernel((wing_x * wing_x + wing_y * wing_y) * 90)
    eye_x, eye_y = side - s.eye_x, y - s.eye_y
    eye = (eye_x / 1.25).square() + eye_y * eye_y
    socket = -0.05 * _kernel(eye * 14)
    ball = 0.04 * _kernel(eye * 45)
    brow_y = y - s.brow_y
    brow = s.brow_ridge * _kernel((side - 0.2).square() * 6 + brow_y * brow_y * 50)
    cheek_x, cheek_y = side - 0.62 * s.width, y - (s.nose_tip + 0.05)
    cheek = s.cheek * _kernel((cheek_x * cheek_x + cheek_y * cheek_y) * 9)
    mouth_y = y - s.mouth_y
    lips = (0.03 + 0.04 * s.lips) * _kernel(x2 * 8 + mouth_y * mouth_y * 40)
    chin_y = y + 0.86 * s.height
    chin = s.chin * _kernel(x2 * 12 + chin_y * chin_y * 22)
    return nose + wing + socket + ball + brow + cheek + lips + chin


def _above_hairline(s: Shape, side: Tensor, p: Points) -> Tensor:
    """Signed height above the hairline; positive where hair grows."""
    dip = side - 0.45
    line = s.hairline + 0.92 * p.z - 0.16 * _kernel(dip * dip * 9) * (1 - 0.5 * s.male)
    swept = p.x - 0.45 * s.parting
    line = line - s.fringe * 0.42 * _kernel(swept * swept * 1.1) * (p.z * 20 + 0.5).clamp(0, 1)
    crown = (p.y + 0.25 + 0.35 * p.z).clamp(min=0)
    gone = s.bald * (1.6 * crown + 1.3 * s.bald.square())
    return p.y - line - gone - 0.35 * (side - 0.3 * s.width).clamp(min=0) * s.male


def _thickness(above: Tensor) -> Tensor:
    return smoothstep(above * 3)


def _ear(s: Shape, side: Tensor, p: Points) -> Tensor:
    x, y, z = side - s.width - 0.02, p.y - EAR_HEIGHT, p.z + 0.06
    q = (x / 0.085).square() + (y / 0.19).square() + (z / 0.12).square()
    return (root(q + 1e-6) - 1) * 0.085


def _curtain(s: Shape, side: Tensor, p: Points) -> Tensor:
    """Long hair: a rounded column behind the face, open in front."""
    half = 0.5 * (0.62 + s.curtain_length)
    level = (p.y - 0.62 + half) / half
    level2 = level * level
    reach = s.width + 0.07 + 0.75 * s.hair_volume
    across, deep = side / reach, (p.z + 0.22) / 0.62
    column_ = (root(across * across + deep * deep + level2 * level2 + 1e-6) - 1) * 0.6
    front = p.z - 0.22 - 0.25 * (side - s.width) + 0.7 * (0.5 - side).clamp(min=0)
    return torch.maximum(column_, front * 0.9) + 0.5 * (1 - s.curtain)


def _neck(s: Shape, p: Points) -> Tensor:
    back = p.near + 0.18
    flare = (-0.95 - p.up).clamp(min=0)
    radius = root(p.right * p.right + back * back + 1e-6)
    below = p.up + 0.55
    return torch.maximum(radius - s.neck - 0.5 * flare * flare, below)


def _shoulders(s: Shape, p: Points) -> Tensor:
    level = (p.up + 1.78) / 0.55
    across = p.right / s.shoulders
    deep = (p.near + 0.2) / 0.5
    across2 = across * across
    q = across2 * across2 + level * level + deep * deep
    return (root(q + 1e-6) - 1) * 0.48
