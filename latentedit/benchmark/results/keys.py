"""Names of measured quantities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Annotated

from pydantic import PlainSerializer

from latentedit.measures.added import definition
from latentedit.measures.definitions import Metric


def _recorded(metric: Metric) -> dict[str, str | bool | float | None]:
    return {field.name: getattr(metric, field.name) for field in fields(metric) if field.compare}


RecordedMetric = Annotated[Metric, PlainSerializer(_recorded)]
"""A metric as ``results.json`` holds it: without how it is shown, which may change."""
ALL_TASKS = "all tasks"
"""In place of a task: the mean over all of them."""


@dataclass(frozen=True)
class MetricKey:
    """A metric, and by whom or over what it was measured.

    Args:
        name: in `METRICS`, or of a metric that the suite adds.
        recogniser: whose embeddings it compares; empty for a metric without one.
        edits: how many edits were done and undone; 0 for a metric that does not count them.

    >>> str(MetricKey("identity similarity", "contrastive")), str(MetricKey("drift", edits=2))
    ('identity similarity · contrastive', 'drift · 2 edits')
    """

    name: str
    recogniser: str = ""
    edits: int = 0

    @property
    def metric(self) -> Metric:
        return definition(self.name)

    @property
    def detail(self) -> str:
        """What tells it from other keys of its name, for people."""
        count = f"{self.edits} edit{'s' * (self.edits > 1)}" if self.edits else ""
        return " · ".join(part for part in (count, self.recogniser) if part)

    def __str__(self) -> str:
        return " · ".join(part for part in (self.name, self.detail) if part)


def in_order(keys: Iterable[MetricKey], names: Sequence[str]) -> list[MetricKey]:
    """The different `keys` that have one of `names`, in the order of `names`."""
    wanted = {key for key in keys if key.name in names}
    return sorted(wanted, key=lambda key: (names.index(key.name), key.recogniser, key.edits))
