"""Numpy scalars and arrays as data: numbers only, never objects."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from latentedit.weights.machine import Builder, Machine
from latentedit.weights.nodes import Global, InertArray, InertDtype, Value
from latentedit.weights.source import Span
from latentedit.weights.tensors import MAX_DIMENSIONS, MAX_ELEMENTS, is_count

_CODE = re.compile(r"[<|]?(f[248]|[iu][1248]|b1)")


def dtype(machine: Machine, arguments: tuple[Value, ...]) -> InertDtype:
    """``numpy.dtype("f8", False, True)``; its byte order follows in a BUILD."""
    code = arguments[0] if arguments else None
    if type(code) is not str or len(arguments) > 3 or not _CODE.fullmatch(code):
        machine.refuse("a numpy element type is not one of plain numbers")
    return InertDtype(code)


def complete_dtype(machine: Machine, target: InertDtype, state: Value) -> InertDtype:
    """BUILD of a dtype: ``(3, "<", None, None, None, -1, -1, 0)``."""
    if not (
        type(state) is tuple
        and len(state) in (8, 9)
        and type(state[1]) is str
        and state[1] in ("<", "|")
        and all(part is None for part in state[2:5])
    ):
        machine.refuse("a numpy element type is not of plain little-endian numbers")
    target.complete = True
    return target


def scalar(machine: Machine, arguments: tuple[Value, ...]) -> bool | int | float:
    """``scalar(dtype, bytes)`` → the number."""
    if len(arguments) != 2 or not isinstance(arguments[1], Span):
        machine.refuse("a numpy number is no pair of type and bytes")
    kind = _complete(machine, arguments[0])
    if len(arguments[1]) != kind.itemsize:
        machine.refuse(f"a numpy number has {len(arguments[1])} bytes, not {kind.itemsize}")
    value: bool | int | float = np.frombuffer(arguments[1].view, kind)[0].item()
    return value


def empty_array(machine: Machine, arguments: tuple[Value, ...]) -> InertArray:
    """``_reconstruct(ndarray, (0,), b"b")`` → an array whose content follows in a BUILD."""
    kind = arguments[0] if arguments else None
    if not (isinstance(kind, Global) and kind.name == "numpy.ndarray"):
        machine.refuse("a numpy array is made from something that is no ndarray")
    return InertArray()


def fill_array(machine: Machine, target: InertArray, state: Value) -> InertArray:
    """BUILD of an array: ``(1, shape, dtype, is_fortran, bytes)``."""
    if not (
        type(state) is tuple
        and len(state) == 5
        and type(state[1]) is tuple
        and len(state[1]) <= MAX_DIMENSIONS
        and all(is_count(size) for size in state[1])
        and type(state[3]) is bool
        and isinstance(state[4], Span)
    ):
        machine.refuse("a numpy array's content is not plain numbers")
    machine.expect(target.content is None, "a numpy array is filled twice")
    kind, elements = _complete(machine, state[2]), 1
    for size in state[1]:
        elements *= size
    padded = [max(size, 1) for size in state[1]]
    if elements * kind.itemsize != len(state[4]) or np.prod(padded, dtype=object) > MAX_ELEMENTS:
        machine.refuse(f"a numpy array of {elements} numbers has {len(state[4])} bytes")
    flat = np.frombuffer(state[4].view, kind)
    target.content = flat.reshape(state[1], order="F" if state[3] else "C")
    return target


def _complete(machine: Machine, kind: Value) -> np.dtype[Any]:
    if not isinstance(kind, InertDtype) or not kind.complete:
        machine.refuse("a numpy element type is missing or has no byte order")
    return np.dtype(kind.code.lstrip("<|"))


ARRAY_CALLS: Mapping[str, Builder] = {
    f"numpy.{core}.multiarray.{name}": builder
    for core in ("core", "_core")
    for name, builder in (("scalar", scalar), ("_reconstruct", empty_array))
} | {"numpy.dtype": dtype}
ARRAY_UPDATES: Mapping[type, Callable[[Machine, Value, Value], Value]] = {
    InertDtype: complete_dtype,
    InertArray: fill_array,
}
