"""Training data in the layout of StyleFlow's release: a folder of three numpy arrays.

FOLDER/latents.npy      (N, 1, L, D) or (N, L, D) codes of W+; 18 equal rows where sampled in W
FOLDER/attributes.npy   (N, 8, 1): gender, glasses, yaw, pitch, baldness, beard, age, expression
FOLDER/lighting.npy     (N, 1, 9, 1, 1) spherical-harmonic coefficients
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentedit import (
    Attribute,
    AttributeSchema,
    BankImporter,
    CorruptArtefact,
    ImportedCodes,
    InputError,
    mapped_array,
)

_AMBIENT, _STRENGTH = 0.85, 0.5
LIGHTS = {
    "left-to-right": (_AMBIENT, 0, 0, -_STRENGTH, 0, 0, 0, 0, 0),
    "right-to-left": (_AMBIENT, 0, 0, _STRENGTH, 0, 0, 0, 0, 0),
    "down-to-up": (_AMBIENT, 0, -_STRENGTH, 0, 0, 0, 0, 0, 0),
    "up-to-down": (_AMBIENT, 0, _STRENGTH, 0, 0, 0, 0, 0, 0),
    "front": (_AMBIENT, -_STRENGTH, 0, 0, 0, 0, 0, 0, 0),
    "none": (_AMBIENT, 0, 0, 0, 0, 0, 0, 0, 0),
}
"""Spherical-harmonic coefficients by direction of the light; "none" is ambient light only.

The order is 1, y, z, x, xy, yz, 3z² − 1, xz, x² − y², in axes with x to the image's right, y away
from the viewer and z up. "left-to-right" comes from the left.
"""

SCHEMA = AttributeSchema(
    (
        Attribute("gender", "binary", 0.0, 1.0, named={"female": (0.0,), "male": (1.0,)}),
        Attribute("glasses", "binary", 0.0, 1.0),
        Attribute("yaw", "continuous", -90.0, 90.0, "degrees"),
        Attribute("pitch", "continuous", -90.0, 90.0, "degrees"),
        Attribute("baldness", "binary", 0.0, 1.0),
        Attribute("beard", "binary", 0.0, 1.0),
        Attribute("age", "continuous", 0.0, 120.0, "years"),
        Attribute("expression", "binary", 0.0, 1.0),
        Attribute("lighting", "vector", -3.0, 3.0, size=9, named=LIGHTS),
    )
)
"""17 columns, in this project's order; the ranges hold every face that was measured."""

_ROWS_AT_ONCE = 1_024


class StyleFlowData(BankImporter):
    """Reads a folder in StyleFlow's layout."""

    def read(self, folder: Path) -> ImportedCodes:
        """Codes and attributes of `folder`.

        Returns:
            (N, D) codes of W where all rows of every code are equal, else (N, L, D) codes of W+;
            (N, 17) attributes in natural units.

        Raises:
            InputError: a file is missing, or two disagree about N.
            CorruptArtefact: a file is damaged, or has another shape than above.
            OutOfRange: an impossible value; often the file has other columns.
        """
        return _read(folder)


def _read(folder: Path) -> ImportedCodes:
    codes = _codes(folder / "latents.npy")
    attributes = _columns(folder / "attributes.npy", "(N, 8, 1)", (8, 1))
    lighting = _columns(folder / "lighting.npy", "(N, 1, 9, 1, 1)", (1, 9, 1, 1))
    if not len(codes) == len(attributes) == len(lighting):
        raise InputError(
            f"{folder} has {len(codes)} latents, {len(attributes)} rows of attributes and "
            f"{len(lighting)} of lighting; give files that were made together"
        )
    values = torch.cat([attributes, lighting], 1)
    SCHEMA.check(values)
    return ImportedCodes(codes, values, SCHEMA)


def _codes(path: Path) -> Tensor:
    array = _open(path)
    if array.ndim == 4 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 3 or 0 in array.shape:
        raise CorruptArtefact(
            f"{path} has shape {array.shape}, not (N, 1, L, D) or (N, L, D) as StyleFlow's latents"
        )
    parts = (array[i : i + _ROWS_AT_ONCE] for i in range(0, len(array), _ROWS_AT_ONCE))
    in_w = all(bool((part == part[:, :1]).all()) for part in parts)
    return _numbers(path, array[:, 0] if in_w else array)


def _columns(path: Path, expected: str, shape: tuple[int, ...]) -> Tensor:
    array = _open(path)
    if array.shape[1:] != shape or not len(array):
        raise CorruptArtefact(f"{path} has shape {array.shape}, not {expected} as in StyleFlow")
    return _numbers(path, array.reshape(len(array), -1))


def _open(path: Path) -> NDArray[Any]:
    try:
        return mapped_array(path)
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror or error}. StyleFlow's layout is latents.npy, "
            "attributes.npy and lighting.npy in one folder"
        ) from None


def _numbers(path: Path, array: NDArray[Any]) -> Tensor:
    """A copy as float32, every number finite."""
    copied = np.array(array, dtype=np.float32, order="C")
    if not np.isfinite(copied).all():
        row = int(np.argwhere(~np.isfinite(copied))[0, 0])
        raise CorruptArtefact(f"{path}: row {row} is not finite; leave it out of all three files")
    return torch.from_numpy(copied)
