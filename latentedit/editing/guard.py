"""The guard around calls of editors, which checks what they return."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from latentedit.data.split import Split
from latentedit.errors import InputError, PluginFault
from latentedit.guard import GLOBALS, RANDOM, guarded, one_line
from latentedit.interfaces.editor import Edited, Editor, FitStats, Runtime
from latentedit.interfaces.metric import RECORDED, SEEN, EditMetric, EditsSeen


def pure(name: str, method: str) -> AbstractContextManager[list[str]]:
    """Guard a call that may not use global random state either."""
    return guarded(name, method, faults=(*GLOBALS, *RANDOM))


def fit(name: str, editor: Editor, data: Split, runtime: Runtime) -> FitStats:
    """Call `editor.fit`; its errors become a `PluginFault` that names the plugin."""
    with guarded(name, "fit"):
        stats = editor.fit(data, runtime)
    if not isinstance(stats, FitStats):
        raise PluginFault(name, f"fit returned {type(stats).__name__}, not FitStats")
    state(name, editor)
    return stats


def state(name: str, editor: Editor) -> dict[str, Tensor]:
    """Call `editor.state`; raises `PluginFault` unless all values are finite tensors."""
    with guarded(name, "state"):
        fitted = editor.state()
    for key, tensor in fitted.items():
        if not isinstance(tensor, Tensor):
            raise PluginFault(name, f"state has {type(tensor).__name__} in {key!r}, not Tensor")
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise PluginFault(name, f"fit left NaN or infinity in {key!r}")
    return fitted


def load_state(name: str, editor: Editor, fitted: Mapping[str, Tensor]) -> None:
    """Call `editor.load_state`; its errors become a `PluginFault` that names the plugin."""
    with guarded(name, "load_state"):
        editor.load_state(fitted)


def sample(name: str, editor: Editor, attributes: Tensor, runtime: Runtime) -> Tensor:
    """Call `editor.sample`; raises `PluginFault` unless it returns finite codes, one a row."""
    with guarded(name, "sample"):
        codes = editor.sample(attributes, runtime)  # type: ignore[attr-defined]
    if not isinstance(codes, Tensor):
        raise PluginFault(name, f"sample returned {type(codes).__name__}, not Tensor")
    if len(codes) != len(attributes) or not codes.is_floating_point():
        raise PluginFault(
            name, f"sample returned codes {_kind(codes)} for {len(attributes)} images"
        )
    if not bool(codes.isfinite().all()):
        raise PluginFault(name, "sample returned NaN or infinity")
    return codes


def edit(
    name: str, editor: Editor, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime
) -> Edited:
    """Call `editor.edit`, and check that it is pure and returns finite codes of the same kind.

    Images that are not `ok` get their original codes back, so their edited codes may be invalid.

    Raises:
        InputError: codes, source or target hold NaN or infinity; no editor is called then.
        PluginFault: the editor raised, changed its inputs or the process, or returned something
            else than `Edited` with codes of the same shape, dtype and device.
    """
    _check_finite(codes=codes, source=source, target=target)
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
    ok = edited.served
    if not isinstance(ok, Tensor):
        raise PluginFault(name, f"edit returned an ok mask of type {type(ok).__name__}, not Tensor")
    if ok.shape != (len(codes),) or ok.dtype != torch.bool or ok.device != codes.device:
        raise PluginFault(
            name,
            f"edit returned an ok mask {_kind(ok)}; it must be bool of shape ({len(codes)},) on "
            f"{codes.device}",
        )
    finite = edited.codes.flatten(1).isfinite().all(1)
    if bool((ok & ~finite).any()):
        bad = int((ok & ~finite).nonzero()[0])
        raise PluginFault(name, f"edit returned NaN or infinity for image {bad} and called it ok")
    kept = ok.view(-1, *[1] * (codes.ndim - 1))
    codes = torch.where(kept, edited.codes.detach(), codes)
    return Edited(codes, ok, edited.nfe, one_line(str(edited.reason)))


def _check_finite(**given: Tensor) -> None:
    """Raise `InputError` for the first tensor that is not finite, with its image."""
    for what, tensor in given.items():
        finite = tensor.flatten(1).isfinite().all(1)
        if not bool(finite.all()):
            row = int((~finite).nonzero()[0])
            raise InputError(f"{what} holds NaN or infinity for image {row}; give finite numbers")


def measure(name: str, metric: EditMetric, edits: EditsSeen) -> Tensor:
    """Call `metric.measure` with what it needs, and check that it is pure and returns one number
    each, or one. NaN where the run does not record what it needs.

    Raises:
        PluginFault: the metric raised, changed its inputs or the process, needs what no run
            records, or returned something else than float numbers (N,), () for a metric of sets,
            without infinity.
    """
    shape = _shape_of(metric, edits)
    if unknown := sorted(metric.needs - SEEN - RECORDED[metric.at].keys()):
        known = ", ".join(sorted(SEEN | RECORDED[metric.at].keys()))
        raise PluginFault(name, f"it needs {unknown[0]!r}, which no run has; name some of {known}")
    if metric.needs - SEEN - edits.recorded.keys():
        return torch.full(shape, float("nan"))
    edits = edits.only(metric.needs)
    seen = [edits.target, *edits.recorded.values()]
    for side in (edits.before, edits.after):
        seen += [side.images, side.codes, side.attributes, *side.embeddings.values()]
    before = [tensor.clone() for tensor in seen]
    with pure(name, "measure"):
        found = metric.measure(edits)
    if not all(torch.equal(now, then) for now, then in zip(seen, before, strict=True)):
        raise PluginFault(name, "measure changed its inputs in place; work on a copy")
    if not isinstance(found, Tensor):
        raise PluginFault(name, f"measure returned {type(found).__name__}, not Tensor")
    if tuple(found.shape) != shape or not found.is_floating_point():
        raise PluginFault(
            name,
            f"measure returned {_kind(found)}; a metric of one {metric.of} returns float numbers "
            f"of shape {shape}",
        )
    if bool(found.isinf().any()):
        raise PluginFault(name, "measure returned infinity; return NaN where there is no number")
    return found.detach().float().cpu()


def _shape_of(metric: EditMetric, edits: EditsSeen) -> tuple[int, ...]:
    """Of what `measure` returns."""
    if metric.of == "set":
        return ()
    return (*(len(edits.axes.get(axis, ())) for axis in metric.by), len(edits.target))


def _same_kind(name: str, result: Tensor, codes: Tensor) -> None:
    if not isinstance(result, Tensor):
        raise PluginFault(name, f"edit returned codes of type {type(result).__name__}, not Tensor")
    if (result.shape, result.dtype, result.device) != (codes.shape, codes.dtype, codes.device):
        raise PluginFault(name, f"edit returned codes {_kind(result)} for codes {_kind(codes)}")


def _kind(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {tensor.dtype} on {tensor.device}"
