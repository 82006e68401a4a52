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
        file: a CSV with columns `split` and `index`, or with a column `file` of the names that
            ``latentedit bank images`` gives, and a column for each attribute.
        attributes: which columns, with their kinds, ranges and units; all, as they look, if not
            given.
    """

    file: Path
    attributes: DeclaredAttributes = ()


class CsvLabels(AttributeEstimator):
    """Labels a bank whose faces people, or another program, have labelled."""

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
            f"{self._file} knows the faces of a bank and cannot look at other images: use it as a "
            "labeller only, and train a judge: latentedit train faces-trained"
        )

    def card(self) -> dict[str, Any]:
        """How many rows there are."""
        return {"rows": len(self._table.keys), "sha256": self._table.digest}
