"""Codes of your own, with labels: a folder with a CSV and numpy or PyTorch files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentedit import (
    BankImporter,
    CorruptArtefact,
    ImportedCodes,
    InertArray,
    InertTensor,
    InputError,
    mapped_array,
    read_network,
)
from latentedit_faces.labels import LabelTable, read_table

LABELS = "labels.csv"
ALL_CODES = ("codes.npy", "codes.pt")
SUFFIXES = (".npy", ".pt", ".pth")


class OwnCodes(BankImporter):
    """Reads ``labels.csv`` and the codes that it labels.

    There are two layouts:

    - One file ``codes.npy`` or ``codes.pt``: (N, L, D) of W+, (N, 1, D) or (N, D) of W. The CSV has
      a column `index`, the row of each code from 0.
    - One file for each code: (L, D), (1, L, D), (1, D) or (D,). The CSV has a column `file`, the
      name of each file.

    Codes without a row of labels are left out. Codes of W+ with equal rows are codes of W.
    """

    def read(self, folder: Path) -> ImportedCodes:
        """Codes (N, L, D) or (N, D), and the attributes of each.

        Raises:
            InputError: a file is missing, has another shape, or a label is missing.
            CorruptArtefact: a file is damaged, or holds something else than finite floats.
        """
        table = read_table(folder / LABELS, keys=("index",))
        if bool(table.values.isnan().any()):
            row, column = table.values.isnan().nonzero()[0].tolist()
            raise InputError(
                f"{folder / LABELS} has no value of {table.schema.names[column]!r} for "
                f"{table.keys[row]}; fill the cell or leave out the row"
            )
        read = _by_file if table.key == "file" else _by_index
        return ImportedCodes(_w_if_equal(read(folder, table)), table.values, table.schema)


def _by_index(folder: Path, table: LabelTable) -> Tensor:
    """Rows of the one file of codes, in the order of the table."""
    found = [folder / name for name in ALL_CODES if (folder / name).exists()]
    if len(found) != 1:
        raise InputError(
            f"{folder} has {len(found)} of {' and '.join(ALL_CODES)}, and needs one: the codes "
            f"whose rows {LABELS} names in its column `index`"
        )
    array = _array(found[0])
    if array.ndim not in (2, 3):
        raise _shape(found[0], array, "(N, L, D), (N, 1, D) or (N, D)")
    rows = [int(key) for key in table.keys]
    if (last := max(rows)) >= len(array):
        raise InputError(
            f"{found[0]} has {len(array)} codes, {folder / LABELS} labels index {last}"
        )
    return _numbers(found[0], array[rows])


def _by_file(folder: Path, table: LabelTable) -> Tensor:
    """The code of each file, in the order of the table."""
    codes: list[Tensor] = []
    for name in table.keys:
        path = folder / name
        if path.suffix.lower() not in SUFFIXES or ".." in path.parts or Path(name).is_absolute():
            raise InputError(
                f"{folder / LABELS} names {name!r}; codes are {', '.join(SUFFIXES)} files in "
                f"{folder}"
            )
        array = _array(path)
        one = array[0] if array.ndim == 3 and len(array) == 1 else array
        if one.ndim not in (1, 2):
            raise _shape(path, array, "(L, D), (1, L, D), (1, D) or (D,)")
        code = _numbers(path, one)
        if codes and code.shape != codes[0].shape:
            raise InputError(
                f"{path} has a code of shape {tuple(code.shape)}, {table.keys[0]} one of "
                f"{tuple(codes[0].shape)}; give codes of one generator"
            )
        codes.append(code)
    return torch.stack(codes)


def _array(path: Path) -> NDArray[Any]:
    """The one array in a file."""
    if path.suffix.lower() == ".npy":
        return mapped_array(path)
    value = read_network(path).tree
    if type(value) is dict and len(value) == 1:
        value = next(iter(value.values()))
    if isinstance(value, InertTensor):
        return value.array()
    if isinstance(value, InertArray) and value.content is not None:
        return value.content
    raise InputError(f"{path} holds {type(value).__name__}; codes are one tensor of floats")


def _numbers(path: Path, array: NDArray[Any]) -> Tensor:
    """A copy as float32, every number finite."""
    if array.dtype.kind != "f" or not array.size:
        raise _shape(path, array, "floats")
    with np.errstate(over="ignore"):  # a number too large for 32 bits becomes infinite
        copied = np.array(array, dtype=np.float32, order="C")
    if not np.isfinite(copied).all():
        raise CorruptArtefact(f"{path} has codes that are not finite; leave them out of {LABELS}")
    return torch.from_numpy(copied)


def _w_if_equal(codes: Tensor) -> Tensor:
    """(N, L, D) with L equal rows each → (N, D)."""
    equal = codes.ndim == 3 and bool((codes == codes[:, :1]).all())
    return codes[:, 0].clone() if equal else codes


def _shape(path: Path, array: NDArray[Any], expected: str) -> InputError:
    return InputError(f"{path} holds {array.dtype} of shape {array.shape}; expected {expected}")
