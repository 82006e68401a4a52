"""Labels by people: a CSV with one row per picture or face, or folders named after labels."""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from latentedit import (
    AttributeSchema,
    InputError,
    UnknownName,
    file_digest,
    fingerprint,
    open_regular,
    picture_files,
)
from latentedit_faces.declarations import DeclaredAttribute
from latentedit_faces.pictures import read_picture

NOT = ("not-", "no-")
"""Prefix of a folder of pictures without the attribute."""
FACE = re.compile(r"(?:.*/)?(fit|test)-([0-9]{1,12})\.[a-z]+")
"""File names of pictures by ``latentedit bank images``."""
SENTINELS = (-1.0, -9.0, -99.0, -999.0, -9999.0)
"""Numbers that often stand for a missing value."""
MANY_ROWS = 20
"""Number of rows from which a column 0, 1, 2, … is taken for row numbers."""
NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
DIGITS = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True)
class LabelTable:
    """Values by picture file, or by split and index of a bank's face.

    Args:
        keys: N file names from the table, or ``fit-00012.png`` for face 12 of the fit split.
        values: (N, A), natural units; NaN for empty cells.
        digest: sha256 of the file.
        key: the column, or the first of the columns, that the keys come from.
    """

    schema: AttributeSchema
    keys: tuple[str, ...]
    values: Tensor
    digest: str
    key: str = "file"


@dataclass(frozen=True)
class LabelledImages:
    """Pictures and their labels: N files, and values (N, A) with NaN for missing ones."""

    files: tuple[Path, ...]
    values: Tensor
    schema: AttributeSchema
    digest: str

    def load(self, side: int) -> Tensor:
        """(N, 3, side, side) in [-1, 1]: the middle square of every picture."""
        return torch.stack([read_picture(file, side) for file in self.files])


def read_table(
    path: Path,
    declared: tuple[DeclaredAttribute, ...] = (),
    *,
    keys: tuple[str, ...] = ("split", "index"),
) -> LabelTable:
    """A CSV: a column `file`, or columns `split` and `index`, and one for each attribute.

    Args:
        declared: kinds, ranges and units. If not declared, a column of 0 and 1 is binary, and any
            other column is continuous over the range of its values.
        keys: the columns that stand for `file`; ``("index",)`` numbers rows of one file.

    Raises:
        InputError: the table is invalid; names the line and its content.
    """
    header, rows = _rows(path)
    key_columns = ("file",) if "file" in header else keys
    if missing := [name for name in key_columns if name not in header]:
        others = " and ".join(f"`{name}`" for name in keys)
        raise InputError(
            f"{path} has the columns {', '.join(header)}, and needs `file` (file names), or "
            f"{others} (numbers of faces); it lacks {missing[0]}"
        )
    names = [name for name in header if name not in key_columns]
    for each in declared:
        if each.name not in names:
            raise UnknownName("column", each.name, names, f"of {path}")
    chosen = [each.name for each in declared] or names
    if not chosen:
        raise InputError(f"{path} has no column besides {', '.join(key_columns)}")
    read_key = {"file": _file, "split": _face, "index": _index}[key_columns[0]]
    found, lines = [], []
    for number, row in rows:
        found.append(read_key(path, number, row))
        lines.append([_value(path, number, name, row[name]) for name in chosen])
    _no_twins(path, found)
    values = torch.tensor(lines, dtype=torch.float32)
    schema = _schema(path, chosen, values, declared)
    return LabelTable(schema, tuple(found), values, file_digest(path), key_columns[0])


def labelled_images(
    folder: Path, labels: Path | None, declared: tuple[DeclaredAttribute, ...] = ()
) -> LabelledImages:
    """The pictures of `folder` with a row in `labels`.

    Without a CSV, subfolders are the labels: X holds pictures with the binary attribute X, and
    ``not-X`` pictures without it.

    Raises:
        InputError: a picture of the table is missing, or the folder has no subfolders.
    """
    if labels is None:
        return _by_folder(folder, declared)
    table = read_table(labels, declared)
    files = tuple(folder / key for key in table.keys)
    if absent := [file for file in files if not file.is_file()]:
        raise InputError(
            f"{labels} has labels of {absent[0].name} and {len(absent) - 1} more pictures that are "
            f"not in {folder}"
        )
    return LabelledImages(files, table.values, table.schema, table.digest)


def bank_rows(table: LabelTable, split: str, n: int, where: Path) -> Tensor:
    """(n, A) labels of the first n faces of a bank's split.

    Raises:
        InputError: the table lacks some of them, or a value of one.
    """
    faces = [FACE.fullmatch(key) for key in table.keys]
    if bad := [key for key, face in zip(table.keys, faces, strict=True) if face is None]:
        raise InputError(
            f"{where} has a row for {bad[0]!r}, which is no face of a bank: name pictures as "
            "`latentedit bank images` does (fit-00012.png), or use columns `split` and `index`"
        )
    rows = {int(f[2]): i for i, f in enumerate(faces) if f is not None and f[1] == split}
    missing = [i for i in range(n) if i not in rows]
    if missing:
        raise InputError(
            f"{where} has no labels of {len(missing)} of {n} {split} faces, first of face "
            f"{missing[0]}. Label them, or train an estimator on those you have: latentedit train "
            "faces-trained"
        )
    values = table.values[[rows[i] for i in range(n)]]
    if bool(values.isnan().any()):
        row, column = values.isnan().nonzero()[0].tolist()
        raise InputError(
            f"{where} has no value of {table.schema.names[column]!r} for {split} face {row}"
        )
    return values


