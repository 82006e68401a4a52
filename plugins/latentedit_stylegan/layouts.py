"""Layouts of weight files, and the conversion of their arrays to ours."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import numpy as np
from pydantic import ValidationError

from latentedit import InertTensor, NetworkFile, RefusedFile
from latentedit_stylegan import keys
from latentedit_stylegan.alias_free_architecture import AliasFreeArchitecture, AnyArchitecture
from latentedit_stylegan.architecture import Architecture
from latentedit_stylegan.keys import Array, Table
from latentedit_stylegan.synthesis import FILTER

Arrays = Mapping[str, Array]
A = TypeVar("A", Architecture, AliasFreeArchitecture)
NAMES: Mapping[type, str] = {Architecture: "StyleGAN2", AliasFreeArchitecture: "StyleGAN3"}

MAX_PARTS = 50_000
"""A published file with its discriminator has about 3,000."""
MAX_NAME = 300
BYTES = 4
"""Of a float32 number."""
_FIR = np.outer(FILTER, FILTER) / sum(FILTER) ** 2


@dataclass(frozen=True)
class Found:
    """A network from a file, under our names.

    Args:
        layout: the name of the file's layout.
        weights: float32 arrays, without `w_avg` if the file has none.
        statements: the file's content in words.
    """

    layout: str
    architecture: AnyArchitecture
    weights: Arrays
    statements: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """A way of naming weights.

    Args:
        table: their keys, by ours.
        extra: keys that are read for checking only: low-pass filters.
        extra_gain: factors that those filters may have.
    """

    name: str
    table: Callable[[Any], Table]
    extra: re.Pattern[str]
    extra_gain: tuple[float, ...]


class Gathered:
    """The arrays of a file by name, with limits on their number and on what is looked at.

    A file can hold one part in many places, so a walk through its places could be endless.
    """

    def __init__(self, file: NetworkFile) -> None:
        self.file, self.parts = file, 0
        self.arrays: dict[str, Array] = {}

    def count(self, parts: int) -> None:
        """Refuse the file if more than `MAX_PARTS` parts are looked at."""
        self.parts += parts
        if self.parts > MAX_PARTS:
            refuse(self.file, f"its networks have more than {MAX_PARTS:,} parts")

    def add(self, name: str, array: Array) -> None:
        self.check_name(name)
        if name in self.arrays:
            refuse(self.file, f"it has {name} twice")
        self.arrays[name] = array

    def add_tensors(self, prefix: str, held: Mapping[Any, Any]) -> None:
        """Add a dictionary of tensors; None stands for a tensor that is not there."""
        self.count(len(held))
        for name, value in held.items():
            if isinstance(value, InertTensor):
                self.add(f"{prefix}{name}", value.array())
            elif value is not None:
                refuse(self.file, f"{str(name)[:80]} is no tensor but {type(value).__name__}")

    def check_name(self, name: str) -> None:
        if len(name) > MAX_NAME:
            refuse(self.file, f"the name {name[:80]}… has {len(name):,} characters")


def found(
    layout: Layout, architecture: Architecture, weights: Arrays, statements: tuple[str, ...]
) -> Found:
    """A StyleGAN2 network that was found."""
    first = statement("StyleGAN2", layout, architecture, weights)
    return Found(layout.name, architecture, weights, (first, *statements))


def statement(kind: str, layout: Layout, a: AnyArchitecture, weights: Arrays) -> str:
    """One line about a network's size."""
    numbers = sum(array.size for array in weights.values())
    return (
        f"{kind} in the names of {layout.name}: {a.resolution} pixels, {a.num_ws} rows of W+, "
        f"z {a.z_dim}, w {a.w_dim}, {a.mapping_layers} mapping layers, "
        f"{f'{a.c_dim} classes' if a.c_dim else 'no classes'}, {numbers:,} numbers"
    )


def count(arrays: Arrays, pattern: str) -> int:
    return sum(re.fullmatch(pattern, key) is not None for key in arrays)


def widths_of(arrays: Arrays, name: str) -> tuple[int, int]:
    """Rows and columns of a matrix; 0 and 0 if there is none of that name."""
    found = arrays.get(name)
    rows, columns = found.shape if found is not None and found.ndim == 2 else (0, 0)
    return rows, columns


def channels_of(
    arrays: Arrays, pattern: str, resolution: Callable[[int], int], outputs: int
) -> dict[int, int]:
    """Feature maps by resolution.

    Args:
        pattern: of the names of the weights to look at, with their number as a group.
        resolution: of the weight with that number.
        outputs: the axis of feature maps.
    """
    table: dict[int, int] = {}
    for key, array in arrays.items():
        match = re.fullmatch(pattern, key)
        if match and array.ndim > outputs:
            table.setdefault(resolution(int(match[1])), int(array.shape[outputs]))
    return table


def architecture_of(file: NetworkFile, kind: type[A], **values: Any) -> A:
    """Raises `RefusedFile` naming the first of `values` that no such network has."""
    try:
        return kind(**values)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        what = f"its {place or 'shape'} is not that of a {NAMES[kind]} network"
        return refuse(file, f"{what}: {problem['msg'].removeprefix('Value error, ')}")


def weights_of(
    file: NetworkFile,
    layout: Layout,
    architecture: AnyArchitecture,
    arrays: Mapping[str, Array],
    optional: set[str] | frozenset[str] = frozenset(),
) -> dict[str, Array]:
    """Exactly the arrays of a layout's table, as ours; everything else must be a known filter."""
    table, weights, shapes = layout.table(architecture), {}, architecture.shapes()
    file.check_expansion(BYTES * sum(math.prod(shape) for shape in shapes.values()))
    for ours, shape in shapes.items():
        entry = table.get(ours)
        if entry is None:
            refuse(file, f"the layout of {layout.name} has no {ours}")
        if entry.key not in arrays:
            if entry.key in optional:
                continue
            refuse(file, f"it lacks {entry.key}")
        weights[ours] = _converted(file, entry, arrays[entry.key], shape)
    known = {entry.key for entry in table.values()}
    for key in arrays.keys() - known:
        _check_extra(file, layout, key, arrays[key])
    return weights


def _converted(file: NetworkFile, entry: keys.Entry, array: Array, shape: tuple[int, ...]) -> Array:
    try:
        found = entry.convert(array)
    except (IndexError, ValueError):
        refuse(file, f"{entry.key} has shape {array.shape}")
    if found.shape != shape or found.dtype.kind != "f":
        refuse(file, f"{entry.key} is {array.dtype} of {array.shape}, which does not give {shape}")
    with np.errstate(over="ignore"):  # a number too large for 32 bits becomes infinite
        made = np.ascontiguousarray(found, np.float32).reshape(shape)
    if not np.isfinite(made).all():
        refuse(file, f"{entry.key} is not finite")
    return made


def _check_extra(file: NetworkFile, layout: Layout, key: str, array: Array) -> None:
    if not layout.extra.fullmatch(key):
        refuse(
            file,
            f"it has {key[:80]}, which no generator of {layout.name} with its architecture has",
        )
    if array.size == 1 and key.endswith("lod"):
        return
    matches = array.size == 16 and any(
        np.allclose(array.reshape(4, 4), gain * _FIR, atol=1e-5) for gain in layout.extra_gain
    )
    if not matches:
        refuse(file, f"its filter {key[:80]} is not [1, 3, 3, 1] with gain {layout.extra_gain}")


def refuse(file: NetworkFile, what: str) -> NoReturn:
    raise RefusedFile(file.path, 0, what, "Give a generator of NVIDIA, rosinality or genforce")
