"""Accuracy of judge, labeller, recognisers and reconstructions on the unedited test images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from scipy.stats import spearmanr

from latentedit.benchmark.results.keys import MetricKey
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.reading_errors import (
    ReadingError,
    identity_agreement,
    reading_errors,
)
from latentedit.benchmark.results.rows import (
    EstimatorErrors,
    Noise,
    Photographs,
    PhotoIdentity,
    RecogniserFigures,
    Role,
)
from latentedit.measures.metrics import identity_similarity


def estimator_errors(run: Run) -> dict[Role, EstimatorErrors]:
    """Of judge and labeller; empty where the truth is not known."""
    reference, truth = run.first.reference, run.unedited("truth")
    judged = run.unedited("judged")
    if not reference.knows_truth or truth is None or judged is None:
        return {}
    sigma, schema = reference.sigma, reference.schema
    labels = run.labels
    return {
        "judge": EstimatorErrors(
            str(run.suite.judge),
            reading_errors(judged, truth, sigma, schema),
        ),
        "labeller": EstimatorErrors(
            run.bank.labeller.name, reading_errors(labels, truth, sigma, schema)
        ),
    }


def agreement(run: Run) -> dict[str, float]:
    """Spearman's ρ between judge and labeller on the unedited test images, by single attribute."""
    schema, judged, labels = run.bank.schema, run.unedited("judged"), run.labels
    if judged is None:
        return {}
    found = {}
    for attribute in schema:
        column = schema.columns(attribute.name).start
        ours, theirs = labels[:, column].numpy(), judged[:, column].numpy()
        if attribute.kind != "vector" and np.ptp(ours) > 0 and np.ptp(theirs) > 0:
            found[attribute.name] = float(spearmanr(ours, theirs).statistic)
    return found


def recogniser_figures(run: Run) -> tuple[RecogniserFigures, ...]:
    """Each recogniser with its card, and how it agrees with the truth on these images."""
    faces = run.first.reference.faces
    return tuple(
        RecogniserFigures(
            entry.name,
            entry.threshold,
            entry.card,
            identity_agreement(faces["embeddings"][e], faces["identity"]),
        )
        for e, entry in enumerate(run.provenance.identity)
    )


def noise(
    errors: Mapping[str, ReadingError],
    recognisers: Iterable[RecogniserFigures],
    agreed: Mapping[str, float],
    one: str,
) -> tuple[Noise, ...]:
    """By metric, the error of what it is read off.

    Args:
        errors: of the judge, by attribute; empty where the truth is not known.
        agreed: see `agreement`; shown where the truth is not known.
        one: what an image shows.
    """
    found = []
    if agreed and not errors:
        listed = ", ".join(f"{name} {rho:.2f}" for name, rho in agreed.items())
        text = f"judge and labeller agree on unedited images by Spearman’s ρ: {listed}"
        for metric in ("reach", "attribute leakage", "target error", "edit consistency"):
            found.append(Noise(MetricKey(metric), None, text))
    if errors:
        mean = float(np.mean([error.mae_sigma for error in errors.values()]))
        text = f"judge errs by {mean:.2f} σ on one {one}"
        for metric in ("attribute leakage", "target error", "edit consistency"):
            found.append(Noise(MetricKey(metric), mean, text))
        found.append(Noise(MetricKey("reach"), None, text))
        for metric in ("true leakage", "true identity drift"):
            found.append(Noise(MetricKey(metric), 0.0, "exact"))
    for recogniser in recognisers:
        if text := _verification(recogniser):
            for metric in ("identity similarity", "identity accuracy", "edit–identity area"):
                found.append(Noise(MetricKey(metric, recogniser.name), None, text))
    return tuple(found)


def _verification(recogniser: RecogniserFigures) -> str:
    """What is known of a recogniser, in a few words."""
    card, parts = recogniser.card, []
    if "true_accept_rate" in card:
        parts.append(f"knows {card['true_accept_rate']:.0%} of people again")
    if "auc" in card:
        parts.append(f"AUC {card['auc']:.3f}")
    if recogniser.agreement is not None:
        parts.append(f"rank correlation with the truth {recogniser.agreement:.2f}")
    return ", ".join(parts)


def photographs(run: Run) -> Photographs | None:
    """How far the unedited reconstructions are from the photographs; None for sampled images."""
    inversion, reference = run.bank.inversion, run.reference
    if inversion is None:
        return None
    faces = reference.faces
    found = identity_similarity(faces["photo_embeddings"], faces["embeddings"])
    return Photographs(
        pixel_error=float(np.mean([row["pixel_error"] for row in inversion["photographs"]])),
        identity=tuple(
            PhotoIdentity(
                name, float(found[e].mean()), float((found[e] > threshold).float().mean())
            )
            for e, (name, threshold) in enumerate(reference.thresholds.items())
        ),
        tuned=inversion["tuned"] is not None,
    )
