"""Tables of means: a column a metric, a row an editor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from latentedit.benchmark.results.keys import ALL_TASKS, MetricKey
from latentedit.benchmark.results.rows import Measure
from latentedit.measures.definitions import Metric
from latentedit.measures.headline import SCALES
from latentedit.report.names import short_names


@dataclass(frozen=True)
class Column:
    """A metric as the head of a column.

    Args:
        definition: as the run recorded it.
        recogniser: a short name of the key's.
    """

    key: MetricKey
    definition: Metric
    recogniser: str

    @property
    def arrow(self) -> str:
        """The better direction; empty for a figure that only describes."""
        return self.definition.arrow

    @property
    def detail(self) -> str:
        """That of the key, with a short name of the recogniser."""
        return replace(self.key, recogniser=self.recogniser).detail

    @property
    def scale(self) -> str:
        """What 0 and 1 mean; empty where the unit says so."""
        return SCALES.get(self.definition.unit, "")


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
    listed = list(keys)
    short = short_names(key.recogniser for key in listed if key.recogniser)
    return [Column(key, metrics[key.name], short.get(key.recogniser, "")) for key in listed]


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
