"""Torch tensors as data, with storages and bounds checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np

from latentedit.weights.nodes import Global, InertTensor, Storage, Value
from latentedit.weights.opcodes import Builder, Machine
from latentedit.weights.source import Span

STORAGES: Mapping[str, np.dtype[Any]] = {
    "torch.DoubleStorage": np.dtype("<f8"),
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.HalfStorage": np.dtype("<f2"),
    "torch.LongStorage": np.dtype("<i8"),
    "torch.IntStorage": np.dtype("<i4"),
    "torch.ShortStorage": np.dtype("<i2"),
    "torch.CharStorage": np.dtype("i1"),
    "torch.ByteStorage": np.dtype("u1"),
}
MAX_DIMENSIONS = 8
MAX_ELEMENTS = 1 << 40


def storage_of(machine: Machine, identifier: Value) -> tuple[str, np.dtype[Any], int]:
    """Key, element type and element count of the persistent identifier of a storage.

    Its form is ``("storage", torch.FloatStorage, key, location, count[, None])``.
    """
    if not (
        type(identifier) is tuple
        and len(identifier) in (5, 6)
        and type(identifier[0]) is str
        and identifier[0] == "storage"
        and isinstance(identifier[1], Global)
        and type(identifier[2]) is str
        and is_count(identifier[4])
    ):
        machine.refuse("a persistent identifier is not one of a storage")
    if len(identifier) == 6 and identifier[5] is not None:
        machine.refuse("a storage is a view of another one")
    kind = identifier[1].name
    if kind not in STORAGES:
        machine.refuse(f"{kind} is not a supported storage; supported: {', '.join(STORAGES)}")
    return identifier[2], STORAGES[kind], identifier[4]


def bind(storage: Storage, data: Span) -> Storage:
    """Set the bytes of a storage; their number must be exactly as claimed."""
    claimed = storage.count * storage.dtype.itemsize
    if claimed != len(data):
        data.source.refuse(
            data.start, f"a storage claims {claimed} bytes where the file has {len(data)}"
        )
    storage.data = data
    return storage


def rebuild_tensor(machine: Machine, arguments: tuple[Value, ...]) -> InertTensor:
    """``(storage, offset, size, stride, requires_grad, hooks)`` → a tensor within its storage."""
    if len(arguments) != 6 or not isinstance(arguments[0], Storage):
        machine.refuse("a tensor has no storage")
    storage, offset, shape, strides = arguments[:4]
    if not (is_count(offset) and _are_counts(shape) and _are_counts(strides)):
        machine.refuse("a tensor's offset, sizes or strides are not natural numbers")
    if len(shape) != len(strides) or len(shape) > MAX_DIMENSIONS:
        machine.refuse(f"a tensor has {len(shape)} sizes and {len(strides)} strides")
    elements, reach, expected = 1, 0, 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != expected and 0 not in shape:
            machine.refuse("a tensor is not contiguous")
        reach += (size - 1) * stride
        elements *= max(size, 1)  # a size of 0 must not hide the other sizes from the limit
        expected *= size
    if elements > MAX_ELEMENTS or (0 not in shape and offset + reach >= storage.count):
        machine.refuse(
            f"a tensor of {elements} elements at {offset} is outside its storage of {storage.count}"
        )
    return InertTensor(storage, offset if 0 not in shape else 0, shape)


def rebuild_parameter(machine: Machine, arguments: tuple[Value, ...]) -> InertTensor:
    """``(tensor, requires_grad, hooks)`` → the tensor."""
    if len(arguments) != 3 or not isinstance(arguments[0], InertTensor):
        machine.refuse("a parameter holds no tensor")
    return arguments[0]


def is_count(value: Value) -> TypeGuard[int]:
    return type(value) is int and value >= 0


def _are_counts(values: Value) -> TypeGuard[tuple[int, ...]]:
    return type(values) is tuple and all(is_count(value) for value in values)


TENSOR_CALLS: Mapping[str, Builder] = {
    "torch._utils._rebuild_tensor_v2": rebuild_tensor,
    "torch._utils._rebuild_parameter": rebuild_parameter,
}