def _rows(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    try:
        with TextIOWrapper(open_regular(path), "utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            _check_delimiter(path, header)
            if len(set(header)) != len(header) or not all(header):
                raise InputError(f"{path}: columns need different names, received {header}")
            rows = []
            for cells in reader:
                if len(cells) not in (0, len(header)):
                    raise InputError(
                        f"{path}, line {reader.line_num}: {len(cells)} cells for "
                        f"{len(header)} columns"
                    )
                if cells:
                    rows.append((reader.line_num, dict(zip(header, cells, strict=True))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {path} as a CSV in UTF-8: {error}") from None
    if not rows:
        raise InputError(f"{path} has no rows")
    return header, rows


def _check_delimiter(path: Path, header: list[str]) -> None:
    for name, delimiter in (("semicolons", ";"), ("tabs", "\t"), ("bars", "|")):
        if len(header) == 1 and delimiter in header[0]:
            raise InputError(
                f"{path} has {name} between its columns; save it with commas and decimal points"
            )


def _file(path: Path, line: int, row: dict[str, str]) -> str:
    """The picture's name; ``fit-12.png`` and ``fit-00012.png`` are one face of a bank."""
    name = row["file"].strip()
    if not name or "\0" in name:
        raise InputError(f"{path}, line {line}: file is the name of a picture, received {name!r}")
    return name


def _face(path: Path, line: int, row: dict[str, str]) -> str:
    split, index = row["split"].strip(), row["index"].strip()
    if split not in ("fit", "test") or not DIGITS.fullmatch(index):
        raise InputError(
            f"{path}, line {line}: a face is split fit or test and an index from 0, "
            f"received {split!r} and {index!r}"
        )
    return f"{split}-{int(index):05d}.png"


def _index(path: Path, line: int, row: dict[str, str]) -> str:
    text = row["index"].strip()
    if not DIGITS.fullmatch(text):
        raise InputError(f"{path}, line {line}: index is a number from 0, received {text[:80]!r}")
    return str(int(text))


def _value(path: Path, line: int, name: str, cell: str) -> float:
    text = cell.strip()
    if not text:
        return math.nan
    if not NUMBER.fullmatch(text):
        raise InputError(
            f"{path}, line {line}: {name} is a number or empty, received {cell[:80]!r}"
        )
    value = float(text)
    if not abs(value) <= torch.finfo(torch.float32).max:
        raise InputError(
            f"{path}, line {line}: {name} does not fit into float32, received {cell[:80]!r}"
        )
    return value


def _no_twins(path: Path, keys: list[str]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for key in keys:
        face = FACE.fullmatch(key)
        parsed = (face[1], str(int(face[2]))) if face else ("", PurePosixPath(key).as_posix())
        if parsed in seen:
            told = key if key == seen[parsed] else f"{seen[parsed]}, once as {key}"
            raise InputError(f"{path} has two rows for {told}")
        seen[parsed] = key


def _schema(
    path: Path, names: list[str], values: Tensor, declared: tuple[DeclaredAttribute, ...]
) -> AttributeSchema:
    said = {each.name: each for each in declared}
    attributes = []
    for name, column in zip(names, values.T, strict=True):
        known = column[~column.isnan()]
        if not len(known):
            raise InputError(f"{path}: column {name!r} is empty")
        if name not in said:
            _check_undeclared(path, name, known)
        binary = bool(((known == 0) | (known == 1)).all())
        each = said.get(name) or DeclaredAttribute(
            name=name, kind="binary" if binary else "continuous"
        )
        attribute = each.attribute((known.min().item(), known.max().item()))
        attribute.check(known)
        attributes.append(attribute)
    return AttributeSchema(tuple(attributes))


def _check_undeclared(path: Path, name: str, known: Tensor) -> None:
    """Refuse a column that is probably no attribute, or whose range is not that of its values.

    Raises:
        InputError: names the column and what to declare instead.
    """
    low, high = known.min().item(), known.max().item()
    others = known[known != low]
    declare = f"declare {name!r} with its kind, low and high if this is meant"
    if low == high:
        raise InputError(f"{path}: every value of {name!r} is {low:g}; drop the column")
    if set(known.tolist()) == {-1.0, 1.0}:
        raise InputError(f"{path}: {name!r} is coded as -1 and 1; write 0 and 1, or {declare}")
    if low in SENTINELS and bool((others >= 0).all()):
        raise InputError(
            f"{path}: {name!r} has {low:g} beside values from {others.min().item():g}, which "
            f"probably marks missing ones; leave those cells empty, or {declare}"
        )
    steps = known.diff()
    if len(known) >= MANY_ROWS and bool((steps == 1).all()) and low in (0, 1):
        raise InputError(f"{path}: {name!r} numbers the rows; drop the column, or {declare}")


def _by_folder(folder: Path, declared: tuple[DeclaredAttribute, ...]) -> LabelledImages:
    files = picture_files(folder, recursive=True)
    labels = [file.relative_to(folder).parts[0] for file in files]
    if any((folder / label).is_file() for label in labels):
        raise InputError(
            f"{folder} holds pictures outside of folders: sort them into folders such as smiling "
            "and not-smiling, or give a CSV of labels"
        )
    names = sorted({_positive(label) for label in labels})
    rows = [[float(label == name) for name in names] for label in labels]
    said = {each.name: each for each in declared}
    attributes = [
        said.get(name, DeclaredAttribute(name=name, kind="binary")).attribute() for name in names
    ]
    digest = fingerprint([str(file.relative_to(folder)) for file in files])
    return LabelledImages(
        tuple(files), torch.tensor(rows), AttributeSchema(tuple(attributes)), digest
    )


def _positive(label: str) -> str:
    for prefix in NOT:
        if label.startswith(prefix) and len(label) > len(prefix):
            return label.removeprefix(prefix)
    return label
