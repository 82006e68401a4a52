"""The metrics that tables and pages show, as their definitions say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from latentedit.measures.definitions import METRICS, SHARE, Metric, Part


def headlines(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    """The metrics that pages show of those that are defined in `metrics`: the same ones of every
    run, then those that suites add, with their formula for a meaning and their name for a short
    one."""
    added = {name: _complete(metric) for name, metric in metrics.items() if name not in METRICS}
    return HEADLINES | added


def brief(metrics: Mapping[str, Metric]) -> tuple[str, ...]:
    """The few of `headlines` that the terminal and the paired differences of a report show."""
    return tuple(name for name, row in headlines(metrics).items() if row.short)


def _complete(metric: Metric) -> Metric:
    """With a meaning; and a short name, where it has a better direction."""
    short = metric.name if metric.short is None else metric.short
    return replace(
        metric,
        meaning=metric.meaning or metric.formula,
        short="" if metric.higher_is_better is None else short,
    )


def _shown_in(part: Part) -> dict[str, Metric]:
    return {name: metric for name, metric in METRICS.items() if metric.part == part}


HEADLINES = _shown_in("headline")
"""Of every run, by name, in the order of tables."""
IN_TRUTH = tuple(_shown_in("truth"))
"""The metrics that only a generator that knows its world has, and that are no headlines."""
ROUND_TRIP = tuple(_shown_in("round trip"))
"""The metrics of edits that are undone or done in another order."""
WAYS = tuple(name for name, metric in METRICS.items() if metric.bounded)
"""The metrics that are shown as shares of the way from floor to ceiling."""

SCALES = {
    "cosine": "1 is the same to the recogniser, 0 a stranger",
    "1 − cosine": "0 is the same to the recogniser, 1 a stranger",
    "σ": "0 is none, 1 is one standard deviation in the bank",
    SHARE: "1 is every image, 0 is none",
    "share": "0 is nothing lost, 1 is as much as the code itself",
    "levels": "0 is no difference, 255 is black against white",
    "SSIM": "1 is the same picture, 0 is no likeness",
}
"""By unit, what 0 and 1 mean."""
