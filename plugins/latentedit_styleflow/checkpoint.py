"""The layout of released checkpoints: conversion of parameter names in both directions."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from latentedit import InputError, loaded_module
from latentedit_styleflow.flow import ContinuousFlow, Whitening
from latentedit_styleflow.solver import Solver

_PARTS = (
    ("odefunc.diffeq.layers", "field.layers"),
    ("_layer.", "linear."),
    ("_hyper_gate.", "gate."),
    ("_hyper_bias.", "shift."),
)
_PLACE = re.compile(r"0|[1-9][0-9]{0,5}")
_COUNTERS = ("step", "_num_evals")
"""Entries of a released file that only count training steps and evaluations."""

RELEASED_CONDITION = (
    "lighting",
    "gender",
    "glasses",
    "yaw",
    "pitch",
    "baldness",
    "beard",
    "age",
    "expression",
)
"""Attributes in the released order: 9 lighting coefficients, then 8 numbers in raw units."""


def from_released(state: Mapping[str, Tensor], solver: Solver | None = None) -> ContinuousFlow:
    """A flow from a released state dict: any number of blocks, widths and attributes.

    Raises:
        InputError: keys or shapes are not those of a released flow; names the first wrong one.
    """
    ours = {
        _our_name(name): torch.as_tensor(value)
        for name, value in state.items()
        if name.split(".")[-1] not in _COUNTERS
    }
    _check_weights(ours)
    try:
        dtype = ours["norms.0.weight"].dtype
        flow = loaded_module(lambda: flow_of(ours, solver or Solver("dopri5")).to(dtype), ours)
    except (LookupError, TypeError, ValueError, RuntimeError, InputError) as error:
        names = ", ".join(name[:40] for name in sorted(state)[:5])
        raise InputError(
            f"not a StyleFlow checkpoint: {str(error)[:300]}; it has {names}, …"
        ) from None
    return flow


def _check_weights(state: Mapping[str, Tensor]) -> None:
    """Refuse weights from which a network much larger than the file would be built.

    Raises:
        InputError: a weight has no elements or no floats, or a block is missing before the last.
    """
    for name, value in state.items():
        if not value.numel() or not value.is_floating_point():
            raise InputError(
                f"not a StyleFlow checkpoint: {name[:80]!r} is {value.dtype} of shape "
                f"{tuple(value.shape)}; weights are floats, at least one of them"
            )
    for kind in ("blocks", "norms"):
        found = _numbers(state, kind)
        if missing := [i for i in range(len(found)) if i not in found]:
            raise InputError(
                f"not a StyleFlow checkpoint: it has {len(found)} {kind}, and none is numbered "
                f"{missing[0]}"
            )


def flow_of(state: Mapping[str, Tensor], solver: Solver) -> ContinuousFlow:
    """A new flow of the shape whose state dict is `state`.

    Raises:
        KeyError: a weight that decides the shape is missing.
        ValueError: there are far fewer weights than such a flow has.
    """
    gate = state["blocks.0.field.layers.0.gate.weight"]
    dim = state["blocks.0.field.layers.0.linear.weight"].shape[1]
    blocks, hidden = 1 + max(_numbers(state, "blocks")), _hidden(state)
    if blocks * (len(hidden) + 1) > len(state):
        raise ValueError(f"{len(state)} weights are too few for {blocks} blocks like the first")
    whiten = "norms.0.basis" in state
    return ContinuousFlow(dim, gate.shape[1] - 1, hidden, blocks, solver, whiten)


def _numbers(state: Mapping[str, Tensor], kind: str) -> set[int]:
    """The numbers of the blocks or norms among the weights."""
    places = (name.split(".")[1] for name in state if name.startswith(f"{kind}."))
    return {int(place) for place in places if _PLACE.fullmatch(place)}


def to_released(flow: ContinuousFlow) -> dict[str, Tensor]:
    """The state dict of `flow` under the released names, counters included.

    Raises:
        InputError: the flow whitens codes, which the released layout cannot express.
    """
    if isinstance(flow.links()[0], Whitening):
        raise InputError(
            "the released layout cannot express a flow that whitens codes; fit with whiten=false"
        )
    state = {_released_name(name): value for name, value in flow.state_dict().items()}
    for i in range(len(flow.norms)):
        state[f"chain.{2 * i}.step"] = torch.zeros(1)
    for i in range(len(flow.blocks)):
        state[f"chain.{2 * i + 1}.odefunc._num_evals"] = torch.zeros(())
    return state


def _our_name(name: str) -> str:
    """``chain.1.odefunc.diffeq.layers.0._layer.bias`` → ``blocks.0.field.layers.0.linear.bias``."""
    head, place, rest = name.split(".", 2) if name.count(".") > 1 else ("", "0", name)
    for theirs, ours in _PARTS:
        rest = rest.replace(theirs, ours)
    if head != "chain" or not _PLACE.fullmatch(place):
        return name
    i, is_block = divmod(int(place), 2)
    return f"{'blocks' if is_block else 'norms'}.{i}.{rest}"


def _released_name(name: str) -> str:
    head, place, rest = name.split(".", 2)
    for theirs, ours in _PARTS:
        rest = rest.replace(ours, theirs)
    return f"chain.{2 * int(place) + (head == 'blocks')}.{rest}"


def _hidden(state: Mapping[str, Tensor]) -> tuple[int, ...]:
    widths: list[int] = []
    while (name := f"blocks.0.field.layers.{len(widths)}.linear.weight") in state:
        widths.append(len(state[name]))
    return tuple(widths[:-1])
