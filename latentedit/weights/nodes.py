"""Nodes: plain values in place of a file's tensors, arrays and objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from latentedit.weights.source import MAX_DEPTH, Source, Span

Array: TypeAlias = NDArray[Any]
Value: TypeAlias = Any
"""None, bool, int, float, str, tuple, list, dict with str or int keys, `Span` for bytes, or a node
of this module."""


@dataclass(frozen=True, slots=True, eq=False)
class Global:
    """A name in the file. It is never resolved to an object."""

    name: str


@dataclass(slots=True, eq=False)
class Storage:
    """Numbers in the file, of which tensors are views.

    Args:
        dtype: little-endian.
        count: number of elements.
        data: their bytes; None until they are read, since legacy files store them at the end.
    """

    dtype: np.dtype[Any]
    count: int
    data: Span | None


@dataclass(frozen=True, slots=True, eq=False)
class InertTensor:
    """A contiguous view of a storage, with checked bounds.

    Args:
        storage: its numbers.
        offset: index of its first element.
        shape: its sizes; their product is at most ``storage.count − offset``.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.storage.dtype

    def array(self) -> Array:
        """(\\*shape), read-only, without a copy of the file's bytes."""
        data = self.storage.data
        if data is None:  # unreachable: readers bind every storage or refuse the file
            raise RuntimeError("the storage of this tensor was never read")
        # dtype=object: Python integers cannot overflow
        count = int(np.prod(self.shape, dtype=object)) if self.shape else 1
        start = self.offset * self.dtype.itemsize
        raw = data.view[start : start + count * self.dtype.itemsize]
        return np.frombuffer(raw, self.dtype).reshape(self.shape)


@dataclass(slots=True, eq=False)
class InertDtype:
    """A numpy element type; `complete` once the file has set its byte order."""

    code: str
    complete: bool = False


@dataclass(slots=True, eq=False)
class InertArray:
    """A numpy array; its content is None until the file sets it."""

    content: Array | None = None


@dataclass(slots=True, eq=False, repr=False)  # a text of a nested state could have any length
class InertObject:
    """An object of the file as data: the name of its class, and its state.

    Args:
        class_name: as in the file.
        state: its attributes.
        source_sha256: of the class's source code in the file. The code itself is dropped.
    """

    class_name: str
    state: dict[str, Value]
    source_sha256: str = ""


def children(value: Value) -> Iterator[Value]:
    """The values directly inside `value`."""
    if isinstance(value, (list, tuple)):
        yield from value
    elif isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, InertObject):
        yield value.state


def check_tree(value: Value, source: Source, offset: int) -> None:
    """Refuse values that contain themselves, or that are nested more than 1,000 deep."""
    # A depth-first search with its own stack: recursion would exhaust Python's. True marks a value
    # on the current path, so meeting it again is a cycle; False marks a finished value.
    open_now: dict[int, bool] = {}
    path: list[tuple[int, Iterator[Value]]] = []

    def enter(held: Value) -> None:
        if not isinstance(held, (list, tuple, dict, InertObject)):
            return
        if open_now.get(id(held)):
            source.refuse(offset, "a value contains itself")
        if id(held) not in open_now:
            open_now[id(held)] = True
            path.append((id(held), children(held)))
            if len(path) > MAX_DEPTH:
                source.refuse(offset, f"values are nested more than {MAX_DEPTH} deep")

    enter(value)
    while path:
        key, rest = path[-1]
        for held in rest:
            before = len(path)
            enter(held)
            if len(path) > before:
                break
        else:
            open_now[key] = False
            path.pop()
