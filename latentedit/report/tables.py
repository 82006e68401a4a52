"""Tables of means: a column a metric, a row an editor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from latentedit.benchmark.results.keys import MetricKey
from latentedit.benchmark.results.paired import ALL_TASKS
from latentedit.benchmark.results.records import Measure
from latentedit.measures.definitions import Metric


@dataclass(frozen=True)
class Column:
    """A metric as the head of a column.

    Args:
        definition: as the run recorded it.
    """

    key: MetricKey
    definition: Metric

    @property
    def arrow(self) -> str:
        """The better direction; empty for a figure that only describes."""
        return {True: "↑", False: "↓", None: ""}[self.definition.higher_is_better]


@dataclass(frozen=True)
class TableCell:
    """A mean, None where there is none, and whether the editor is better than every other one."""

    measure: Measure | None
    best: bool


@dataclass(frozen=True)
class MeanTable:
    """Means over all tasks: for each name a cell a column."""

    columns: list[Column]
    cells: dict[str, list[TableCell]]


def columns(keys: Iterable[MetricKey], metrics: Mapping[str, Metric]) -> list[Column]:
    return [Column(key, metrics[key.name]) for key in keys]


def mean_table(
    columns: list[Column],
    names: Sequence[str],
    measures: Iterable[Measure],
    best: Callable[[MetricKey], str | None],
) -> MeanTable:
    """Of `measures` of one effect, those over all tasks; `best` names the winner of a metric."""
    found = {(m.editor, m.metric): m for m in measures if m.task == ALL_TASKS}
    winners = {column.key: best(column.key) for column in columns}
    cells = {
        name: [TableCell(found.get((name, c.key)), winners[c.key] == name) for c in columns]
        for name in names
    }
    return MeanTable(columns, cells)
