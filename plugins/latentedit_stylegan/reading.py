"""Finds the generator in a weight file: which layout, which architecture, which arrays."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from pydantic import ValidationError

from latentedit import InertObject, InertTensor, NetworkFile, RefusedFile, Unsupported
from latentedit_stylegan import keys
from latentedit_stylegan.architecture import Architecture
from latentedit_stylegan.keys import Array, Table
from latentedit_stylegan.synthesis import FILTER, UP_GAIN

Arrays = Mapping[str, Array]

_FIR = np.outer(FILTER, FILTER) / sum(FILTER) ** 2
_NVIDIA_EXTRA = re.compile(r"synthesis\.b\d+\.(conv[01]\.|torgb\.)?resample_filter")
_ROSINALITY_EXTRA = re.compile(r"(.*\.)?(blur|upsample)\.kernel")
_GENFORCE_EXTRA = re.compile(r"synthesis\..*kernel|synthesis\.lod")


@dataclass(frozen=True)
class Found:
    """A network as it stood in its file, under our names.

    Args:
        layout: whose names the file had.
        weights: float32 arrays, `w_avg` left out where the file has none.
        statements: what the file held, for people.
    """

    layout: str
    architecture: Architecture
    weights: Arrays
    statements: tuple[str, ...]


@dataclass(frozen=True)
class _Layout:
    """A way of naming weights.

    Args:
        table: their keys, by ours.
        extra: keys that are read for checking only: low-pass filters.
        extra_gain: factors that those filters may have.
    """

    name: str
    table: Callable[[Architecture], Table]
    extra: re.Pattern[str]
    extra_gain: tuple[float, ...]


NVIDIA = _Layout("stylegan2-ada-pytorch", keys.nvidia, _NVIDIA_EXTRA, (1.0,))
ROSINALITY = _Layout("rosinality", keys.rosinality, _ROSINALITY_EXTRA, (UP_GAIN,))
GENFORCE = _Layout("genforce", keys.genforce, _GENFORCE_EXTRA, (1.0, UP_GAIN))


def find_generator(file: NetworkFile) -> Found:
    """The StyleGAN2 generator in a weight file.

    Raises:
        Unsupported: it holds a network of another kind; says which.
        RefusedFile: its weights are not those of a StyleGAN2 network; names the first.
    """
    if file.format == "tensorflow":
        raise Unsupported(
            f"{file.path} is a TensorFlow pickle; convert it with legacy.py of "
            "stylegan2-ada-pytorch, and import the .pkl that it writes"
        )
    if type(file.tree) is not dict:
        _refuse(file, "it holds no dictionary of networks")
    if isinstance(file.tree.get("G_ema"), InertObject):
        return _from_nvidia(file, file.tree["G_ema"])
    if type(file.tree.get("g_ema")) is dict:
        return _from_rosinality(file, file.tree)
    for name in ("generator_smooth", "generator"):
        if type(file.tree.get(name)) is dict:
            return _from_genforce(file, name)
    names = ", ".join(str(key)[:40] for key in list(file.tree)[:6])
    return _refuse(
        file,
        f"it holds no generator: among {names or 'nothing'} is neither G_ema, g_ema nor "
        "generator_smooth",
    )


def _from_nvidia(file: NetworkFile, network: InertObject) -> Found:
    arrays, modules = _modules(file, network)
    if any(key.startswith("synthesis.input.") for key in arrays):
        raise Unsupported(
            f"{file.path} holds a StyleGAN3 generator; this plugin has StyleGAN2's synthesis only "
            "(missing: Fourier input, filtered leaky ReLU). Import a StyleGAN2 network"
        )
    _refuse_other_skips(file, arrays)
    layers = [module for name, module in modules.items() if re.search(r"\.conv[01]$", name)]
    clamps = [layer.state.get("conv_clamp") for layer in layers]
    if any(type(clamp) not in (int, float, type(None)) or clamp != clamps[0] for clamp in clamps):
        _refuse(file, "its layers have different limits conv_clamp")
    mapping = modules.get("mapping.fc0")
    lr = mapping.state.get("bias_gain", 0.01) if mapping else 0.01
    state = network.state
    architecture = _architecture(
        file,
        z_dim=state.get("z_dim"),
        w_dim=state.get("w_dim"),
        c_dim=state.get("c_dim", 0),
        mapping_lr=lr,
        conv_clamp=clamps[0] if clamps else None,
        mapping_layers=_count(arrays, r"mapping\.fc(\d{1,4})\.weight"),
        channels=_channels(arrays, r"synthesis\.b(\d{1,4})\.conv1\.weight", lambda r: r, 0),
    )
    weights = _weights(file, NVIDIA, architecture, arrays)
    statements = (
        f"a network of class {network.class_name}, whose program text (sha256 "
        f"{network.source_sha256[:12]}) was not run",
        "the averaged generator G_ema",
    )
    return _found(NVIDIA, architecture, weights, statements)


def _from_rosinality(file: NetworkFile, tree: Mapping[str, Any]) -> Found:
    arrays = _arrays(file, tree["g_ema"])
    if "latent_avg" in tree:
        arrays |= _arrays(file, {"latent_avg": tree["latent_avg"]})
    style = arrays.get("style.1.weight")
    width = style.shape[-1] if style is not None else 0
    channels = _channels(
        arrays, r"convs\.(\d{1,4})\.conv\.weight", lambda i: 4 << (min(i, 40) // 2 + 1), 1
    ) | _channels(arrays, r"conv(1)\.conv\.weight", lambda _: 4, 1)
    architecture = _architecture(
        file,
        z_dim=width,
        w_dim=style.shape[0] if style is not None else 0,
        mapping_layers=_count(arrays, r"style\.(\d{1,4})\.weight"),
        channels=channels,
    )
    weights = _weights(file, ROSINALITY, architecture, arrays, optional={"latent_avg"})
    return _found(ROSINALITY, architecture, weights, ("the averaged generator g_ema",))


def _from_genforce(file: NetworkFile, name: str) -> Found:
    arrays = _arrays(file, file.tree[name])
    dense = arrays.get("mapping.dense0.weight")
    architecture = _architecture(
        file,
        z_dim=dense.shape[-1] if dense is not None else 0,
        w_dim=dense.shape[0] if dense is not None else 0,
        mapping_layers=_count(arrays, r"mapping\.dense(\d{1,4})\.weight"),
        channels=_channels(
            arrays, r"synthesis\.layer(\d{1,4})\.weight", lambda i: 4 << ((min(i, 40) + 1) // 2), 0
        ),
    )
    weights = _weights(file, GENFORCE, architecture, arrays)
    return _found(GENFORCE, architecture, weights, (f"the generator {name}",))


def _found(
    layout: _Layout, architecture: Architecture, weights: Arrays, statements: tuple[str, ...]
) -> Found:
    a, parameters = architecture, sum(array.size for array in weights.values())
    shape = (
        f"StyleGAN2 in the names of {layout.name}: {a.resolution} pixels, {a.num_ws} rows of W+, "
        f"z {a.z_dim}, w {a.w_dim}, {a.mapping_layers} mapping layers, "
        f"{f'{a.c_dim} classes' if a.c_dim else 'no classes'}, {parameters:,} numbers"
    )
    return Found(layout.name, architecture, weights, (shape, *statements))


def _modules(
    file: NetworkFile, network: InertObject
) -> tuple[dict[str, Array], dict[str, InertObject]]:
    """The arrays of a network by dotted name, and its modules by theirs."""
    arrays: dict[str, Array] = {}
    modules: dict[str, InertObject] = {}
    waiting = [("", network)]
    while waiting:
        prefix, module = waiting.pop()
        if len(modules) > 10_000:
            _refuse(file, "a network has more than 10,000 modules")
        modules[prefix.removesuffix(".")] = module
        for kind in ("_parameters", "_buffers"):
            held = _part(file, module, kind)
            arrays |= _arrays(file, {f"{prefix}{k}": v for k, v in held.items() if v is not None})
        for name, child in _part(file, module, "_modules").items():
            if isinstance(child, InertObject):
                waiting.append((f"{prefix}{name}.", child))
    return arrays, modules


def _part(file: NetworkFile, module: InertObject, kind: str) -> dict[str, Any]:
    held = module.state.get(kind, {})
    if type(held) is not dict:
        _refuse(file, f"{kind} of a {module.class_name[:40]} is no dictionary")
    return held


def _arrays(file: NetworkFile, held: Mapping[Any, Any]) -> dict[str, Array]:
    arrays = {}
    for name, value in held.items():
        if not isinstance(value, InertTensor):
            _refuse(file, f"{str(name)[:80]} is no tensor but {type(value).__name__}")
        arrays[str(name)] = value.array()
    return arrays


def _refuse_other_skips(file: NetworkFile, arrays: Arrays) -> None:
    resolutions = {m[1] for key in arrays if (m := re.match(r"synthesis\.b(\d{1,4})\.", key))}
    with_rgb = {r for r in resolutions if f"synthesis.b{r}.torgb.weight" in arrays}
    residual = any(re.fullmatch(r"synthesis\.b\d+\.skip\.weight", key) for key in arrays)
    if resolutions and (residual or with_rgb != resolutions):
        raise Unsupported(
            f"{file.path} has the {'resnet' if residual else 'orig'} architecture; only skip, "
            "which published networks have, is read"
        )


def _count(arrays: Arrays, pattern: str) -> int:
    return sum(re.fullmatch(pattern, key) is not None for key in arrays)


def _channels(
    arrays: Arrays, pattern: str, resolution: Callable[[int], int], outputs: int
) -> dict[int, int]:
    """Feature maps by resolution.

    Args:
        pattern: of the names of the weights to look at, with their number as a group.
        resolution: of the weight with that number.
        outputs: the axis of feature maps.
    """
    table: dict[int, int] = {}
    for key, array in arrays.items():
        match = re.fullmatch(pattern, key)
        if match and array.ndim > outputs:
            table.setdefault(resolution(int(match[1])), int(array.shape[outputs]))
    return table


def _architecture(file: NetworkFile, **values: Any) -> Architecture:
    try:
        return Architecture(**values)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        return _refuse(file, f"its {place} is not that of a StyleGAN2 network: {problem['msg']}")


def _weights(
    file: NetworkFile,
    layout: _Layout,
    architecture: Architecture,
    arrays: Mapping[str, Array],
    optional: set[str] | frozenset[str] = frozenset(),
) -> dict[str, Array]:
    """Exactly the arrays of a layout's table, as ours; everything else must be a known filter."""
    table, weights = layout.table(architecture), {}
    for ours, shape in architecture.shapes().items():
        entry = table.get(ours)
        if entry is None:
            _refuse(file, f"the layout of {layout.name} has no {ours}")
        if entry.key not in arrays:
            if entry.key in optional:
                continue
            _refuse(file, f"it lacks {entry.key}")
        weights[ours] = _converted(file, entry, arrays[entry.key], shape)
    known = {entry.key for entry in table.values()}
    for key in arrays.keys() - known:
        _check_extra(file, layout, key, arrays[key])
    return weights


