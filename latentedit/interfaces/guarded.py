"""Models and other plugins whose methods are called through the guard, and whose results are
checked.

A plugin's class gets a subclass of the same name. So every caller is covered, other plugins
included, and a plugin's calls of its own methods cost nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor

from latentedit.data.attributes import AttributeSchema
from latentedit.errors import PluginFault
from latentedit.guard import CHEAP, EVERY, GLOBALS, Part, guarded
from latentedit.interfaces.device import chosen_device, moved
from latentedit.interfaces.estimators import Described, TrainedEstimator
from latentedit.interfaces.generator import Generator, Truth
from latentedit.interfaces.importers import ImportedCodes
from latentedit.interfaces.inverter import Inverted
from latentedit.interfaces.landmarks import Landmarks

RANGE = 1e-3
"""How far images may be outside [-1, 1], and the norm of an embedding from 1."""

Check = Callable[..., str]
"""Takes the plugin, its result and the arguments of the call; tells what is wrong, or ""."""


def _tensor(result: object, shape: tuple[int | None, ...], like: Tensor | None = None) -> str:
    """What is wrong with a result that must be finite numbers of `shape`; None is any size."""
    if not isinstance(result, Tensor):
        return f"{type(result).__name__}, not Tensor"
    fits = len(result.shape) == len(shape) and all(
        wanted in (None, size) for size, wanted in zip(result.shape, shape, strict=True)
    )
    device = result.device if like is None else like.device
    dtype = torch.float32 if like is None or not like.is_floating_point() else like.dtype
    if not fits or result.is_meta or (result.dtype, result.device) != (dtype, device):
        sizes = ", ".join("any" if size is None else str(size) for size in shape)
        return (
            f"{tuple(result.shape)} {result.dtype} on {result.device}, "
            f"not ({sizes}) {dtype} on {device}"
        )
    if bool(result.detach().isfinite().all()):
        return ""
    blamed = like is None or bool(like.isfinite().all())  # else the caller's NaN came back
    return "NaN or infinity" if blamed else ""


def _codes(owner: Any, result: object, n: int, space: str, like: Tensor | None = None) -> str:
    shape = owner.spaces.get(space)
    return "" if shape is None else _tensor(result, (n, *shape), like)


def _sampled(
    owner: Any, result: object, n: int, seed: int, space: str = "w", truncation_psi: float = 1.0
) -> str:
    return _codes(owner, result, n, space)


def _converted(owner: Any, result: object, codes: Tensor, source: str, target: str) -> str:
    return _codes(owner, result, len(codes), target, codes)


def _synthesized(owner: Any, result: object, codes: Tensor, space: str = "w") -> str:
    if fault := _tensor(result, (len(codes), 3, *owner.image_size), codes):
        return fault
    images = cast(Tensor, result).detach()
    if images.numel() and float(images.abs().max()) > 1 + RANGE:
        low, high = (float(value) for value in images.aminmax())
        return f"images from {low:.3g} to {high:.3g}; they must be in [-1, 1]"
    return ""


def _true(owner: Any, result: object, codes: Tensor, space: str = "w") -> str:
    if not isinstance(result, Truth):
        return f"{type(result).__name__}, not Truth"
    n = len(codes)
    return (
        _of("attributes", _tensor(result.attributes, (n, result.schema.width), codes))
        or _of("identity", _tensor(result.identity, (n, None), codes))
    )  # fmt: skip


def _of(what: str, fault: str) -> str:
    return fault and f"{what} {fault}"


def _estimated(owner: Any, result: object, images: Tensor) -> str:
    return _tensor(result, (len(images), owner.schema.width), images)


def _features(owner: Any, result: object, images: Tensor) -> str:
    return _tensor(result, (len(images), None), images)


def _described(owner: Any, result: object, images: Tensor) -> str:
    if not isinstance(result, Described):
        return f"{type(result).__name__}, not Described"
    return (
        _of("values", _estimated(owner, result.values, images))
        or _of("features", _features(owner, result.features, images))
    )  # fmt: skip


def _recorded(owner: Any, result: object, split: str, n: int) -> str:
    return "" if result is None else _tensor(result, (n, owner.schema.width))


def _embedded(owner: Any, result: object, images: Tensor) -> str:
    if fault := _tensor(result, (len(images), None), images):
        return fault
    norms = cast(Tensor, result).detach().norm(dim=1)
    if len(norms) and float((norms - 1).abs().max()) > RANGE:
        worst = norms[int((norms - 1).abs().argmax())]
        return f"an embedding of norm {float(worst):.4g}; it must be 1"
    return ""


def _is(expected: type) -> Check:
    """A check of the result's type alone."""
    return lambda owner, result, *_, **__: (
        "" if isinstance(result, expected) else f"{type(result).__name__}, not {expected.__name__}"
    )


def _landmarks(owner: Any, result: object, picture: object) -> str:
    return "" if result is None else _is(Landmarks)(owner, result)


def _anything(owner: Any, result: object, *_: object, **__: object) -> str:
    return ""


