"""Weight names of four projects, and the conversion of each to ours.

Our names are those of stylegan2-ada-pytorch. A table maps each of them to the other project's name
and to a function that converts its array. A file must hold exactly the entries of its table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentedit_stylegan.alias_free_architecture import AliasFreeArchitecture
from latentedit_stylegan.architecture import Architecture, Layer

Array = NDArray[Any]


@dataclass(frozen=True)
class Entry:
    """One weight in another project's file.

    Args:
        key: its name there.
        convert: its array there → the array here.
    """

    key: str
    convert: Callable[[Array], Array] = np.asarray


Table = Mapping[str, Entry]
"""By our names."""


def first(array: Array) -> Array:
    """(1, \\*shape) → (\\*shape)."""
    return np.asarray(array[0])


def plane(array: Array) -> Array:
    """(1, 1, R, R) → (R, R)."""
    return np.asarray(array[0, 0])


def flipped(array: Array) -> Array:
    """A kernel (O, I, k, k) flipped in both directions: correlation instead of convolution."""
    return array[:, :, ::-1, ::-1]


def moved(array: Array) -> Array:
    """A kernel (k, k, I, O) → (O, I, k, k)."""
    return array.transpose(3, 2, 0, 1)


def turned(array: Array) -> Array:
    """A kernel (k, k, I, O) → (O, I, k, k), flipped."""
    return flipped(moved(array))


def plus_one(array: Array) -> Array:
    """Add 1 to style biases, which these files store as offsets from their initial value 1."""
    return array + np.float32(1)


def flat(array: Array) -> Array:
    return array.reshape(-1)


def scalar(array: Array) -> Array:
    return array.reshape(())


def nvidia(architecture: Architecture | AliasFreeArchitecture) -> Table:
    """stylegan2-ada-pytorch and stylegan3: our own names."""
    return {name: Entry(name) for name in architecture.shapes()}


def rosinality(architecture: Architecture) -> Table:
    """rosinality/stylegan2-pytorch: keys of ``g_ema``, and the top-level ``latent_avg``."""
    table = {"mapping.w_avg": Entry("latent_avg", flat)}
    for i in range(architecture.mapping_layers):
        table |= _plain(f"mapping.fc{i}", f"style.{i + 1}")
    table["synthesis.b4.const"] = Entry("input.input", first)
    for layer in architecture.layers():
        theirs = _rosinality_name(layer)
        bias = Entry(f"{theirs}.bias", flat) if layer.to_rgb else Entry(f"{theirs}.activate.bias")
        table |= {
            f"{layer.name}.weight": Entry(f"{theirs}.conv.weight", first),
            f"{layer.name}.bias": bias,
            f"{layer.name}.affine.weight": Entry(f"{theirs}.conv.modulation.weight"),
            f"{layer.name}.affine.bias": Entry(f"{theirs}.conv.modulation.bias"),
        }
        if not layer.to_rgb:
            index = _convolution_index(layer)
            table[f"{layer.name}.noise_strength"] = Entry(f"{theirs}.noise.weight", scalar)
            table[f"{layer.name}.noise_const"] = Entry(f"noises.noise_{index}", plane)
    return table


def genforce(architecture: Architecture) -> Table:
    """genforce/genforce: keys of ``generator_smooth``."""
    table = {"mapping.w_avg": Entry("truncation.w_avg", flat)}
    for i in range(architecture.mapping_layers):
        table |= _plain(f"mapping.fc{i}", f"mapping.dense{i}")
    table["synthesis.b4.const"] = Entry("synthesis.early_layer.const", first)
    for layer in architecture.layers():
        if layer.to_rgb:
            theirs = f"synthesis.output{_block(layer)}"
        else:
            theirs = f"synthesis.layer{_convolution_index(layer)}"
        table |= {
            f"{layer.name}.weight": Entry(f"{theirs}.weight", flipped if layer.up else np.asarray),
            f"{layer.name}.bias": Entry(f"{theirs}.bias"),
            f"{layer.name}.affine.weight": Entry(f"{theirs}.style.weight"),
            f"{layer.name}.affine.bias": Entry(f"{theirs}.style.bias", plus_one),
        }
        if not layer.to_rgb:
            table[f"{layer.name}.noise_strength"] = Entry(f"{theirs}.noise_strength", scalar)
            table[f"{layer.name}.noise_const"] = Entry(f"{theirs}.noise", plane)
    return table


def tensorflow(architecture: Architecture) -> Table:
    """NVlabs/stylegan2 and stylegan2-ada for TensorFlow: variables of ``Gs`` and its components."""
    table = {"mapping.w_avg": Entry("dlatent_avg", flat)}
    if architecture.c_dim:
        table |= _transposed("mapping.embed", "mapping/LabelEmbed")
    for i in range(architecture.mapping_layers):
        table |= _transposed(f"mapping.fc{i}", f"mapping/Dense{i}")
    table["synthesis.b4.const"] = Entry("synthesis/4x4/Const/const", first)
    for layer in architecture.layers():
        theirs = f"synthesis/{layer.resolution}x{layer.resolution}/{_tensorflow_name(layer)}"
        table |= {
            f"{layer.name}.weight": Entry(f"{theirs}/weight", turned if layer.up else moved),
            f"{layer.name}.bias": Entry(f"{theirs}/bias"),
            f"{layer.name}.affine.weight": Entry(f"{theirs}/mod_weight", np.transpose),
            f"{layer.name}.affine.bias": Entry(f"{theirs}/mod_bias", plus_one),
        }
        if not layer.to_rgb:
            noise = f"synthesis/noise{_convolution_index(layer)}"
            table[f"{layer.name}.noise_strength"] = Entry(f"{theirs}/noise_strength", scalar)
            table[f"{layer.name}.noise_const"] = Entry(noise, plane)
    return table


def _transposed(ours: str, theirs: str) -> dict[str, Entry]:
    weight = Entry(f"{theirs}/weight", np.transpose)
    return {f"{ours}.weight": weight, f"{ours}.bias": Entry(f"{theirs}/bias")}


def _tensorflow_name(layer: Layer) -> str:
    if layer.to_rgb:
        return "ToRGB"
    if layer.resolution == 4:
        return "Conv"
    return "Conv0_up" if layer.up else "Conv1"


def _plain(ours: str, theirs: str) -> dict[str, Entry]:
    return {f"{ours}.{part}": Entry(f"{theirs}.{part}") for part in ("weight", "bias")}


def _block(layer: Layer) -> int:
    """0 for the block of resolution 4, 1 for 8, …"""
    return int(math.log2(layer.resolution)) - 2


def _convolution_index(layer: Layer) -> int:
    """0 for the convolution at 4, 1 and 2 for those at 8, …"""
    return 2 * _block(layer) - (1 if layer.up else 0)


def _rosinality_name(layer: Layer) -> str:
    block = _block(layer)
    if block == 0:
        return "to_rgb1" if layer.to_rgb else "conv1"
    if layer.to_rgb:
        return f"to_rgbs.{block - 1}"
    return f"convs.{_convolution_index(layer) - 1}"
