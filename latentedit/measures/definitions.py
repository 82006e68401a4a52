"""Definitions of all metrics: names, units, directions, formulas, margins, and where they show."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

Part = Literal["headline", "truth", "round trip", "data only"]
"""Where a report shows a metric: in the table that every page has, in the one of generators that
know their world, in the one of edits that are undone, or nowhere but in the files."""
SHARE = "share of images"
"""Unit of metrics that are yes or no per image."""


@dataclass(frozen=True)
class Metric:
    """A figure per image, as tables, reports and leaderboards show it.

    Args:
        name: its name in results and reports.
        unit: its unit.
        higher_is_better: the direction of improvement; None for a figure that is only descriptive.
        formula: text of the report's footnote.
        margin: the smallest difference between editors that matters; None where none is stated, so
            that the metric cannot be a primary endpoint.
        part: where reports show it.
        meaning: one plain line; the formula if there is none.
        short: its name where space is narrow. Only metrics with one are in the terminal's tables
            and among the paired differences of a report. The name if it is None.
        bounded: whether it is shown as a share of the way from floor to ceiling, too.
    """

    name: str
    unit: str
    higher_is_better: bool | None
    formula: str
    margin: float | None = None
    # The rest says how it is shown. Results of a run do not hold it, so it is not compared.
    part: Part = field(default="headline", compare=False)
    meaning: str = field(default="", compare=False)
    short: str | None = field(default=None, compare=False)
    bounded: bool = field(default=False, compare=False)

    @property
    def plugin(self) -> str:
        """Its name among plugins.

        >>> METRICS["edit–identity area"].plugin
        'edit-identity-area'
        """
        return "-".join(re.findall("[a-z]+", self.name.lower()))

    @property
    def arrow(self) -> str:
        """The better direction; empty for a figure that only describes."""
        return {True: "↑", False: "↓", None: ""}[self.higher_is_better]


METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "reach",
            SHARE,
            True,
            "share of images whose achieved change attains r",
            margin=0.02,
            meaning="How often the editor could make the wanted change at all.",
            short="reach",
        ),
        Metric(
            "identity similarity",
            "cosine",
            True,
            "cos(E(x), E(x'))",
            margin=0.01,
            meaning="How much the edited image still shows the same individual.",
            short="similarity",
            bounded=True,
        ),
        Metric(
            "identity with failures",
            "cosine",
            True,
            "cos(E(x), E(x')), and 0, as between strangers, for an image that does not reach r",
            meaning="The same, where an image that cannot be changed as wanted counts as a "
            "stranger.",
            short="",
            bounded=True,
        ),
        Metric(
            "identity similarity to the photo",
            "cosine",
            True,
            "cos(E(photo), E(x')), where x is a photo's reconstruction",
            margin=0.01,
            meaning="The same, compared with the photo itself.",
            short="",
        ),
        Metric(
            "identity accuracy",
            SHARE,
            True,
            "share with cos(E(x), E(x')) above the recogniser's threshold at FAR 1e-3",
            margin=0.02,
            meaning="How often an identity encoder still takes it for the same individual.",
            short="",
        ),
        Metric(
            "attribute leakage",
            "σ",
            False,
            "mean over k' ≠ k of |A(x') − A(x)|_k' / σ_k'",
            margin=0.02,
            meaning="How much everything else changed along, as an independent judge sees it.",
            short="leakage",
            bounded=True,
        ),
        Metric(
            "true leakage",
            "σ",
            False,
            "attribute leakage read off the edited code",
            margin=0.02,
            meaning="The same, as the generator knows it exactly.",
            short="true leakage",
            bounded=True,
        ),
        Metric(
            "true identity drift",
            "σ",
            False,
            "RMS change of the true identity scores",
            margin=0.02,
            meaning="How far the true identity moved, as the generator knows it.",
            short="",
            bounded=True,
        ),
        Metric(
            "true effect",
            "share of the change",
            None,
            "(A(x') − A(x))_k / Δ read off the edited code, where the judge sees r",
            part="truth",
        ),
        Metric(
            "distance to the counterfactual",
            "levels",
            False,
            "mean |x' − c|, 255 levels; c is the same image with only k changed, as much as in x'",
            part="truth",
            bounded=True,
        ),
        Metric(
            "distance inside what may change",
            "levels",
            False,
            "mean |x' − c|, 255 levels, over the pixels whose bytes differ in x and c",
            part="truth",
            bounded=True,
        ),
        Metric(
            "distance outside what may change",
            "levels",
            False,
            "mean |x' − c|, 255 levels, over all other pixels",
            part="truth",
            bounded=True,
        ),
        Metric(
            "structural similarity to the counterfactual",
            "SSIM",
            True,
            "mean SSIM of x' and c, Wang et al. 2004, windows of 7 × 7 pixels",
            part="truth",
            bounded=True,
        ),
        Metric(
            "identity similarity to the counterfactual",
            "cosine",
            True,
            "cos(E(c), E(x')), c as above",
            part="truth",
            bounded=True,
        ),
        Metric(
            "target error",
            "σ",
            False,
            "|A(x') − target|_k / σ_k at strength 1",
            margin=0.05,
            meaning="How far the result is from what was asked, when simply asked once.",
            short="error",
        ),
        Metric(
            "round-trip error",
            "share",
            False,
            "|w'' − w| / |w| after an edit by Δ and then −Δ",
            part="round trip",
        ),
        Metric(
            "round-trip error in pixels",
            "levels",
            False,
            "mean |x'' − x|, 255 levels, there and back",
            part="round trip",
        ),
        Metric(
            "round-trip error in identity",
            "1 − cosine",
            False,
            "1 − cos(E(x), E(x'')), there and back",
            part="round trip",
        ),
        Metric(
            "edit consistency",
            "σ",
            False,
            "mean |A − A'| / σ between two orders of the same edits, over all pairs of orders",
            margin=0.02,
            part="round trip",
        ),
        Metric(
            "drift",
            "share",
            False,
            "|w'' − w| / |w| after N edits and the same N undone",
            part="round trip",
        ),
        Metric(
            "drift in identity",
            "1 − cosine",
            False,
            "1 − cos(E(x), E(x'')) after N edits and the same N undone",
            part="data only",
        ),
        Metric(
            "pose error",
            "degrees",
            False,
            "angle between where the head looks and where it should, yaw and pitch by the judge",
            part="data only",
        ),
        Metric(
            "lighting error",
            "degrees",
            False,
            "angle between the lighting coefficients and what they should be, by the judge",
            part="data only",
        ),
        Metric(
            "kernel distance",
            "squared MMD",
            False,
            "unbiased squared MMD of edited and unedited images, (x·y / F + 1)³, judge's features",
            part="data only",
        ),
        Metric(
            "log-likelihood",
            "nats a dimension",
            None,
            "log p(w' given the attributes it should have), Gaussian of the fit split, over D",
            part="data only",
        ),
        Metric(
            "Mahalanobis distance",
            "σ",
            None,
            "((w' − μ)ᵀ C⁻¹ (w' − μ) / D)^½ to the fit split; unedited images lie at about 1",
            part="data only",
        ),
        Metric(
            "edit–identity area",
            "cosine",
            True,
            "area under identity similarity against r on [0, 1]; effects not reached count 0",
            margin=0.01,
            meaning="Identity kept along the whole way from no change to the full change.",
            short="",
        ),
    )
}
"""The metrics of every run, by name."""
