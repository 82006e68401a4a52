"""Tables in Markdown of the simulated error rates that docs/results/coverage.csv holds."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from latentedit.measures.definitions import METRICS

FIGURES = Path(__file__).resolve().parents[1] / "docs" / "results" / "coverage.csv"
COVERED = (0.93, 0.97)


class Figure(NamedTuple):
    """A share of `simulated` intervals or reports, and its standard error over reports."""

    table: str
    metric: str
    row: str
    fits: int
    faces: int
    share: float
    simulated: int
    error: float


def written(found: list[Figure]) -> str:
    """As CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Figure._fields)
    for figure in found:
        numbers = f"{figure.share:.4f}", figure.simulated, f"{figure.error:.4f}"
        writer.writerow([*figure[:5], *numbers])
    return text.getvalue()


def read(path: Path = FIGURES) -> list[Figure]:
    """The figures that `written` wrote."""
    kinds = (str, str, str, int, int, float, int, float)
    with path.open(encoding="utf-8") as file:
        _, *rows = csv.reader(file)
    return [Figure(*(kind(cell) for kind, cell in zip(kinds, row, strict=True))) for row in rows]


def tables(path: Path = FIGURES) -> dict[str, Callable[[], str]]:
    """What writes each table, by its name."""
    found = read(path)
    own = {name: partial(_table, name, found) for name in ("verdicts", "coverage", "bootstrap")}
    return own | {"margins": _margins}


def _margins() -> str:
    """Markdown: the smallest difference that matters of each metric that has one."""
    lines = ["| metric | margin |", "|---|---|"]
    for metric in METRICS.values():
        if metric.margin is not None:
            lines.append(f"| {metric.name} | {metric.margin} ({metric.unit}) |")
    return "\n".join(lines)


def _table(name: str, found: list[Figure]) -> str:
    """Markdown: a row a figure, a column a number of faces. Missed coverage is bold."""
    own = [figure for figure in found if figure.table == name]
    sizes = sorted({figure.faces for figure in own})
    shares = {(f.metric, f.row, f.fits, f.faces): f for f in own}
    lines = [
        f"| {name} | | fits | {' | '.join(f'{n} faces' for n in sizes)} |",
        "|---" * (3 + len(sizes)) + "|",
    ]
    for metric, row, fits in dict.fromkeys((f.metric, f.row, f.fits) for f in own):
        cells = (_cell(shares.get((metric, row, fits, n))) for n in sizes)
        lines.append(f"| {metric} | {row} | {fits} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    return f"**{figure.share:.1%}**" if _missed(figure) else f"{figure.share:.1%}"


def _missed(figure: Figure) -> bool:
    """Whether a share is outside the bar of coverage by more than two standard errors."""
    if figure.table == "verdicts":
        return False
    low, high = COVERED
    return not low - 2 * figure.error <= figure.share <= high + 2 * figure.error
