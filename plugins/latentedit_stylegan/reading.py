"""Detection of the generator in a weight file: layout, architecture and arrays."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from latentedit import InertObject, NetworkFile, Unsupported
from latentedit_stylegan import keys
from latentedit_stylegan.alias_free.reading import from_stylegan3
from latentedit_stylegan.architecture import Architecture
from latentedit_stylegan.keys import Array
from latentedit_stylegan.layouts import (
    Arrays,
    Found,
    Gathered,
    Layout,
    architecture_of,
    channels_of,
    count,
    found,
    refuse,
    weights_of,
    widths_of,
)
from latentedit_stylegan.synthesis import UP_GAIN
from latentedit_stylegan.tensorflow import from_tensorflow

_NVIDIA_EXTRA = re.compile(r"synthesis\.b\d+\.(conv[01]\.|torgb\.)?resample_filter")
_ROSINALITY_EXTRA = re.compile(r"(.*\.)?(blur|upsample)\.kernel")
_GENFORCE_EXTRA = re.compile(r"synthesis\..*kernel|synthesis\.lod")


NVIDIA = Layout("stylegan2-ada-pytorch", keys.nvidia, _NVIDIA_EXTRA, (1.0,))
ROSINALITY = Layout("rosinality", keys.rosinality, _ROSINALITY_EXTRA, (UP_GAIN,))
GENFORCE = Layout("genforce", keys.genforce, _GENFORCE_EXTRA, (1.0, UP_GAIN))


def find_generator(file: NetworkFile) -> Found:
    """The StyleGAN2 or StyleGAN3 generator in a weight file.

    Raises:
        Unsupported: it holds a network of another kind; says which.
        RefusedFile: its weights are not those of such a network; names the first.
    """
    if file.format == "tensorflow":
        return from_tensorflow(file)
    if type(file.tree) is not dict:
        refuse(file, "it holds no dictionary of networks")
    if isinstance(file.tree.get("G_ema"), InertObject):
        return _from_nvidia(file, file.tree["G_ema"])
    if type(file.tree.get("g_ema")) is dict:
        return _from_rosinality(file, file.tree)
    for name in ("generator_smooth", "generator"):
        if type(file.tree.get(name)) is dict:
            return _from_genforce(file, name)
    names = ", ".join(str(key)[:40] for key in list(file.tree)[:6])
    return refuse(
        file,
        f"it holds no generator: among {names or 'nothing'} is neither G_ema, g_ema nor "
        "generator_smooth",
    )


def _from_nvidia(file: NetworkFile, network: InertObject) -> Found:
    arrays, modules = _modules(file, network)
    if any(key.startswith("synthesis.input.") for key in arrays):
        return from_stylegan3(file, network, arrays, modules)
    _refuse_other_skips(file, arrays)
    layers = [module for name, module in modules.items() if re.search(r"\.conv[01]$", name)]
    clamps = [layer.state.get("conv_clamp") for layer in layers]
    if any(type(clamp) not in (int, float, type(None)) or clamp != clamps[0] for clamp in clamps):
        refuse(file, "its layers have different limits conv_clamp")
    mapping = modules.get("mapping.fc0")
    lr = mapping.state.get("bias_gain", 0.01) if mapping else 0.01
    state = network.state
    architecture = architecture_of(
        file,
        Architecture,
        z_dim=state.get("z_dim"),
        w_dim=state.get("w_dim"),
        c_dim=state.get("c_dim", 0),
        mapping_lr=lr,
        conv_clamp=clamps[0] if clamps else None,
        mapping_layers=count(arrays, r"mapping\.fc(\d{1,4})\.weight"),
        channels=channels_of(arrays, r"synthesis\.b(\d{1,4})\.conv1\.weight", lambda r: r, 0),
    )
    weights = weights_of(file, NVIDIA, architecture, arrays)
    statements = (
        f"a network of class {network.class_name}, whose program text (sha256 "
        f"{network.source_sha256[:12]}) was not run",
        "the averaged generator G_ema",
    )
    return found(NVIDIA, architecture, weights, statements)


def _from_rosinality(file: NetworkFile, tree: Mapping[str, Any]) -> Found:
    gathered = Gathered(file)
    gathered.add_tensors("", tree["g_ema"])
    if "latent_avg" in tree:
        gathered.add_tensors("", {"latent_avg": tree["latent_avg"]})
    arrays = gathered.arrays
    w_dim, z_dim = widths_of(arrays, "style.1.weight")
    channels = channels_of(
        arrays, r"convs\.(\d{1,4})\.conv\.weight", lambda i: 4 << (min(i, 40) // 2 + 1), 1
    ) | channels_of(arrays, r"conv(1)\.conv\.weight", lambda _: 4, 1)
    architecture = architecture_of(
        file,
        Architecture,
        z_dim=z_dim,
        w_dim=w_dim,
        mapping_layers=count(arrays, r"style\.(\d{1,4})\.weight"),
        channels=channels,
    )
    weights = weights_of(file, ROSINALITY, architecture, arrays, optional={"latent_avg"})
    return found(ROSINALITY, architecture, weights, ("the averaged generator g_ema",))


def _from_genforce(file: NetworkFile, name: str) -> Found:
    gathered = Gathered(file)
    gathered.add_tensors("", file.tree[name])
    arrays = gathered.arrays
    w_dim, z_dim = widths_of(arrays, "mapping.dense0.weight")
    architecture = architecture_of(
        file,
        Architecture,
        z_dim=z_dim,
        w_dim=w_dim,
        mapping_layers=count(arrays, r"mapping\.dense(\d{1,4})\.weight"),
        channels=channels_of(
            arrays, r"synthesis\.layer(\d{1,4})\.weight", lambda i: 4 << ((min(i, 40) + 1) // 2), 0
        ),
    )
    weights = weights_of(file, GENFORCE, architecture, arrays)
    return found(GENFORCE, architecture, weights, (f"the generator {name}",))


def _modules(
    file: NetworkFile, network: InertObject
) -> tuple[dict[str, Array], dict[str, InertObject]]:
    """The arrays of a network by dotted name, and its modules by theirs."""
    gathered = Gathered(file)
    modules: dict[str, InertObject] = {}
    waiting = [("", network)]
    while waiting:
        prefix, module = waiting.pop()
        gathered.count(1)
        gathered.check_name(prefix)
        modules[prefix.removesuffix(".")] = module
        for kind in ("_parameters", "_buffers"):
            gathered.add_tensors(prefix, _part(file, module, kind))
        children = _part(file, module, "_modules")
        gathered.count(len(children))
        for name, child in children.items():
            if isinstance(child, InertObject):
                waiting.append((f"{prefix}{name}.", child))
    return gathered.arrays, modules


def _part(file: NetworkFile, module: InertObject, kind: str) -> dict[str, Any]:
    held = module.state.get(kind, {})
    if type(held) is not dict:
        refuse(file, f"{kind} of a {module.class_name[:40]} is no dictionary")
    return held


def _refuse_other_skips(file: NetworkFile, arrays: Arrays) -> None:
    resolutions = {m[1] for key in arrays if (m := re.match(r"synthesis\.b(\d{1,4})\.", key))}
    with_rgb = {r for r in resolutions if f"synthesis.b{r}.torgb.weight" in arrays}
    residual = any(re.fullmatch(r"synthesis\.b\d+\.skip\.weight", key) for key in arrays)
    if resolutions and (residual or with_rgb != resolutions):
        raise Unsupported(
            f"{file.path} has the {'resnet' if residual else 'orig'} architecture; only skip, "
            "which published networks have, is read"
        )
