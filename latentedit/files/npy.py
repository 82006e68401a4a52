"""Numeric arrays in numpy's ``.npy`` format, read from untrusted files."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from latentedit.errors import CorruptArtefact
from latentedit.files.regular import file_size, open_regular

_MAGIC = b"\x93NUMPY"
_HEADER = re.compile(
    r"\{'descr': '([<|][fiu][1248])', 'fortran_order': (False|True), 'shape': \(([0-9, ]*)\), \}\s*"
)
"""The header that numpy.save writes for plain little-endian numbers. Every other one is refused.

numpy.load evaluates the header as a Python literal, and unpickles objects on request; a pattern
does neither.
"""
_MAX_HEADER, _MAX_AXES = 1_024, 8


def mapped_array(path: Path) -> NDArray[Any]:
    """The array in a ``.npy`` file, memory-mapped and read-only.

    Raises:
        InputError: there is no such regular file.
        CorruptArtefact: it does not hold plain numbers, or its size does not fit its
            header.
    """
    with open_regular(path) as file:
        head = file.read(_MAX_HEADER)
        size = file_size(file)
    found = _layout(str(path), head, size)
    if not math.prod(found.shape):  # numpy cannot map an empty file region
        return np.empty([min(length, 1) for length in found.shape], found.dtype)
    return np.memmap(path, found.dtype, "r", found.start, found.shape, found.order)


def parsed_array(data: bytes, name: str) -> NDArray[Any]:
    """The array in the bytes of a ``.npy`` file, read-only; see `mapped_array`.

    >>> parsed_array(b"PK", "axes.npz: mean")
    Traceback (most recent call last):
    latentedit.errors.CorruptArtefact: axes.npz: mean is no .npy file; save it with numpy.save
    """
    found = _layout(name, data[:_MAX_HEADER], len(data))
    numbers = np.frombuffer(data, found.dtype, offset=found.start)
    return numbers.reshape(found.shape, order=found.order)


class _Layout(NamedTuple):
    """Element type, shape, order of the axes in memory, and offset of the numbers."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    start: int


def _layout(name: str, head: bytes, size: int) -> _Layout:
    """The layout of the numbers, which must fill the file's `size` bytes."""
    found = _header(name, head)
    if found.start + math.prod(found.shape) * found.dtype.itemsize != size:
        raise CorruptArtefact(
            f"{name} has {size} bytes, but its header says {found.dtype} of {found.shape}: it was "
            "truncated or changed. Save it again with numpy.save"
        )
    return found


def _header(name: str, head: bytes) -> _Layout:
    # Format version 2.0 has a header length of 4 bytes instead of 2 (numpy.lib.format).
    wide = head[6:8] == b"\x02\x00"
    if not head.startswith(_MAGIC) or head[6:8] not in (b"\x01\x00", b"\x02\x00"):
        raise CorruptArtefact(f"{name} is no .npy file; save it with numpy.save")
    start = 12 if wide else 10
    length = int.from_bytes(head[8:start], "little")
    text = head[start : start + length].decode("latin1")
    found = _HEADER.fullmatch(text)
    if found is None or len(text) != length:
        raise CorruptArtefact(
            f"{name}, byte {start}: the header is not that of plain little-endian numbers. "
            "Save it with numpy.save as float32, without objects"
        )
    sizes = [part.strip() for part in found[3].split(",") if part.strip()]
    if len(sizes) > _MAX_AXES or not all(re.fullmatch(r"[0-9]{1,12}", size) for size in sizes):
        raise CorruptArtefact(
            f"{name}, byte {start}: ({found[3][:80]}) is not the shape of an array with at most "
            f"{_MAX_AXES} axes. Save it again with numpy.save"
        )
    order: Literal["C", "F"] = "F" if found[2] == "True" else "C"
    return _Layout(np.dtype(found[1]), tuple(int(size) for size in sizes), order, start + length)
