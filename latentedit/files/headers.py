"""The header of a safetensors file, checked before anything of the file is used.

Layout: 8 bytes with the length of the header, the header in JSON, then the numbers. The header has
for each tensor its element type, shape, and first and last offset. The rules are those of
the format.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from latentedit.files.strict_json import strict_json

MAX_HEADER = 2 << 20
"""Limit in bytes; thousands of tensors fit. Python needs up to 30 times as much for its content."""
LENGTH_BYTES = 8
_MAX_AXES = 32
_BYTES: Mapping[str, int] = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3"), 1),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 2),
    **dict.fromkeys(("I32", "U32", "F32"), 4),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 8),
}
"""Bytes of one element, by type."""


@dataclass(frozen=True)
class TensorPlace:
    """Where a tensor is in its file.

    Args:
        start: its first byte, counted from the beginning of the file.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int


def header_length(first: bytes, size: int) -> int:
    """The length of the header, from the first 8 bytes of a file of `size` bytes.

    Raises:
        ValueError: it does not fit the file.
    """
    length = int.from_bytes(first, "little")
    if len(first) < LENGTH_BYTES or length > min(size - LENGTH_BYTES, MAX_HEADER):
        raise ValueError(f"a file of {size} bytes cannot have a header of {length} bytes")
    return length


def tensor_places(header: bytes, size: int) -> dict[str, TensorPlace]:
    """Where each tensor is, in the order of the file.

    Args:
        header: the JSON, without its length.
        size: of the whole file.

    Raises:
        ValueError: a name occurs twice, an element type is unknown, a shape does not fit its
            offsets, or the tensors do not fill the file one after the other without gaps.
    """
    if not header.startswith(b"{"):
        raise ValueError("its header does not begin with '{'")
    table = strict_json(header)
    if not isinstance(table, dict):
        raise ValueError("its header is not a table of tensors")
    _check_metadata(table.pop("__metadata__", None))
    begin = LENGTH_BYTES + len(header)
    found = {name: _entry(name, entry) for name, entry in table.items()}
    end = 0
    for name, (dtype, shape, first, last) in sorted(found.items(), key=lambda e: e[1][2:]):
        if first != end:
            raise ValueError(f"tensor {name[:80]!r} begins at {first}, not at {end}")
        if last - first != math.prod(shape) * _BYTES[dtype]:
            raise ValueError(
                f"tensor {name[:80]!r} has {last - first} bytes, {dtype} of {shape} has others"
            )
        end = last
    if begin + end != size:
        raise ValueError(f"its tensors end at byte {begin + end}, and the file at {size}")
    return {name: TensorPlace(e[0], e[1], begin + e[2]) for name, e in found.items()}


def _check_metadata(metadata: Any) -> None:
    texts = isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values())
    if metadata is not None and not texts:
        raise ValueError("its __metadata__ is not a table of texts")


def _entry(name: str, entry: Any) -> tuple[str, tuple[int, ...], int, int]:
    """Element type, shape, first and last offset of a tensor."""
    wanted = {"dtype", "shape", "data_offsets"}
    if not isinstance(entry, dict) or set(entry) != wanted:
        raise ValueError(f"tensor {name[:80]!r} needs {', '.join(sorted(wanted))} and nothing else")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _BYTES:
        raise ValueError(f"tensor {name[:80]!r} has the unknown element type {str(dtype)[:20]!r}")
    if not _sizes(shape) or len(shape) > _MAX_AXES or not _countable(shape):
        raise ValueError(f"tensor {name[:80]!r} has a shape that no tensor can have")
    if not _sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ValueError(f"tensor {name[:80]!r} has data_offsets that are no two sizes")
    return dtype, tuple(shape), offsets[0], offsets[1]


def _countable(shape: list[int]) -> bool:
    """Whether 63 bits count the elements; a size of 0 must not hide the others."""
    return math.prod(max(1, size) for size in shape) < 1 << 63


def _sizes(value: Any) -> bool:
    """Whether `value` is a list of whole numbers from 0 that a file can have."""
    return isinstance(value, list) and all(
        type(number) is int and 0 <= number < 1 << 63 for number in value
    )
