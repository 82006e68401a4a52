"""The metrics that tables and pages show, in their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from latentedit.measures.definitions import METRICS, SHARE, Metric


@dataclass(frozen=True)
class Headline:
    """A metric that every page shows.

    Args:
        metric: its name in `METRICS`.
        meaning: one plain line.
        short: its name where space is narrow. Only metrics with one are in the terminal's tables
            and among the paired differences of a report.
    """

    metric: str
    meaning: str
    short: str = ""


HEADLINES = {
    row.metric: row
    for row in (
        Headline(
            "reach", "How often the editor could make the wanted change at all.", short="reach"
        ),
        Headline(
            "identity similarity",
            "How much the edited image still shows the same individual.",
            short="similarity",
        ),
        Headline(
            "identity with failures",
            "The same, where an image that cannot be changed as wanted counts as a stranger.",
        ),
        Headline("identity similarity to the photo", "The same, compared with the photo itself."),
        Headline(
            "identity accuracy",
            "How often an identity encoder still takes it for the same individual.",
        ),
        Headline(
            "attribute leakage",
            "How much everything else changed along, as an independent judge sees it.",
            short="leakage",
        ),
        Headline(
            "true leakage",
            "The same, as the generator knows it exactly.",
            short="true leakage",
        ),
        Headline(
            "true identity drift",
            "How far the true identity moved, as the generator knows it.",
        ),
        Headline(
            "target error",
            "How far the result is from what was asked, when simply asked once.",
            short="error",
        ),
        Headline(
            "edit–identity area",
            "Identity kept along the whole way from no change to the full change.",
        ),
    )
}
"""By name, in the order of tables."""


def headlines(metrics: Mapping[str, Metric]) -> dict[str, Headline]:
    """The metrics that pages show of those that are defined in `metrics`: the same ones of every
    run, then those that suites add, by their formula."""
    added = {
        name: Headline(name, metric.formula, short=name)
        for name, metric in metrics.items()
        if name not in METRICS
    }
    return HEADLINES | added


def brief(metrics: Mapping[str, Metric]) -> tuple[str, ...]:
    """The few of `headlines` that the terminal and the paired differences of a report show."""
    return tuple(name for name, row in headlines(metrics).items() if row.short)


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

WAYS = (
    "identity similarity",
    "identity with failures",
    "identity similarity to the counterfactual",
    "distance to the counterfactual",
    "distance inside what may change",
    "distance outside what may change",
    "structural similarity to the counterfactual",
    "attribute leakage",
    "true leakage",
    "true identity drift",
)
"""The metrics that are shown as shares of the way from floor to ceiling."""

IN_TRUTH = (
    "true effect",
    "distance to the counterfactual",
    "distance inside what may change",
    "distance outside what may change",
    "structural similarity to the counterfactual",
    "identity similarity to the counterfactual",
)
"""The metrics that only a generator that knows its world has, and that are no headlines."""

ROUND_TRIP = (
    "round-trip error",
    "round-trip error in pixels",
    "round-trip error in identity",
    "edit consistency",
    "drift",
)
"""The metrics of edits that are undone or done in another order."""