METHODS: dict[str, dict[str, Check]] = {
    "generator": {
        "sample": _sampled,
        "convert": _converted,
        "synthesize": _synthesized,
        "truth": _true,
        "tuned": _is(Generator),
        "synthesize_with": _is(Tensor),
        "style_weights": _is(list),
        "style_rows": _is(Tensor),
        "describe": _is(dict),
    },
    "estimator": {
        "estimate": _estimated,
        "features": _features,
        "described": _described,
        "recorded": _recorded,
        "card": _is(dict),
    },
    "identity": {"embed": _embedded, "card": _is(dict)},
    "perceptual": {"features": _features},
    "metric": {"measure": _is(Tensor)},
    "trainer": {"train": _is(TrainedEstimator)},
    "inverter": {"invert": _is(Inverted)},
    "landmarks": {"find": _landmarks},
    "weight-importer": {"read": _anything},
    "bank-importer": {"read": _is(ImportedCodes)},
    "executor": {
        "free": _is(int),
        "start": _anything,
        "events": _is(list),
        "close": _anything,
    },
}
"""By kind, the methods that are called through the guard, and what their results must be. Editors
are guarded by `latentedit.editing.guard`."""

ATTRIBUTES: dict[str, dict[str, type | tuple[type, ...]]] = {
    "generator": {"spaces": Mapping, "resolution": int, "fingerprint": str},
    "estimator": {"schema": AttributeSchema, "fingerprint": str},
    "identity": {"same_person_threshold": (int, float), "fingerprint": str},
    "perceptual": {"fingerprint": str},
    "metric": {
        "fingerprint": str,
        "unit": str,
        "higher_is_better": (bool, type(None)),
        "formula": str,
        "smallest_difference": (int, float, type(None)),
    },
}
"""By kind, the attributes that an instance must have, and their types."""

MANY = frozenset(
    {
        *("convert", "synthesize", "truth", "synthesize_with", "embed", "find"),
        *("estimate", "features", "described"),
    }
)
"""Methods that are called once a batch or once a step: the guard leaves out its slowest parts."""

_calls = threading.local()


def construction_parts(kind: str) -> dict[str, Part]:
    """The state to restore after a plugin of `kind` is called for something long."""
    # An executor starts processes, and may set handlers and variables that stay while it runs.
    return GLOBALS if kind == "executor" else EVERY


@cache
def guarded_class(kind: str, name: str, loaded: type) -> type:
    """A subclass of `loaded` whose methods are guarded; `loaded` itself for other kinds."""
    if kind not in METHODS:
        return loaded
    methods = {
        method: _guarded_method(kind, name, method, check)
        for method, check in METHODS[kind].items()
    }
    body: dict[str, Any] = {"__module__": loaded.__module__, "__qualname__": loaded.__qualname__}
    body |= {"__doc__": loaded.__doc__, "_guarded": loaded}
    return type(loaded)(loaded.__name__, (loaded,), body | methods)


def check_attributes(kind: str, name: str, made: object) -> None:
    """Raise `PluginFault` unless an instance has what its interface declares."""
    with guarded(name, "construction"):
        for attribute, expected in ATTRIBUTES.get(kind, {}).items():
            if not hasattr(made, attribute):
                raise PluginFault(name, f"it has no {attribute}, which its interface asks for")
            found = getattr(made, attribute)
            if not isinstance(found, expected):
                types = expected if isinstance(expected, tuple) else (expected,)
                wanted = " or ".join(one.__name__ for one in types)
                raise PluginFault(name, f"its {attribute} is {type(found).__name__}, not {wanted}")


def _guarded_method(kind: str, name: str, method: str, check: Check) -> Callable[..., Any]:
    parts = CHEAP if method in MANY else construction_parts(kind)

    def call(self: Any, *given: Any, **named: Any) -> Any:
        own = getattr(super(_class(kind, name, type(self)), self), method)
        inside = _calls.__dict__.setdefault("inside", set())
        if id(self) in inside:  # a plugin calls its own method
            return own(*given, **named)
        inside.add(id(self))
        home, device = (
            [part.device for part in given if isinstance(part, Tensor)],
            chosen_device(method),
        )
        if device and home:
            given = tuple(moved(part, device) for part in given)
        try:
            with guarded(name, method, parts=parts):
                result = own(*given, **named)
        finally:
            inside.discard(id(self))
        if fault := check(self, result, *given, **named):
            raise PluginFault(name, f"{method} returned {fault}")
        if method == "tuned":
            _guard(kind, name, result)
        return moved(result, home[0]) if device and home else result

    return call


def _class(kind: str, name: str, made: type) -> Any:
    """The guarded class that a plugin's own class has, or inherits."""
    return guarded_class(kind, name, cast(Any, made)._guarded)


def _guard(kind: str, name: str, made: Any) -> None:
    """Give an instance that a plugin made itself the guarded methods, where its layout allows."""
    if not hasattr(type(made), "_guarded"):
        with suppress(TypeError):
            made.__class__ = guarded_class(kind, name, type(made))  # type: ignore[arg-type]
