"""Batched rendering of SynthFace images: coarse-to-fine cone marching, painting and lighting."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from latentedit_synthface import compiled
from latentedit_synthface.factors import LIGHT, NAMES
from latentedit_synthface.glasses import draw_glasses
from latentedit_synthface.head import Points, Shape, parts, place, shape_of, union
from latentedit_synthface.lighting import irradiance
from latentedit_synthface.memory import keep_heap
from latentedit_synthface.painting import Palette, background, paint, palette_of, surface_of, waves
from latentedit_synthface.selection import places_of

EXTENT, CENTRE = 1.46, -0.10
"""Half the height of the view and the height of its centre, in half head heights."""
_NEAR, _FAR = 1.25, -0.95
_RAYS_PER_CHUNK = 262_144
_COARSEST = 16
_FIRST_STEPS, _DESCEND_STEPS, _PIXEL_STEPS, _LATE_STEPS, _EDGE_STEPS = 6, 2, 3, 3, 4
_RELAXATION = 0.9
_SLOPES = (0.3, 2.5)
_CONVERGED, _MISS = 0.008, 0.03
_OUTLINE_MISS = 1.0
"""Remaining distance, in units of a sample, at which an outline sample counts as a hit."""
_JUMP = 0.16
"""Difference in depth between neighbouring pixels at which there is an outline."""
_DIFFERENCE = 0.008
_STEEPEST = 3.0


class Rays(NamedTuple):
    """Square blocks of samples, each traced as one ray: column, row and depth, all (N, K).

    The rays of an image fill its row from the left; what is left over repeats the first.
    """

    column: Tensor
    row: Tensor
    near: Tensor


def render(factors: Tensor, resolution: int = 64, supersampling: int = 2) -> Tensor:
    """Draw faces. It is deterministic, and differentiable with respect to the factors.

    Geometry and light are computed per pixel, and per sample at outlines. Paint is computed per
    sample.

    Args:
        factors: (N, 41) values in natural units, columns in the order of `NAMES`.
        resolution: height and width of the images in pixels.
        supersampling: samples per pixel along each side.

    Returns:
        (N, 3, resolution, resolution) in [-1, 1]. Gradients flow through geometry, paint and
        light inside the visible surfaces, not through the motion of their outlines.
    """
    _check_factors(factors)
    if resolution < 1 or supersampling < 1:
        raise ValueError(
            f"resolution and supersampling are positive integers, "
            f"received {resolution} and {supersampling}"
        )
    if len(factors) == 0:
        return factors.new_zeros(0, 3, resolution, resolution)
    keep_heap()
    chunk = max(1, _RAYS_PER_CHUNK // (resolution * supersampling) ** 2)
    parts_ = factors.float().split(chunk)
    return torch.cat([_render_chunk(part, resolution, supersampling) for part in parts_])


def _check_factors(factors: Tensor) -> None:
    if factors.ndim != 2 or factors.shape[1] != len(NAMES):
        raise ValueError(f"factors have shape (N, {len(NAMES)}), received {tuple(factors.shape)}")


def _render_chunk(factors: Tensor, resolution: int, supersampling: int) -> Tensor:
    shape, palette = shape_of(factors), palette_of(factors)
    size = resolution * supersampling
    with torch.no_grad():
        pixels, samples = trace(shape, resolution, supersampling)
    canvas = shade(
        background(palette, size),
        shape,
        palette,
        factors[:, LIGHT],
        (pixels, samples),
        (resolution, supersampling),
    )
    canvas = draw_glasses(canvas, shape, factors, EXTENT, CENTRE)
    return avg_pool2d(canvas, supersampling).clamp(0, 1) * 2 - 1


@torch.no_grad()
def wave_phases(factors: Tensor, resolution: int = 64) -> Tensor:
    """Where the waves of strands and folds stand at the centres of pixels: what is too fine to be
    learned from pixels alone.

    Args:
        factors: (N, 41) values in natural units, columns in the order of `NAMES`.
        resolution: height and width in pixels.

    Returns:
        (N, 2, resolution, resolution) phases in radians: dark where the sine is -1. First coarse
        strands of hair and folds of the forehead, then fine strands, bags under the eyes and folds
        beside the mouth. Folds have phases on young faces too, where they do not show yet; NaN
        where there are no waves at any age.
    """
    _check_factors(factors)
    if resolution < 1:
        raise ValueError(f"resolution is a positive integer, received {resolution}")
    if len(factors) == 0:
        return factors.new_zeros(0, 2, resolution, resolution)
    chunk = max(1, _RAYS_PER_CHUNK // (2 * resolution) ** 2)
    return torch.cat([_phases(part, resolution) for part in factors.float().split(chunk)])


def _phases(factors: Tensor, resolution: int) -> Tensor:
    s, unit = shape_of(factors), 2 * EXTENT / resolution
    pixels, _ = trace(s, resolution, 1)
    p = place(s, *_screen(pixels, unit), pixels.near)
    nothing = torch.zeros_like(p.near)
    found = waves(s, p, surface_of(parts(s, p), (nothing, nothing, nothing), nothing))
    canvas = found.new_full((len(factors), found.shape[1], resolution**2), torch.nan)
    index = (pixels.row * resolution + pixels.column)[:, None].expand_as(found)
    return canvas.scatter(2, index, found).view(-1, found.shape[1], resolution, resolution)


def trace(s: Shape, resolution: int, supersampling: int) -> tuple[Rays, Rays]:
    """Where rays first meet the surface.

    Cones through square blocks of pixels march until the surface may lie inside them; blocks that
    may be hit are split in four, down to pixels. Pixels at outlines are split into samples.

    Returns:
        Pixels wholly on a smooth piece of surface, and single samples at outlines.
    """
    block = _coarsest_block(resolution)
    rays, steps = all_blocks(s, resolution // block), _FIRST_STEPS
    while block > 1:
        unit = 2 * EXTENT * block / resolution
        radius = unit / 2**0.5
        near, _ = march(s, rays, unit, radius, steps)
        rays, _ = _compact(rays._replace(near=near), near > _FAR)
        rays, block, steps = _split(rays, 2), block // 2, _DESCEND_STEPS
    rays, hit = find_surface(s, rays, 2 * EXTENT / resolution)
    if supersampling == 1:
        return _compact(rays, hit)[0], _compact(rays, torch.zeros_like(hit))[0]
    return _separate_outlines(s, rays, hit, resolution, supersampling)


def shade(
    canvas: Tensor,
    s: Shape,
    palette: Palette,
    light: Tensor,
    rays: tuple[Rays, Rays],
    size: tuple[int, int],
) -> Tensor:
    """Light pixels and outline samples, then paint all samples.

    Args:
        canvas: (N, 3, side, side) in [0, 1], what lies behind the head.
        light: (N, 9).
        rays: pixels and samples, as from `trace`.
        size: resolution and supersampling.

    Returns:
        A canvas with the head; it may be `canvas` itself.
    """
    resolution, supersampling = size
    pixels, samples = rays
    unit = 2 * EXTENT / resolution
    fine = unit / supersampling
    faces = (*s, *palette, light)
    if compiled.usable(*faces):
        screen = (EXTENT, CENTRE + EXTENT, _DIFFERENCE, 1 / _STEEPEST, resolution, supersampling)
        compiled.shade(canvas, faces, ((pixels, supersampling, unit), (samples, 1, fine)), screen)
        return canvas
    centres = [
        torch.cat(pair, dim=1)
        for pair in zip(_screen(pixels, unit), _screen(samples, fine), strict=True)
    ]
    p = _surface_points(s, centres[0], centres[1], torch.cat([pixels.near, samples.near], dim=1))
    d = parts(s, p)
    normal = _normal(s, p, union(d))
    surface = surface_of(d, normal, irradiance(*normal, light))
    count, copies = pixels.near.shape[1], supersampling**2

    def spread(value: Tensor) -> Tensor:
        whole = value[:, :count, None].expand(-1, -1, copies).flatten(1)
        return torch.cat([whole, value[:, count:]], dim=1)

    split = _split(pixels, supersampling)
    column = torch.cat([split.column, samples.column], dim=1)
    row = torch.cat([split.row, samples.row], dim=1)
    right, up = _screen(Rays(column, row, p.near), fine)
    tilt_x, tilt_y = (spread(g / normal[2].clamp(min=1 / _STEEPEST)) for g in normal[:2])
    near = spread(p.near) - tilt_x * (right - spread(p.right)) - tilt_y * (up - spread(p.up))
    fine_surface = type(surface)(*(spread(value) for value in surface))
    colours = paint(s, palette, place(s, right, up, near), fine_surface)
    index = row * (resolution * supersampling) + column
    painted = canvas.flatten(2).scatter(2, index[:, None].expand(-1, 3, -1), colours)
    return painted.view_as(canvas)


def _separate_outlines(
    s: Shape, rays: Rays, hit: Tensor, resolution: int, supersampling: int
) -> tuple[Rays, Rays]:
    place_ = rays.row * resolution + rays.column
    nothing = torch.full_like(rays.near[:, :1], _FAR - 1).expand(-1, resolution**2)
    depth = nothing.scatter(1, place_, torch.where(hit, rays.near, nothing[:, :1]))
    nearest, farthest = _neighbour_range(depth, resolution)
    outline = nearest - farthest > _JUMP
    pixels, _ = _compact(rays, hit & ~outline.gather(1, place_))
    index = torch.arange(resolution**2, device=depth.device).expand_as(depth)
    every = Rays(index % resolution, index // resolution, nearest)
    edges, places = _compact(every, outline)
    samples = _split(edges, supersampling)
    behind = farthest.gather(1, places).repeat_interleave(supersampling**2, dim=1)
    return pixels, _find_outline(s, samples, behind, 2 * EXTENT / resolution / supersampling)


def _find_outline(s: Shape, samples: Rays, behind: Tensor, unit: float) -> Rays:
    """Trace samples at an outline; those that pass the nearer surface fall on what lies behind."""
    near, distance = march(s, samples, unit, 0.0, _EDGE_STEPS)
    passed = (distance > _CONVERGED) & (near > behind)
    near = torch.where(passed & (behind > _FAR), behind, near)
    near, distance = march(s, samples._replace(near=near), unit, 0.0, 1)
    hit = (distance < _OUTLINE_MISS * unit) & (near > _FAR)
    return _compact(samples._replace(near=near), hit)[0]


def _neighbour_range(depth: Tensor, resolution: int) -> tuple[Tensor, Tensor]:
    """Largest and smallest depth of each pixel and its four neighbours, (N, resolution²)."""
    grid = depth.unflatten(1, (resolution, resolution))
    largest, smallest = grid.clone(), grid.clone()
    for axis in (1, 2):
        low, high = (grid.narrow(axis, start, resolution - 1) for start in (0, 1))
        for to, other in ((1, low), (0, high)):
            for found, extreme in ((largest, torch.maximum), (smallest, torch.minimum)):
                part = found.narrow(axis, to, resolution - 1)
                part.copy_(extreme(part, other))
    return largest.flatten(1), smallest.flatten(1)


def find_surface(s: Shape, rays: Rays, unit: float) -> tuple[Rays, Tensor]:
    """March to the surface, with more steps for slow rays; depths, and whether each ray hits."""
    near, distance = march(s, rays, unit, 0.0, _PIXEL_STEPS)
    rays = rays._replace(near=near)
    late, places = _compact(rays, (distance > _CONVERGED) & (near > _FAR))
    late_near, late_distance = march(s, late, unit, 0.0, _LATE_STEPS)
    near = near.scatter(1, places, late_near)
    distance = distance.scatter(1, places, late_distance)
    return rays._replace(near=near), (distance < _MISS) & (near > _FAR)


def march(s: Shape, rays: Rays, unit: float, radius: float, steps: int) -> tuple[Tensor, Tensor]:
    """Advance rays until the surface is within `radius`; depths, and the last distances seen.

    With a radius steps are the distance left and never turn back; without one they are those of
    the secant method, with the slope of the distance along the ray kept within bounds.
    """
    right, up = _screen(rays, unit)
    if compiled.usable(*s):
        how = (radius, steps, _RELAXATION, _SLOPES)
        return compiled.march(s, (right, up, rays.near), *how)
    near, slope = rays.near, torch.ones_like(rays.near)
    distance = step = near
    for i in range(steps):
        before = distance
        distance = union(parts(s, place(s, right, up, near)))
        if radius:
            step = ((distance - radius) * _RELAXATION).clamp(min=0)
        else:
            if i > 0:
                slope = (before - distance) / torch.where(step.abs() < 1e-4, 1e-4, step)
            step = distance / slope.clamp(*_SLOPES)
        near = near - step
    return near, distance


def _surface_points(s: Shape, right: Tensor, up: Tensor, near: Tensor) -> Points:
    """Points of the traced surface; a Newton step, near − d / (∂d/∂near), carries gradients."""
    if not s.width.requires_grad:
        return place(s, right, up, near)
    distance = union(parts(s, place(s, right, up, near)))
    with torch.no_grad():
        closer = union(parts(s, place(s, right, up, near + _DIFFERENCE)))
        slope = ((closer - distance) / _DIFFERENCE).clamp(min=0.15)
    return place(s, right, up, near - (distance - distance.detach()) / slope)


def _normal(s: Shape, p: Points, distance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Unit gradient of the distance in camera axes, by forward differences."""
    e = _DIFFERENCE
    gx = union(parts(s, place(s, p.right + e, p.up, p.near))) - distance
    gy = union(parts(s, place(s, p.right, p.up + e, p.near))) - distance
    gz = union(parts(s, place(s, p.right, p.up, p.near + e))) - distance
    inverse = torch.rsqrt(gx * gx + gy * gy + gz * gz + 1e-12)
    return gx * inverse, gy * inverse, gz * inverse