def _converted(file: NetworkFile, entry: keys.Entry, array: Array, shape: tuple[int, ...]) -> Array:
    try:
        found = entry.convert(array)
    except (IndexError, ValueError):
        _refuse(file, f"{entry.key} has shape {array.shape}")
    if found.shape != shape or found.dtype.kind != "f":
        _refuse(file, f"{entry.key} is {array.dtype} of {array.shape}, which does not give {shape}")
    made = np.ascontiguousarray(found, np.float32).reshape(shape)
    if not np.isfinite(made).all():
        _refuse(file, f"{entry.key} is not finite")
    return made


def _check_extra(file: NetworkFile, layout: _Layout, key: str, array: Array) -> None:
    if not layout.extra.fullmatch(key):
        _refuse(file, f"it has {key[:80]}, which no StyleGAN2 network of {layout.name} has")
    if array.size == 1 and key.endswith("lod"):
        return
    matches = array.size == 16 and any(
        np.allclose(array.reshape(4, 4), gain * _FIR, atol=1e-5) for gain in layout.extra_gain
    )
    if not matches:
        _refuse(file, f"its filter {key[:80]} is not [1, 3, 3, 1] with gain {layout.extra_gain}")


def _refuse(file: NetworkFile, what: str) -> NoReturn:
    raise RefusedFile(
        file.path, 0, what, "Give a StyleGAN2 network of NVIDIA, rosinality or genforce"
    )
