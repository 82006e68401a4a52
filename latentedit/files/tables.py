"""Tables as CSV text that spreadsheets show as it is, and as HTML."""

from __future__ import annotations

import csv
import html
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


def html_table(head: Sequence[object], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """`rows` under `head` as an HTML table; all text is escaped.

    >>> html_table(["a"], [["<b>"]])
    '<table><tr><th>a</th></tr><tr><td>&lt;b&gt;</td></tr></table>'
    """
    lines = [f"<caption>{html.escape(caption)}</caption>"] if caption else []
    for tag, line in (("th", head), *(("td", row) for row in rows)):
        cells = "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in line)
        lines.append(f"<tr>{cells}</tr>" if cells else "")
    return f"<table>{''.join(lines)}</table>"


def _escaped(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
