"""The compiled march of rays and the surface where they end, if the package has them.

A wheel has them if it was built where there is a C compiler. Without them, for gradients and on
other devices the renderer computes the same with torch, operation by operation. Each rounds as
IEEE 754 says, so both give the same bits. `LATENTEDIT_PLAIN_RENDERER=1` turns them off.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from latentedit_synthface.head import Parts, Shape

SOURCES = ("march.c", "distance.h")
LIBRARY = "march.so"
SWITCH = "LATENTEDIT_PLAIN_RENDERER"

FOLDER = Path(__file__).parent
"""Of the sources and the library."""

_PARTS = len(Parts._fields)


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


@lru_cache(maxsize=2)
def library(folder: Path) -> ctypes.CDLL | None:
    """The library in `folder`; None if there is none, or if it was built from other sources."""
    try:
        found = ctypes.CDLL(str(folder / LIBRARY))
        built_from = ctypes.c_char_p.in_dll(found, "SOURCE").value
    except (OSError, ValueError):
        return None
    return found if built_from == source_digest(folder).encode() else None


def usable(s: Shape) -> bool:
    """Whether the compiled code can be used for these heads."""
    return (
        not (torch.is_grad_enabled() and s.width.requires_grad)
        and s.width.device.type == "cpu"
        and s.width.dtype == torch.float32
        and SWITCH not in os.environ
        and library(FOLDER) is not None
        and bool(torch.cat(s, dim=1).isfinite().all())  # comparisons of C pass over NaN
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
    how = _March(radius, relaxation, *slopes, steps)
    _call("march", s, [right, up, near, distance], how)
    return near, distance


def surface(
    s: Shape, position: tuple[Tensor, Tensor, Tensor], difference: float
) -> tuple[Parts, tuple[Tensor, Tensor, Tensor]]:
    """Distances to the parts, and unit normals, at positions (right, up, near), each (N, K)."""
    axes = [axis.contiguous() for axis in position]
    found = axes[0].new_empty(_PARTS + 3, *axes[0].shape)
    _call("surface", s, [*axes, found[:_PARTS], found[_PARTS:]], ctypes.c_float(difference))
    return Parts(*found[:_PARTS]), (found[-3], found[-2], found[-1])


def _call(name: str, s: Shape, arrays: list[Tensor], last: ctypes._CData) -> None:
    """Call a function of the library; its heads are shared by torch's number of threads."""
    found = cast(ctypes.CDLL, library(FOLDER))  # `usable` asks whether it is there
    faces, rays = arrays[0].shape
    shapes = torch.cat(s, dim=1)
    pointers = [ctypes.c_void_p(array.data_ptr()) for array in (shapes, *arrays)]
    function: Callable[..., None] = getattr(found, name)

    def part(first: int, end: int) -> None:
        function(faces, first, end, rays, *pointers, last)

    threads = min(torch.get_num_threads(), faces)
    if threads == 1:
        part(0, faces)
        return
    bounds = [faces * i // threads for i in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(part, bounds[:-1], bounds[1:]))
