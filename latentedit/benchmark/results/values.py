"""Every metric of one finished cell, as one number an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from latentedit.benchmark.cells.suite_metrics import ARRAY
from latentedit.benchmark.results.keys import MetricKey
from latentedit.benchmark.suite import Suite
from latentedit.data.attributes import AttributeSchema
from latentedit.measures.angles import lighting_error, pose_error
from latentedit.measures.metrics import (
    achieved_change,
    attribute_leakage,
    edit_identity_area,
    target_error,
)

FaceValues = dict[tuple[MetricKey, float], Tensor]
"""(metric, effect) → (N,); effect 0 is 'not matched', NaN is 'no number for this image'."""


@dataclass(frozen=True)
class FinishedEdits:
    """The arrays of the cell of one entrant, seed and task. A sequence has no `attribute`."""

    arrays: dict[str, Tensor]
    task: str
    attribute: str


@dataclass(frozen=True)
class Reference:
    """What edits are measured against.

    Args:
        faces: arrays of the unedited test images.
        sigma: (A,) standard deviation of each column over the fit split.
        thresholds: same-person threshold by recogniser, in the order of the arrays.
    """

    suite: Suite
    schema: AttributeSchema
    faces: Mapping[str, Tensor]
    sigma: Tensor
    thresholds: Mapping[str, float]

    @property
    def added(self) -> list[str]:
        """The names of the metrics that the suite adds."""
        return [str(use) for use in self.suite.metrics]

    @property
    def knows_truth(self) -> bool:
        return self.faces["identity"].shape[1] > 0


def face_values(edits: FinishedEdits, reference: Reference) -> FaceValues:
    """Every metric of `edits`."""
    if not edits.attribute:
        return _sequence_values(edits, reference)
    found = _at_strength_one(edits, reference)
    for i, effect in enumerate(reference.suite.effects):
        found |= {(key, effect): v for key, v in _matched(edits, reference, i).items()}
    return found


def _sequence_values(edits: FinishedEdits, reference: Reference) -> FaceValues:
    found = {MetricKey("edit consistency"): edits.arrays["consistency"]}
    for n, drift in enumerate(edits.arrays["drift"], 1):
        found[MetricKey("drift", edits=n)] = drift
        for e, recogniser in enumerate(reference.thresholds):
            lost = edits.arrays["drift_identity"][n - 1, e]
            found[MetricKey("drift in identity", recogniser, n)] = lost
    return {(key, 0.0): values for key, values in found.items()}


def _at_strength_one(edits: FinishedEdits, reference: Reference) -> FaceValues:
    arrays, suite = edits.arrays, reference.suite
    column = reference.schema.columns(edits.attribute).start
    judged = arrays["judged"][suite.strengths.index(1.0), :, column]
    target = arrays["source"] + arrays["change"]
    found = {
        MetricKey("target error"): target_error(judged, target, reference.sigma[column]),
        MetricKey("round-trip error"): arrays["round_trip"],
        MetricKey("round-trip error in pixels"): arrays["round_trip_pixels"],
    }
    for e, recogniser in enumerate(reference.thresholds):
        lost = arrays["round_trip_identity"][e]
        found[MetricKey("round-trip error in identity", recogniser)] = lost
    for e, recogniser in enumerate(reference.thresholds):
        found[MetricKey("edit–identity area", recogniser)] = edit_identity_area(
            torch.tensor(suite.strengths), arrays["effect"], arrays["similarity"][:, e]
        )
    return {(key, 0.0): values for key, values in found.items()}


def _matched(edits: FinishedEdits, reference: Reference, i: int) -> dict[MetricKey, Tensor]:
    """Metrics at the i-th effect; NaN for images that do not reach it, where these do not count."""
    arrays = edits.arrays
    reached = ~arrays["matched_strength"][i].isnan()
    found = {
        **_of_attributes(edits, reference, i),
        **_of_identity(edits, reference, i),
        **_of_truth(edits, reference, i),
        **_of_suite(edits, reference, i),
    }
    nothing = torch.where(reached, 0.0, float("nan"))
    reach = {MetricKey("reach"): reached.float()}
    for e, recogniser in enumerate(reference.thresholds):
        similarity = torch.where(reached, arrays["matched_similarity"][i, e], 0.0)
        reach[MetricKey("identity with failures", recogniser)] = similarity
    return reach | {key: values + nothing for key, values in found.items()}


def _of_attributes(edits: FinishedEdits, reference: Reference, i: int) -> dict[MetricKey, Tensor]:
    arrays, schema, sigma = edits.arrays, reference.schema, reference.sigma
    judged, before = arrays["matched_judged"][i], reference.faces["judged"][arrays["faces"]]
    wanted = before.clone()
    column = schema.columns(edits.attribute).start
    wanted[:, column] += reference.suite.effects[i] * arrays["change"]
    leakage = attribute_leakage(before, judged, sigma, schema, edits.attribute)
    found = {
        MetricKey("attribute leakage"): leakage,
        MetricKey("kernel distance"): arrays["matched_kernel"][i],
        MetricKey("log-likelihood"): arrays["matched_likelihood"][i],
        MetricKey("Mahalanobis distance"): arrays["matched_mahalanobis"][i],
    }
    for name, array in (
        ("distance to the counterfactual", "matched_counterfactual_pixels"),
        ("distance inside what may change", "matched_counterfactual_inside"),
        ("distance outside what may change", "matched_counterfactual_outside"),
        ("structural similarity to the counterfactual", "matched_counterfactual_structure"),
    ):
        if array in arrays:
            found[MetricKey(name)] = arrays[array][i]
    for name, error in (("pose error", pose_error), ("lighting error", lighting_error)):
        angle = error(wanted, judged, schema)
        if angle is not None:
            found[MetricKey(name)] = angle
    return found


def _of_suite(edits: FinishedEdits, reference: Reference, i: int) -> dict[MetricKey, Tensor]:
    """The metrics that the suite adds, but for those of sets."""
    found = {name: edits.arrays[f"matched_{ARRAY.format(name)}"][i] for name in reference.added}
    return {MetricKey(name): values for name, values in found.items() if values.ndim == 1}


def _of_identity(edits: FinishedEdits, reference: Reference, i: int) -> dict[MetricKey, Tensor]:
    arrays, found = edits.arrays, dict[MetricKey, Tensor]()
    for e, (recogniser, threshold) in enumerate(reference.thresholds.items()):
        similarity = arrays["matched_similarity"][i, e]
        found[MetricKey("identity similarity", recogniser)] = similarity
        if "matched_photo_similarity" in arrays:
            to_photo = arrays["matched_photo_similarity"][i, e]
            found[MetricKey("identity similarity to the photo", recogniser)] = to_photo
        if "matched_counterfactual_similarity" in arrays:
            to_it = arrays["matched_counterfactual_similarity"][i, e]
            found[MetricKey("identity similarity to the counterfactual", recogniser)] = to_it
        found[MetricKey("identity accuracy", recogniser)] = (similarity > threshold).float()
    return found


def _of_truth(edits: FinishedEdits, reference: Reference, i: int) -> dict[MetricKey, Tensor]:
    if not reference.knows_truth:
        return {}
    arrays, truth = edits.arrays, edits.arrays["matched_truth"][i]
    before = reference.faces["truth"][arrays["faces"]]
    leakage = attribute_leakage(before, truth, reference.sigma, reference.schema, edits.attribute)
    column = reference.schema.columns(edits.attribute).start
    effect = achieved_change(before[:, column], truth[:, column], arrays["change"])
    return {
        MetricKey("true effect"): effect,
        MetricKey("true leakage"): leakage,
        MetricKey("true identity drift"): arrays["matched_drift"][i],
    }
