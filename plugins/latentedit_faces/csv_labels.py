"""A labeller that reads a bank's labels from a CSV file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, NoReturn

from torch import Tensor

from latentedit import AttributeEstimator, InputError, Options, Unsupported, fingerprint
from latentedit_faces.declarations import DeclaredAttributes
from latentedit_faces.labels import bank_rows, read_table


class CsvOptions(Options):
    """Options of `faces-csv`.

    Args:
        file: a CSV with one column per attribute, and either the columns `split` and `index`, or a
            column `file` with names by ``latentedit bank images``.
        attributes: columns with their kinds, ranges and units. By default all columns, with kinds
            and ranges inferred from their values.
    """

    file: Path
    attributes: DeclaredAttributes = ()


class CsvLabels(AttributeEstimator):
    """Labels a bank with labels by people or by another program."""

    Options: ClassVar[type[CsvOptions]] = CsvOptions

    def __init__(self, options: CsvOptions | None = None) -> None:
        if options is None:
            raise InputError("faces-csv needs the option file: a CSV of labels")
        self._file, self._table = options.file, read_table(options.file, options.attributes)
        self.schema = self._table.schema
        self.fingerprint = fingerprint(
            {"labels": self._table.digest, "schema": self.schema.to_json()}
        )

    def recorded(self, split: str, n: int) -> Tensor:
        """(n, A) of the first n faces of a bank's split."""
        return bank_rows(self._table, split, n, self._file)

    def estimate(self, images: Tensor) -> NoReturn:
        raise Unsupported(
            f"{self._file} has labels of a bank's faces and cannot label other images: use it as a "
            "labeller only, and train a judge: latentedit train faces-trained"
        )

    def card(self) -> dict[str, Any]:
        """The number of rows."""
        return {"rows": len(self._table.keys), "sha256": self._table.digest}
