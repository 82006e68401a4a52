"""Comparisons of every two entrants, as the script of a page reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from latentedit.benchmark.results.comparison import Comparison
from latentedit.benchmark.results.keys import ALL_TASKS
from latentedit.report.tables import Column


def picker_data(
    tasks: Sequence[str], heads: Sequence[Column], compared: Sequence[Comparison], things: str
) -> dict[str, Any]:
    """Tasks; metrics as name, detail and direction; and rows that begin with the names of the pair,
    the task, and the number of the metric.

    Args:
        things: what images show, in the plural.
    """
    numbers = {column.key: i for i, column in enumerate(heads)}
    return {
        "tasks": [*tasks, ALL_TASKS],
        "metrics": [[c.key.name, c.detail, bool(c.definition.higher_is_better)] for c in heads],
        "rows": [
            [
                *(*row.pair, row.task, numbers[row.metric], *_rounded(row), row.basis(things)),
                *(row.leader, row.verdict == "equivalent"),
            ]
            for row in compared
            if row.metric in numbers
        ],
    }


def _rounded(row: Comparison) -> list[float | None]:
    numbers = (row.difference, row.low, row.high)
    return [None if value is None else round(value, 4) for value in numbers]
