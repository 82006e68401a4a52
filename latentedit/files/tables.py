"""Tables as CSV text that spreadsheets show as it is."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """`rows` as CSV, one line each.

    Spreadsheets execute a text cell that begins like a formula. Such a cell gets an apostrophe in
    front, as OWASP advises under "CSV injection". Numbers are unchanged.

    >>> csv_text([("=1+1", -1.5)])
    "'=1+1,-1.5\\n"
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow([_escaped(cell) for cell in row])
    return text.getvalue()


def _escaped(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
