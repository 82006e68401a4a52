"""The compiled march of rays and the paint where they end, if the package has them.

A wheel has them if it was built where there is a C compiler. Without them, for gradients and on
other devices the renderer computes the same with torch, operation by operation. Each rounds as
IEEE 754 says, so both give the same bits. `LATENTEDIT_PLAIN_RENDERER=1` turns them off.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from latentedit_synthface.head import Shape

SOURCES = ("march.c", "distance.h", "paint.h")
LIBRARY = "march.so"
SWITCH = "LATENTEDIT_PLAIN_RENDERER"

FOLDER = Path(__file__).parent
"""Of the sources and the library."""


class _March(ctypes.Structure):
    """`March` of ``march.c``."""

    _fields_ = (
        ("radius", ctypes.c_float),
        ("relaxation", ctypes.c_float),
        ("lowest_slope", ctypes.c_float),
        ("highest_slope", ctypes.c_float),
        ("steps", ctypes.c_int),
    )


def source_digest(folder: Path) -> str:
    """SHA-256 over the C sources in `folder`; a library holds that of its own."""
    digest = hashlib.sha256()
    for name in SOURCES:
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


class _Rays(ctypes.Structure):
    """`Rays` of ``march.c``."""

    _fields_ = (
        ("column", ctypes.c_void_p),
        ("row", ctypes.c_void_p),
        ("near", ctypes.c_void_p),
        ("count", ctypes.c_int),
        ("side", ctypes.c_int),
        ("unit", ctypes.c_float),
    )


class _Screen(ctypes.Structure):
    """`Screen` of ``march.c``."""

    _fields_ = (
        ("extent", ctypes.c_float),
        ("top", ctypes.c_float),
        ("difference", ctypes.c_float),
        ("lowest_facing", ctypes.c_float),
        ("resolution", ctypes.c_int),
        ("supersampling", ctypes.c_int),
    )


@lru_cache(maxsize=2)
def library(folder: Path) -> ctypes.CDLL | None:
    """The library in `folder`; None if there is none, or if it was built from other sources."""
    try:
        found = ctypes.CDLL(str(folder / LIBRARY))
        built_from = ctypes.c_char_p.in_dll(found, "SOURCE").value
    except (OSError, ValueError):
        return None
    return found if built_from == source_digest(folder).encode() else None


def usable(*numbers: Tensor) -> bool:
    """Whether the compiled code can be used for these numbers of faces, such as a `Shape`."""
    return (
        not (torch.is_grad_enabled() and any(number.requires_grad for number in numbers))
        and all(number.device.type == "cpu" for number in numbers)
        and all(number.dtype == torch.float32 for number in numbers)
        and SWITCH not in os.environ
        and library(FOLDER) is not None
        and bool(torch.cat(numbers, dim=1).isfinite().all())  # comparisons of C pass over NaN
    )


def march(
    s: Shape,
    position: tuple[Tensor, Tensor, Tensor],
    radius: float,
    steps: int,
    relaxation: float,
    slopes: tuple[float, float],
) -> tuple[Tensor, Tensor]:
    """`renderer.march` from positions (right, up, near), each (N, K)."""
    right, up, start = (axis.contiguous() for axis in position)
    near, distance = start.clone(), torch.empty_like(start)
    rays = [_pointer(array) for array in (right, up, near, distance)]
    how = _March(radius, relaxation, *slopes, steps)
    _call("march", s, start.shape[1], *rays, how)
    return near, distance


def shade(
    canvas: Tensor,
    faces: Sequence[Tensor],
    kinds: Sequence[tuple[tuple[Tensor, Tensor, Tensor], int, float]],
    screen: tuple[float, float, float, float, int, int],
) -> None:
    """Paint `canvas`, (N, 3, size, size), as `renderer.shade` does.

    Args:
        faces: the fields of `Shape` and `Palette`, and the light, each (N, ...).
        kinds: for pixels and samples (column, row, near), samples along a side, and its length.
        screen: half the height of the view, its top, the difference that gives normals, the lowest
            depth of a normal, pixels along a side and samples of each.
    """
    kept = [tuple(axis.contiguous() for axis in rays) for rays, _, _ in kinds]
    rays = [
        _Rays(*map(_pointer, axes), axes[0].shape[1], side, unit)
        for axes, (_, side, unit) in zip(kept, kinds, strict=True)
    ]
    _call("shade", faces, (_Rays * len(rays))(*rays), _Screen(*screen), _pointer(canvas))


def _pointer(array: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.data_ptr())


def _call(name: str, faces: Sequence[Tensor], *arguments: Any) -> None:
    """Call a function of the library; the faces are shared by torch's number of threads."""
    found = cast(ctypes.CDLL, library(FOLDER))  # `usable` asks whether it is there
    function = getattr(found, name)
    measures = torch.cat(list(faces), dim=1)

    def part(first: int, end: int) -> None:
        function(first, end, _pointer(measures), *arguments)

    threads = min(torch.get_num_threads(), len(measures))
    if threads == 1:
        part(0, len(measures))
        return
    bounds = [len(measures) * i // threads for i in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(part, bounds[:-1], bounds[1:]))
