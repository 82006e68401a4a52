"""Torch modules from saved weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from latentedit.errors import InputError

M = TypeVar("M", bound=nn.Module)


def loaded_module(make: Callable[[], M], state: Mapping[str, Tensor]) -> M:
    """The module that `make` builds, with the weights in `state`.

    It is first built on torch's `meta` device, where nothing is allocated, and its shapes are
    compared with those of `state`. So a state that fits no such module costs no memory.

    Raises:
        InputError: a weight is missing, additional, or of another shape; names the first.

    >>> loaded_module(lambda: nn.Linear(2, 10**12), {"weight": torch.zeros(3, 2)})
    Traceback (most recent call last):
    latentedit.errors.InputError: 'bias' is missing; Linear needs shape (1000000000000,)
    """
    with torch.device("meta"):
        unloaded = make()
        wanted = {name: tuple(value.shape) for name, value in unloaded.state_dict().items()}
    for name in sorted(wanted.keys() | state.keys()):
        found = tuple(state[name].shape) if name in state else None
        if found != wanted.get(name):
            needed = f"shape {wanted[name]}" if name in wanted else "no such weight"
            received = "missing" if found is None else f"of shape {found}"
            raise InputError(
                f"{name[:80]!r} is {received}; {type(unloaded).__name__} needs {needed}"
            )
    module = make()
    module.load_state_dict(state)
    return module
