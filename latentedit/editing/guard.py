"""The guard around plugin calls: it checks results and names the plugin in errors."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentedit.data.bank import Split
from latentedit.errors import LatentEditError, PluginFault
from latentedit.interfaces.editor import Edited, Editor, FitStats, Runtime
from latentedit.interfaces.metric import EditMetric, EditsSeen


@contextmanager
def pure(name: str, method: str) -> Iterator[None]:
    """Name the faults of a call, and refuse one that leaves the process's state changed."""
    with _named(name, method), _same_globals(name, method, GLOBALS | RANDOM):
        yield


def fit(name: str, editor: Editor, data: Split, runtime: Runtime) -> FitStats:
    """Call `editor.fit`; its errors become a `PluginFault` that names the plugin."""
    with _named(name, "fit"), _same_globals(name, "fit", GLOBALS):
        stats = editor.fit(data, runtime)
    if not isinstance(stats, FitStats):
        raise PluginFault(name, f"fit returned {type(stats).__name__}, not FitStats")
    state(name, editor)
    return stats


def state(name: str, editor: Editor) -> dict[str, Tensor]:
    """Call `editor.state`; raises `PluginFault` unless all values are finite tensors."""
    with _named(name, "state"):
        fitted = editor.state()
    for key, tensor in fitted.items():
        if not isinstance(tensor, Tensor):
            raise PluginFault(name, f"state has {type(tensor).__name__} in {key!r}, not Tensor")
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise PluginFault(name, f"fit left NaN or infinity in {key!r}")
    return fitted


def load_state(name: str, editor: Editor, fitted: Mapping[str, Tensor]) -> None:
    """Call `editor.load_state`; its errors become a `PluginFault` that names the plugin."""
    with _named(name, "load_state"):
        editor.load_state(fitted)


def edit(
    name: str, editor: Editor, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime
) -> Edited:
    """Call `editor.edit`, and check that it is pure and returns finite codes of the same kind.

    Faces that are not `ok` get their original codes back, so their edited codes may be invalid.

    Raises:
        PluginFault: the editor raised, changed its inputs or the process, or returned something
            else than `Edited` with codes of the same shape, dtype and device.
    """
    before = [tensor.clone() for tensor in (codes, source, target)]
    with pure(name, "edit"):
        edited = editor.edit(codes, source, target, runtime)
    for what, now, then in zip(
        ("codes", "source", "target"), (codes, source, target), before, strict=True
    ):
        if not torch.equal(now, then):
            raise PluginFault(name, f"edit changed its input {what} in place; work on a copy")
    if not isinstance(edited, Edited):
        raise PluginFault(name, f"edit returned {type(edited).__name__}, not Edited")
    _same_kind(name, edited.codes, codes)
    ok = (
        torch.ones(len(codes), dtype=torch.bool, device=codes.device)
        if edited.ok is None
        else edited.ok
    )
    if ok.shape != (len(codes),) or ok.dtype != torch.bool:
        raise PluginFault(
            name, f"edit returned an ok mask {_kind(ok)}; it must be bool of shape ({len(codes)},)"
        )
    finite = edited.codes.flatten(1).isfinite().all(1)
    if bool((ok & ~finite).any()):
        bad = int((ok & ~finite).nonzero()[0])
        raise PluginFault(name, f"edit returned NaN or infinity for face {bad} and called it ok")
    kept = ok.view(-1, *[1] * (codes.ndim - 1))
    return Edited(torch.where(kept, edited.codes.detach(), codes), ok, edited.nfe)


def measure(name: str, metric: EditMetric, edits: EditsSeen) -> Tensor:
    """Call `metric.measure`, and check that it is pure and returns one number each, or one.

    Raises:
        PluginFault: the metric raised, changed its inputs or the process, or returned something
            else than float numbers (N,), () for a metric of sets, without infinity.
    """
    seen = [edits.target]
    for side in (edits.before, edits.after):
        seen += [side.images, side.codes, side.attributes, *side.embeddings.values()]
    before = [tensor.clone() for tensor in seen]
    with pure(name, "measure"):
        found = metric.measure(edits)
    if not all(torch.equal(now, then) for now, then in zip(seen, before, strict=True)):
        raise PluginFault(name, "measure changed its inputs in place; work on a copy")
    if not isinstance(found, Tensor):
        raise PluginFault(name, f"measure returned {type(found).__name__}, not Tensor")
    shape = (len(edits.target),) if metric.of == "image" else ()
    if tuple(found.shape) != shape or not found.is_floating_point():
        raise PluginFault(
            name,
            f"measure returned {_kind(found)}; a metric of one {metric.of} returns float numbers "
            f"of shape {shape}",
        )
    if bool(found.isinf().any()):
        raise PluginFault(name, "measure returned infinity; return NaN where there is no number")
    return found.detach().float().cpu()


def _same_kind(name: str, result: Tensor, codes: Tensor) -> None:
    if not isinstance(result, Tensor):
        raise PluginFault(name, f"edit returned codes of type {type(result).__name__}, not Tensor")
    if (result.shape, result.dtype, result.device) != (codes.shape, codes.dtype, codes.device):
        raise PluginFault(name, f"edit returned codes {_kind(result)} for codes {_kind(codes)}")


def _kind(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {tensor.dtype} on {tensor.device}"


@contextmanager
def _named(name: str, method: str) -> Iterator[None]:
    """Turn errors of a plugin into `PluginFault`; the project's own errors pass unchanged."""
    try:
        yield
    except (LatentEditError, MemoryError):  # a cell reports MemoryError as a status of its own
        raise
    except Exception as error:
        raise PluginFault(name, f"{method} raised {type(error).__name__}: {error}") from error


State = dict[str, tuple[Callable[[], Any], Callable[[Any], object]]]
"""For each part of the process's state: a function that reads it and one that restores it."""

GLOBALS: State = {
    "the number of threads": (torch.get_num_threads, torch.set_num_threads),
    "the default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "the gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "the current folder": (os.getcwd, os.chdir),
}
RANDOM: State = {
    "torch's global random state (use runtime.rng instead)": (
        lambda: torch.get_rng_state().numpy().tobytes(),
        lambda state: torch.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8)),
    ),
    "numpy's global random state (use runtime.rng instead)": (
        lambda: _packed(*np.random.get_state()),
        lambda state: np.random.set_state(
            (state[0], np.frombuffer(state[1], np.uint32), *state[2:])
        ),
    ),
    "Python's global random state (use runtime.rng instead)": (random.getstate, random.setstate),
}
"""Random state that `edit` must not use. `fit` may: it is seeded and runs in its own process."""


def _packed(algorithm: str, numbers: Any, *rest: Any) -> tuple[Any, ...]:
    """A state of numpy's generator in a form that ``==`` compares."""
    return algorithm, numbers.tobytes(), *rest


@contextmanager
def _same_globals(name: str, method: str, globals_: State) -> Iterator[None]:
    """Restore the process's state after a call, and raise `PluginFault` if the call changed it."""
    before = {what: read() for what, (read, _) in globals_.items()}
    try:
        yield
    finally:
        changed = [what for what, (read, _) in globals_.items() if read() != before[what]]
        for what in changed:
            globals_[what][1](before[what])
    if changed:
        raise PluginFault(name, f"{method} changed {', '.join(changed)}")
