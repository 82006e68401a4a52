"""Data frames of figures; pandas is optional."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from latentedit.benchmark.results.keys import MetricKey
from latentedit.errors import EnvironmentFault

if TYPE_CHECKING:
    import pandas as pd

METRIC_COLUMNS = ("metric", "recogniser", "edits")
"""The columns of `metric_parts`."""


def metric_parts(metric: MetricKey) -> tuple[str, str, int]:
    """Name of a metric, whose embeddings it compares, and how many edits it counts."""
    return metric.name, metric.recogniser, metric.edits


def frame(rows: Iterable[Sequence[Any]], columns: Sequence[str]) -> pd.DataFrame:
    """`rows` as a data frame.

    Raises:
        EnvironmentFault: pandas is not installed.
    """
    try:
        import pandas as pd  # noqa: PLC0415
    except ImportError:
        raise EnvironmentFault(
            "data frames need pandas; install it with: pip install 'latentedit[frame]'"
        ) from None
    return pd.DataFrame(list(rows), columns=list(columns))
