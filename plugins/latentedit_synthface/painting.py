"""Colours of skin, hair, features, clothes and background, painted in head coordinates."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from latentedit_synthface.head import Parts, Points, Shape, column, mix, root, sine, smoothstep
from latentedit_synthface.selection import places_of

_SKIN = ((0.98, 0.84, 0.76), (0.90, 0.68, 0.54), (0.68, 0.45, 0.31), (0.36, 0.23, 0.16))
_HAIR_DARK, _HAIR_BROWN, _HAIR_BLOND = (0.07, 0.055, 0.05), (0.36, 0.21, 0.11), (0.90, 0.72, 0.36)
_HAIR_RED, _HAIR_GREY = (0.80, 0.26, 0.06), (0.72, 0.72, 0.73)
_IRIS = ((0.25, 0.11, 0.03), (0.55, 0.36, 0.05), (0.12, 0.58, 0.22), (0.06, 0.45, 0.95))
_WHITE, _LASH, _TEETH = (0.95, 0.95, 0.94), (0.07, 0.05, 0.05), (0.98, 0.97, 0.92)
_MOUTH = (0.25, 0.06, 0.06)
_FRONT = 0.2
"""Depth in head coordinates before which features of the face are painted."""
_ACROSS, _REACH = 1.3, 2.4
"""Phase of a single fold in radians per half its width, and how many of these it is given for."""


class Palette(NamedTuple):
    """Colours (N, 3) in [0, 1] and a few amounts (N, 1)."""

    skin: Tensor
    hair: Tensor
    brow: Tensor
    lips: Tensor
    iris: Tensor
    clothes: Tensor
    background: Tensor
    brow_size: Tensor
    gaze: Tensor


class Surface(NamedTuple):
    """What lies at points (N, K): shares of hair, neck and clothes in [0, 1] (the rest is face),
    light received, highlight added, and the upward component of the normal."""

    hair: Tensor
    neck: Tensor
    clothes: Tensor
    lit: Tensor
    gloss: Tensor
    upward: Tensor


def ramp(t: Tensor, colours: tuple[tuple[float, float, float], ...]) -> Tensor:
    """Piecewise-linear colour map: (N, 1) in [0, 1] → (N, 3)."""
    table = t.new_tensor(colours)
    result = table[0] + 0 * t
    for i in range(len(colours) - 1):
        step = (t * (len(colours) - 1) - i).clamp(0, 1)
        result = result + step * (table[i + 1] - table[i])
    return result


def hue_colour(hue: Tensor, saturation: Tensor, lightness: Tensor) -> Tensor:
    """(N, 1) each in [0, 1] → (N, 3): l + s l (cosines a third of a turn apart)."""
    phase = hue.new_tensor([0.0, 1 / 3, 2 / 3])
    wave = torch.cos(2 * torch.pi * (hue - phase))
    return (lightness * (1 + saturation * wave)).clamp(0, 1)


def palette_of(factors: Tensor) -> Palette:
    """(N, 41) factor values → colours."""

    def f(name: str) -> Tensor:
        return column(factors, name)

    skin = ramp(f("skin"), _SKIN)
    light = f("hair_lightness") * (1 - 0.55 * f("skin"))
    hair = ramp(light, (_HAIR_DARK, _HAIR_BROWN, _HAIR_BLOND))
    red = smoothstep((f("hair_redness") - 0.45) / 0.55) * (0.45 + 0.55 * light)
    hair = mix(hair, skin.new_tensor(_HAIR_RED), 0.85 * red)
    grey = smoothstep((f("age") - 34) / 26)
    hair = mix(hair, skin.new_tensor(_HAIR_GREY), 0.94 * grey)
    blood = skin * skin.new_tensor([0.92, 0.52, 0.52])
    rouge = skin * skin.new_tensor([0.98, 0.36, 0.40])
    old = smoothstep((f("age") - 40) / 30)
    lips = mix(rouge, blood, 0.15 + 0.85 * f("gender"))
    return Palette(
        skin=skin * (1 - 0.05 * old),
        hair=hair,
        brow=mix(hair * 0.6, skin * 0.35, 0.15),
        lips=mix(lips, skin * 0.85, 0.3 * old),
        iris=ramp(f("eye_hue"), _IRIS),
        clothes=hue_colour(
            f("clothes_hue"), 0.42 + 0 * skin[:, :1], 0.12 + 0.55 * f("clothes_lightness")
        ),
        background=hue_colour(
            f("background_hue"),
            0.04 + 0.30 * f("background_saturation"),
            0.24 + 0.48 * f("background_lightness"),
        ),
        brow_size=(0.014 + 0.036 * f("brow")) * (0.8 + 0.4 * f("gender")),
        gaze=f("gaze") * 2 - 1,
    )


def background(palette: Palette, size: int) -> Tensor:
    """(N, 3, size, size): a soft light behind the head."""
    axis = torch.linspace(-1, 1, size, device=palette.skin.device)
    distance = axis.square()[None, :] + (axis + 0.2).square()[:, None]
    glow = 1.16 - 0.30 * distance
    return palette.background[:, :, None, None] * glow


def surface_of(d: Parts, normal: tuple[Tensor, Tensor, Tensor], lit: Tensor) -> Surface:
    """What lies at points of the surface, from the distances to the parts and the light."""
    hair_or_head = torch.minimum(d.head, d.curtain)
    covered = torch.maximum(_step((d.above_hairline - 0.03) * 16), _step((d.head - d.curtain) * 30))
    covered = covered * _step((d.ear - hair_or_head) * 30)
    neck = _step((torch.minimum(hair_or_head, d.ear) - d.neck) * 30)
    clothes = _step((torch.minimum(d.neck, hair_or_head) - d.shoulders) * 30)
    gloss = _gloss(normal) * (0.10 + 0.10 * covered) * (1 - clothes) * lit
    return Surface(covered, neck * (1 - covered), clothes, lit, gloss, normal[1])


def paint(s: Shape, palette: Palette, p: Points, surface: Surface) -> Tensor:
    """Colours (N, 3, K) in [0, 1] of surface points."""
    face = places_of(is_face(surface))
    features = face_colour(s, palette, Points(*(axis.gather(1, face) for axis in p)))
    colour = palette.skin[:, :, None].expand(-1, -1, p.x.shape[1])
    colour = colour.scatter(2, face[:, None].expand(-1, 3, -1), features)
    return finished(s, palette, p, surface, colour)


def is_face(surface: Surface) -> Tensor:
    """(N, K): whether any of the face is seen there."""
    return (surface.hair < 1) & (surface.neck < 1) & (surface.clothes < 1)


def face_colour(s: Shape, palette: Palette, p: Points) -> Tensor:
    """Colours (N, 3, K) of a face without hair, before light falls on it."""
    side = p.x.abs()
    front = smoothstep(p.z * 4 - 0.4)
    colour = _skin(s, palette, p, side, front)
    colour = _beard(s, palette, p, side, colour)
    colour = _eyes(s, palette, p, side, front, colour)
    return _mouth(s, palette, p, front, colour)


def finished(s: Shape, palette: Palette, p: Points, surface: Surface, face: Tensor) -> Tensor:
    """Colours (N, 3, K) in [0, 1]: `face` where there is no hair, neck or clothes, in the light."""
    colour = mix(face, _hair(s, palette, p, surface.upward), surface.hair[:, None])
    colour = mix(colour, palette.skin[:, :, None] * _occlusion(p)[:, None], surface.neck[:, None])
    colour = mix(colour, palette.clothes[:, :, None], surface.clothes[:, None])
    return (colour * surface.lit[:, None] + surface.gloss[:, None]).clamp(0, 1)


def waves(s: Shape, p: Points, surface: Surface) -> Tensor:
    """Phases (N, 2, K) in radians of what is painted finely: dark where the sine is -1. First
    coarse strands of hair and folds of the forehead, then fine strands, bags under the eyes and
    folds beside the mouth. Folds have phases on young faces too, where they do not show yet; NaN
    where nothing is painted at any age."""
    hair = (surface.hair > 0.5) & (surface.clothes < 0.5)
    bare = (surface.hair + surface.neck + surface.clothes == 0) & (p.z > _FRONT)
    phases = [torch.where(hair, phase, torch.nan) for phase in _strands(s, p)]
    side = p.x.abs()
    forehead, depth = _forehead(s, p, side)
    (bag, below), (fold, beside) = _bag(s, p, side), _fold(s, p, side)
    for i, phase, there in (
        (0, forehead, depth > 0),
        (1, _ACROSS * bag, (bag.abs() < _REACH) & (below < 1)),
        (1, _ACROSS * fold, (fold.abs() < _REACH) & (beside < 1)),
    ):
        phases[i] = torch.where(bare & there, phase - torch.pi / 2, phases[i])
    return torch.stack(phases, dim=1)


def _step(x: Tensor) -> Tensor:
    return (x + 0.5).clamp(0, 1)


def _gloss(normal: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """A soft highlight of a light above the camera."""
    _, y, z = normal
    facing = (0.38 * y + 0.925 * z).clamp(min=0)
    facing = facing * facing
    facing = facing * facing
    facing = facing * facing
    return facing * facing


def _occlusion(p: Points) -> Tensor:
    """Less light under the chin."""
    return 0.55 + 0.45 * smoothstep((-0.85 - p.up) * 2.2)


def _skin(s: Shape, palette: Palette, p: Points, side: Tensor, front: Tensor) -> Tensor:
    cheek_x, cheek_y = side - 0.42, p.y - (s.nose_tip + 0.02)
    flush = (1 - (cheek_x * cheek_x + cheek_y * cheek_y) * 16).clamp(min=0) * 0.22
    nose_y = p.y - s.nose_tip
    flush = flush + (1 - (p.x * p.x + nose_y * nose_y) * 40).clamp(min=0) * 0.14
    flush = (flush * front)[:, None]
    dark = 1 - front * _wrinkles(s, p, side)
    nostril_x = side - 0.55 * s.nose_width
    nostril_y = nose_y + 0.055
    nostril = (1 - (nostril_x / 0.035).square() - (nostril_y / 0.022).square()) * 0.8
    dark = dark * (1 - 0.65 * front * nostril.clamp(0, 1))
    tint = palette.skin[:, :, None] * (1 - flush * flush.new_tensor([0.05, 0.75, 0.65])[:, None])
    return tint * dark[:, None]


def _wrinkles(s: Shape, p: Points, side: Tensor) -> Tensor:
    """Darkening in [0, 1] by folds: forehead, crow's feet, under the eyes, beside the mouth."""
    phase, forehead = _forehead(s, p, side)
    forehead = sine(phase + torch.pi / 2).clamp(min=0) * forehead
    eye_y = p.y - s.eye_y
    (bag, below), (fold, beside) = _bag(s, p, side), _fold(s, p, side)
    bag = (1 - bag.square() - below).clamp(min=0)
    fold = (1 - fold.square() - beside).clamp(min=0)
    crow_x = side - s.eye_x - 0.24
    crow = sine(eye_y * 60 / (1 + 3 * crow_x.clamp(-0.1, 0.3)) + torch.pi / 2).clamp(min=0)
    crow = crow * (1 - (crow_x / 0.11).square() - (eye_y / 0.16).square()).clamp(min=0)
    age = s.old
    return age * (0.5 * forehead + 0.5 * bag + 0.45 * crow) + fold * (
        0.10 * s.smile * (1 - s.child) + 0.6 * age
    )


