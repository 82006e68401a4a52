"""The generator in a TensorFlow pickle of StyleGAN2: a tuple ``(G, D, Gs)`` of attribute bags.

Each bag has ``static_kwargs`` (its configuration), ``variables`` (pairs of a name and an array) and
``components`` (bags again: ``mapping`` and ``synthesis``).
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from latentedit import InertArray, InertObject, NetworkFile, Unsupported
from latentedit_stylegan import keys
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
from latentedit_stylegan.synthesis import FILTER

TENSORFLOW = Layout("TensorFlow's stylegan2", keys.tensorflow, re.compile(r"(.*/)?lod"), ())
FIXED: Mapping[str, Any] = {
    "architecture": "skip",
    "nonlinearity": "lrelu",
    "mapping_nonlinearity": "lrelu",
    "normalize_latents": True,
    "resample_kernel": list(FILTER),
}
"""What a configuration must say, where it says anything."""


def from_tensorflow(file: NetworkFile) -> Found:
    """The averaged generator ``Gs``, the last of the tuple.

    Raises:
        Unsupported: an architecture other than skip, a way of conditioning other than ADA's.
        RefusedFile: it is not a StyleGAN2 generator; names what is missing.
    """
    network = file.tree[-1]
    if len(file.tree) != 3 or not isinstance(network, InertObject):
        refuse(file, "it is no tuple (G, D, Gs) of networks")
    arrays, settings = _variables_and_settings(file, network)
    _refuse_other_kinds(file, arrays, settings)
    inputs, w_dim = widths_of(arrays, "mapping/Dense0/weight")
    classes, _ = widths_of(arrays, "mapping/LabelEmbed/weight")
    architecture = architecture_of(
        file,
        Architecture,
        z_dim=inputs - (w_dim if classes else 0),
        w_dim=w_dim,
        c_dim=classes,
        mapping_layers=count(arrays, r"mapping/Dense(\d{1,4})/weight"),
        mapping_lr=settings.get("mapping_lrmul", 0.01),
        conv_clamp=settings.get("conv_clamp"),
        channels=channels_of(arrays, r"synthesis/(\d{1,4})x\1/Conv1?/weight", lambda r: r, 3),
    )
    weights = weights_of(file, TENSORFLOW, architecture, arrays)
    return found(TENSORFLOW, architecture, weights, ("the averaged generator Gs",))


def _bags(network: InertObject) -> Iterator[tuple[str, InertObject]]:
    """The generator and its components, each with the prefix of its variables."""
    yield "", network
    components = network.state.get("components")
    for name, part in components.items() if type(components) is dict else ():
        if isinstance(part, InertObject):
            yield f"{name}/", part


def _variables_and_settings(
    file: NetworkFile, network: InertObject
) -> tuple[Arrays, dict[str, Any]]:
    """The arrays of a network by name, and its configuration."""
    gathered, settings = Gathered(file), dict[str, Any]()
    for prefix, bag in _bags(network):
        variables, held = bag.state.get("variables"), bag.state.get("static_kwargs")
        if type(variables) is not list:
            refuse(file, f"its network {prefix[:80] or 'Gs'} has no list of variables")
        gathered.count(1 + len(variables))
        for pair in variables:
            if type(pair) is not tuple or len(pair) != 2 or type(pair[0]) is not str:
                refuse(file, "a variable is no pair of a name and an array")
            gathered.add(f"{prefix}{pair[0]}", _array(file, *pair))
        if type(held) is dict:
            gathered.count(len(held))
            settings |= held
    return gathered.arrays, settings


def _array(file: NetworkFile, name: str, held: Any) -> Array:
    if isinstance(held, InertArray) and held.content is not None:
        content: Array = held.content
        return content
    if type(held) in (float, int):
        return np.asarray(float(held), np.float64)
    return refuse(file, f"its variable {name[:80]} is no array but {type(held).__name__}")


def _refuse_other_kinds(file: NetworkFile, arrays: Arrays, settings: Mapping[str, Any]) -> None:
    if "mapping/LabelConcat/weight" in arrays:
        raise Unsupported(
            f"{file.path} is conditioned as TensorFlow's StyleGAN2 was before ADA (LabelConcat: "
            "code and class normalised together), which is not read; unconditional networks are"
        )
    for name, expected in FIXED.items():
        if name in settings and _plain(settings[name]) != expected:
            received = reprlib.repr(settings[name])[:40]  # a nested value could have any length
            raise Unsupported(
                f"{file.path} has {name} = {received}; only {expected} is read, which published "
                "StyleGAN2 networks have"
            )
    if any(re.search(r"/(Skip/weight|Conv0/weight|ToRGB_lod\d+/weight)$", key) for key in arrays):
        raise Unsupported(f"{file.path} is a resnet or a StyleGAN1 generator; only skip is read")


def _plain(value: Any) -> Any:
    return list(value) if type(value) is tuple else value
