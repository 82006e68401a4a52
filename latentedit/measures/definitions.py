"""Definitions of all metrics: names, units, directions, formulas and margins."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A figure per image at matched effect.

    Args:
        name: its name in results and reports.
        unit: its unit.
        higher_is_better: the direction of improvement; None for a figure that is only descriptive.
        formula: text of the report's footnote.
        margin: the smallest difference between editors that matters; None where none is stated, so
            that the metric cannot be a primary endpoint.
    """

    name: str
    unit: str
    higher_is_better: bool | None
    formula: str
    margin: float | None = None


SHARE = "share of images"
"""Unit of metrics that are yes or no per image."""

METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "reach", SHARE, True, "share of images whose achieved change attains r", margin=0.02
        ),
        Metric("identity similarity", "cosine", True, "cos(E(x), E(x'))", margin=0.01),
        Metric(
            "identity with failures",
            "cosine",
            True,
            "cos(E(x), E(x')), and 0, as between strangers, for an image that does not reach r",
        ),
        Metric(
            "identity similarity to the photo",
            "cosine",
            True,
            "cos(E(photo), E(x')), where x is a photo's reconstruction",
            margin=0.01,
        ),
        Metric(
            "identity accuracy",
            SHARE,
            True,
            "share with cos(E(x), E(x')) above the recogniser's threshold at FAR 1e-3",
            margin=0.02,
        ),
        Metric(
            "attribute leakage",
            "σ",
            False,
            "mean over k' ≠ k of |A(x') − A(x)|_k' / σ_k'",
            margin=0.02,
        ),
        Metric(
            "true leakage", "σ", False, "attribute leakage read off the edited code", margin=0.02
        ),
        Metric(
            "true identity drift", "σ", False, "RMS change of the true identity scores", margin=0.02
        ),
        Metric(
            "true effect",
            "share of the change",
            None,
            "(A(x') − A(x))_k / Δ read off the edited code, where the judge sees r",
        ),
        Metric(
            "distance to the counterfactual",
            "levels",
            False,
            "mean |x' − c|, 255 levels; c is the same image with only k changed, as much as in x'",
        ),
        Metric(
            "distance inside what may change",
            "levels",
            False,
            "mean |x' − c|, 255 levels, over the pixels whose bytes differ in x and c",
        ),
        Metric(
            "distance outside what may change",
            "levels",
            False,
            "mean |x' − c|, 255 levels, over all other pixels",
        ),
        Metric(
            "structural similarity to the counterfactual",
            "SSIM",
            True,
            "mean SSIM of x' and c, Wang et al. 2004, windows of 7 × 7 pixels",
        ),
        Metric(
            "identity similarity to the counterfactual",
            "cosine",
            True,
            "cos(E(c), E(x')), c as above",
        ),
        Metric("target error", "σ", False, "|A(x') − target|_k / σ_k at strength 1", margin=0.05),
        Metric(
            "round-trip error", "share", False, "|w'' − w| / |w| after an edit by Δ and then −Δ"
        ),
        Metric(
            "round-trip error in pixels",
            "levels",
            False,
            "mean |x'' − x|, 255 levels, there and back",
        ),
        Metric(
            "round-trip error in identity",
            "1 − cosine",
            False,
            "1 − cos(E(x), E(x'')), there and back",
        ),
        Metric(
            "edit consistency",
            "σ",
            False,
            "mean |A − A'| / σ between two orders of the same edits, over all pairs of orders",
            margin=0.02,
        ),
        Metric("drift", "share", False, "|w'' − w| / |w| after N edits and the same N undone"),
        Metric(
            "drift in identity",
            "1 − cosine",
            False,
            "1 − cos(E(x), E(x'')) after N edits and the same N undone",
        ),
        Metric(
            "pose error",
            "degrees",
            False,
            "angle between where the head looks and where it should, yaw and pitch by the judge",
        ),
        Metric(
            "lighting error",
            "degrees",
            False,
            "angle between the lighting coefficients and what they should be, by the judge",
        ),
        Metric(
            "kernel distance",
            "squared MMD",
            False,
            "unbiased squared MMD of edited and unedited images, (x·y / F + 1)³, judge's features",
        ),
        Metric(
            "log-likelihood",
            "nats a dimension",
            None,
            "log p(w' given the attributes it should have), Gaussian of the fit split, over D",
        ),
        Metric(
            "Mahalanobis distance",
            "σ",
            None,
            "((w' − μ)ᵀ C⁻¹ (w' − μ) / D)^½ to the fit split; unedited images lie at about 1",
        ),
        Metric(
            "edit–identity area",
            "cosine",
            True,
            "area under identity similarity against r on [0, 1]; effects not reached count 0",
            margin=0.01,
        ),
    )
}