def _forehead(s: Shape, p: Points, side: Tensor) -> tuple[Tensor, Tensor]:
    """Phase of the folds of the forehead in radians, and how deep they may be, in [0, 1]."""
    up = p.y - s.brow_y - 0.12
    depth = (1 - (up - 0.11).square() * 70 - side * side * 3).clamp(min=0)
    return up * 62 + 4 * p.x * p.x, depth


def _bag(s: Shape, p: Points, side: Tensor) -> tuple[Tensor, Tensor]:
    """Distance from the fold under an eye in half its width, and the square of the distance from
    its middle in half its length."""
    x = side - s.eye_x
    return (p.y - s.eye_y + 0.13 - 1.5 * x * x) / 0.035, (x / 0.17).square()


def _fold(s: Shape, p: Points, side: Tensor) -> tuple[Tensor, Tensor]:
    """The same of the fold from nose to mouth."""
    drop = s.nose_tip - p.y
    x = side - 1.15 * s.nose_width - 0.07 - 0.45 * drop * (0.6 + 0.5 * s.mouth_width)
    return x / 0.035, ((drop - 0.13) / 0.24).square()


def _grain(p: Points, frequency: float) -> Tensor:
    """Quasi-random texture in [-1, 1] of the position on the head."""
    return sine(p.x * frequency + 7 * sine(p.y * frequency * 0.7)) * sine(
        p.y * frequency * 1.3 + 5 * sine(p.z * frequency * 0.6)
    )


