"""The table of figures as shares of the way from floor to ceiling."""

from __future__ import annotations

from dataclasses import dataclass

from latentedit.benchmark.results.keys import MetricKey, in_order
from latentedit.benchmark.results.records import Results
from latentedit.measures.headline import WAYS


@dataclass(frozen=True)
class WayTable:
    """Shares by editor, in the order of `metrics`; None where an editor has no such figure."""

    floor: str
    ceiling: str
    metrics: list[MetricKey]
    rows: dict[str, list[float | None]]


def way_table(results: Results) -> WayTable | None:
    """None where the run has no floor or no ceiling."""
    bounds = results.provenance.bounds
    metrics = in_order((way.metric for way in results.ways), WAYS)
    if not metrics:
        return None
    shares = {(way.editor, way.metric): way.share for way in results.ways}
    return WayTable(
        bounds["floor"],
        bounds["ceiling"],
        metrics,
        {name: [shares.get((name, key)) for key in metrics] for name in results.entrants},
    )