def _screen(rays: Rays, unit: float) -> tuple[Tensor, Tensor]:
    """Camera positions (right, up) of the centres of blocks with sides of `unit`."""
    return (rays.column + 0.5) * unit - EXTENT, CENTRE + EXTENT - (rays.row + 0.5) * unit


def _coarsest_block(resolution: int) -> int:
    block = 1
    while resolution % (2 * block) == 0 and resolution // (2 * block) >= _COARSEST:
        block *= 2
    return block


def all_blocks(s: Shape, count: int) -> Rays:
    index = torch.arange(count * count, device=s.width.device).expand(len(s.width), -1)
    return Rays(index % count, index // count, torch.full_like(index, _NEAR, dtype=s.width.dtype))


def _split(rays: Rays, factor: int) -> Rays:
    """Each block in factor × factor smaller ones, kept together."""
    inner = torch.arange(factor**2, device=rays.near.device)
    return Rays(
        (factor * rays.column[..., None] + inner % factor).flatten(1),
        (factor * rays.row[..., None] + inner // factor).flatten(1),
        rays.near.repeat_interleave(factor**2, dim=1),
    )


def _compact(rays: Rays, keep: Tensor) -> tuple[Rays, Tensor]:
    """The rays to keep, moved to the left, and the places (N, K) they came from."""
    places = places_of(keep)
    return Rays(*(channel.gather(1, places) for channel in rays)), places