def _beard(s: Shape, palette: Palette, p: Points, side: Tensor, skin: Tensor) -> Tensor:
    """Stubble to full beard: jaw and chin, and a moustache."""
    jaw = (
        s.mouth_y
        + 0.10
        - 1.2 * (0.5 - side).clamp(min=0).square()
        - p.y
        + 0.55 * (side - 0.42).clamp(min=0)
    )
    moustache_y = p.y - (0.5 * s.mouth_y + 0.5 * s.nose_tip - 0.035)
    moustache = 1 - (p.x / (s.mouth_width + 0.06)).square() - (moustache_y / 0.075).square()
    area = torch.maximum(_step(jaw * 9), _step(moustache * 1.6)) * _step(p.z * 8 + 1.2)
    full = smoothstep(s.beard * 1.5)
    amount = area * full * (1.25 - 0.25 * full).clamp(0, 0.95) * (1 + 0.12 * _grain(p, 38.0))
    colour = mix(palette.hair * 0.75, palette.skin * 0.45, (1 - full) * 0.5)
    return mix(skin, colour[:, :, None], amount[:, None].clamp(0, 1))


def _eyes(
    s: Shape, palette: Palette, p: Points, side: Tensor, front: Tensor, skin: Tensor
) -> Tensor:
    e = s.eye_size
    x, y = (side - s.eye_x) / e, (p.y - s.eye_y) / e
    sign = p.x.sign()
    x2 = x * x
    open_ = 0.60 - 0.10 * s.old - 0.12 * s.smile
    upper = open_ * (1 - x2) + 0.06 * x
    lower = -0.42 * (1 - 0.25 * s.smile) * (1 - x2) + 0.06 * x
    inside = _step((upper - y) * 6) * _step((y - lower) * 6)
    iris_x = x - 0.22 * palette.gaze * sign
    radius = root(iris_x * iris_x + (y - 0.05).square() + 1e-6)
    white = skin.new_tensor(_WHITE)[:, None] * (1 - 0.25 * x2.clamp(max=1))[:, None]
    ball = mix(white, palette.iris[:, :, None], _step((0.56 - radius) * 9)[:, None])
    ball = ball * (1 - _step((0.23 - radius) * 9))[:, None]
    spark_x, spark_y = p.x - sign * s.eye_x + 0.2 * e - 0.22 * e * palette.gaze, y - 0.22
    spark = _step((0.14 - root((spark_x / e).square() + spark_y * spark_y + 1e-6)) * 9)
    ball = mix(ball, 1.0, spark[:, None])
    skin = mix(skin, ball, (inside * front)[:, None])
    female = 1 - s.male
    lash_width = 0.10 + 0.11 * female * (1 - 0.6 * s.child)
    within = _step((1.16 + 0.16 * female - x) * 8) * _step((1.02 + x) * 8)
    lid = (y - upper - 0.03).abs() / lash_width
    lash = (1.25 - lid).clamp(0, 1) * within * (0.70 + 0.25 * female)
    crease = (1 - (y - upper - 0.36).abs() / 0.12).clamp(0, 1) * within * 0.3
    under = (1 - (y - lower + 0.03).abs() / 0.10).clamp(0, 1) * within * 0.30
    line = torch.maximum(lash, torch.maximum(crease, under)) * front
    skin = mix(skin, skin * 0.12 + 0.02, line[:, None])
    shadow = (1 - (y - 0.75).square() * 2.4 - x2 * 0.7).clamp(0, 1) * female * (1 - s.child) * 0.25
    skin = skin * (1 - (shadow * front * (1 - inside)))[:, None]
    brow_x = side - s.eye_x
    arch = s.brow_y - 0.75 * (brow_x + 0.015).square() * (1 + female) + 0.02 * female
    taper = palette.brow_size * (1.0 - 1.1 * (brow_x + 0.02).clamp(min=0))
    brow = _step((taper - (p.y - arch).abs()) * 45)
    brow = brow * _step((0.20 - (brow_x - 0.01).abs()) * 18) * front * 0.92
    return mix(skin, palette.brow[:, :, None], brow[:, None])


