"""Where models compute, wherever their inputs are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields, is_dataclass, replace
from typing import Any

from torch import Tensor

_DEVICE: ContextVar[str] = ContextVar("device", default="")

PLACED = frozenset({"convert", "synthesize", "truth", "estimate", "features", "embed"})
"""Methods of models that take one batch of codes or images, and give its rows back."""


@contextmanager
def models_on(device: str) -> Iterator[None]:
    """Let generators, estimators and identity encoders compute on `device`.

    Their inputs are moved there, and their results back to where the inputs were. Inside, a caller
    that keeps its tensors on the CPU needs no other change. With ``""``, as outside, models compute
    where their inputs are.
    """
    token = _DEVICE.set(device)
    try:
        yield
    finally:
        _DEVICE.reset(token)


def chosen_device(method: str) -> str:
    """Where a call of a model's `method` is to compute; "" for where its inputs are."""
    return _DEVICE.get() if method in PLACED else ""


def moved(value: Any, device: Any) -> Any:
    """`value` with its tensors on `device`: a tensor, a dataclass of tensors, or anything else."""
    if isinstance(value, Tensor):
        return value.to(device)
    if is_dataclass(value) and not isinstance(value, type):
        inside = {field.name: getattr(value, field.name) for field in fields(value)}
        return replace(
            value,
            **{
                name: moved(part, device)
                for name, part in inside.items()
                if isinstance(part, Tensor)
            },
        )
    return value