def _mouth(s: Shape, palette: Palette, p: Points, front: Tensor, skin: Tensor) -> Tensor:
    width = s.mouth_width * (1 + 0.22 * s.smile)
    x = p.x / width
    x2 = x * x
    inside = (1 - x2).clamp(min=0)
    y = p.y - s.mouth_y - (0.085 * s.smile - 0.02) * x2
    bow = 0.012 * (1 - (x * 5).square()).clamp(min=0)
    gap = 0.055 * smoothstep((s.smile - 0.25) * 1.4) * inside
    top = gap * 0.35 + s.lips * 0.075 * inside
    top = top - bow * s.lips
    bottom = -gap - s.lips * 0.10 * inside
    edge = _step((1 - x.abs()) * 12)
    lips = _step((top - y) * 40 + 0.2) * _step((y - bottom) * 40 + 0.2) * edge * front
    skin = mix(skin, palette.lips[:, :, None], lips[:, None])
    opening = _step((gap * 0.35 - y) * 60) * _step((y + gap) * 60) * (gap * 60).clamp(0, 1) * front
    teeth = skin.new_tensor(_TEETH)[:, None] * _step((y + 0.8 * gap) * 60)[:, None]
    teeth = teeth + skin.new_tensor(_MOUTH)[:, None] * (1 - _step((y + 0.8 * gap) * 60))[:, None]
    skin = mix(skin, teeth, opening[:, None])
    line = (1 - (y - gap * 0.35).abs() / 0.018).clamp(0, 1) * edge * front
    line = line * (0.75 - 0.45 * (gap * 18).clamp(0, 1))
    shadow_y = p.y - s.mouth_y + s.lips * 0.10 + 0.07
    shadow = (1 - (shadow_y / 0.04).square() - (x / 0.7).square()).clamp(min=0) * 0.18 * front
    return skin * (1 - line)[:, None] * (1 - shadow)[:, None]


def _strands(s: Shape, p: Points) -> tuple[Tensor, Tensor]:
    """Phases of the waves that make strands, in radians."""
    across = p.x - 0.3 * s.parting
    coarse = across * 26 + sine(p.y * 5 + across * 9) * 1.3 - p.z * 14
    return coarse, coarse * 2.3 + p.y * 6


def _hair(s: Shape, palette: Palette, p: Points, upward: Tensor) -> Tensor:
    """Hair with strands that fall from the parting."""
    coarse, fine = _strands(s, p)
    strands = sine(coarse) * 0.6 + sine(fine) * 0.4
    band = (1 - (upward - 0.45).square() * 9).clamp(min=0) * 0.22
    shine = 1 + 0.16 * strands + band * (1 + 0.8 * strands)
    return palette.hair[:, :, None] * shine[:, None]
