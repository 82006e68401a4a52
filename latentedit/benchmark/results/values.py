"""Every metric of one finished cell, as one number a face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from latentedit.benchmark.suite import Suite
from latentedit.data.attributes import AttributeSchema
from latentedit.measures.angles import lighting_error, pose_error
from latentedit.measures.metrics import attribute_leakage, edit_identity_area, target_error

Values = dict[tuple[str, float], Tensor]
"""(metric, effect) → (N,); effect 0 is 'not matched', NaN is 'no number for this face'."""


@dataclass(frozen=True)
class Case:
    """One editor, seed and task: the arrays of its cell. A sequence has no `attribute`."""

    arrays: dict[str, Tensor]
    task: str
    attribute: str


@dataclass(frozen=True)
class Setting:
    """What a case is measured against.

    Args:
        faces: arrays of the unedited test faces.
        sigma: (A,) standard deviation of each column over the fit split.
        thresholds: same-person threshold by recogniser, in the order of the arrays.
    """

    suite: Suite
    schema: AttributeSchema
    faces: Mapping[str, Tensor]
    sigma: Tensor
    thresholds: Mapping[str, float]

    @property
    def knows_truth(self) -> bool:
        return self.faces["identity"].shape[1] > 0


def case_values(case: Case, setting: Setting) -> Values:
    """Every metric of `case`."""
    if not case.attribute:
        return _sequence_values(case, setting)
    found = _at_strength_one(case, setting)
    for i, effect in enumerate(setting.suite.effects):
        found |= {(name, effect): v for name, v in _matched(case, setting, i).items()}
    return found


def _sequence_values(case: Case, setting: Setting) -> Values:
    found = {("edit consistency", 0.0): case.arrays["consistency"]}
    for n, drift in enumerate(case.arrays["drift"], 1):
        edits = f"{n} edit{'s' * (n > 1)}"
        found[f"drift · {edits}", 0.0] = drift
        for e, encoder in enumerate(setting.thresholds):
            lost = case.arrays["drift_identity"][n - 1, e]
            found[f"drift in identity · {edits} · {encoder}", 0.0] = lost
    return found


def _at_strength_one(case: Case, setting: Setting) -> Values:
    arrays, suite = case.arrays, setting.suite
    column = setting.schema.columns(case.attribute).start
    judged = arrays["judged"][suite.strengths.index(1.0), :, column]
    target = arrays["source"] + arrays["change"]
    found = {
        ("target error", 0.0): target_error(judged, target, setting.sigma[column]),
        ("round-trip error", 0.0): arrays["round_trip"],
        ("round-trip error in pixels", 0.0): arrays["round_trip_pixels"],
    }
    for e, encoder in enumerate(setting.thresholds):
        found[f"round-trip error in identity · {encoder}", 0.0] = arrays["round_trip_identity"][e]
    for e, encoder in enumerate(setting.thresholds):
        found[f"edit–identity area · {encoder}", 0.0] = edit_identity_area(
            torch.tensor(suite.strengths), arrays["effect"], arrays["similarity"][:, e]
        )
    return found


def _matched(case: Case, setting: Setting, i: int) -> dict[str, Tensor]:
    """Metrics at the i-th effect; NaN for faces that do not reach it, but for reach itself."""
    arrays, schema, sigma = case.arrays, setting.schema, setting.sigma
    rows, column = arrays["faces"], schema.columns(case.attribute).start
    reached = ~arrays["matched_strength"][i].isnan()
    judged, before = arrays["matched_judged"][i], setting.faces["judged"][rows]
    wanted = before.clone()
    wanted[:, column] += setting.suite.effects[i] * arrays["change"]
    found = {
        "attribute leakage": attribute_leakage(before, judged, sigma, schema, case.attribute),
        "kernel distance": arrays["matched_kernel"][i],
        "log-likelihood": arrays["matched_likelihood"][i],
        "Mahalanobis distance": arrays["matched_mahalanobis"][i],
    }
    for name, error in (("pose error", pose_error), ("lighting error", lighting_error)):
        angle = error(wanted, judged, schema)
        if angle is not None:
            found[name] = angle
    for e, (encoder, threshold) in enumerate(setting.thresholds.items()):
        similarity = arrays["matched_similarity"][i, e]
        found[f"identity similarity · {encoder}"] = similarity
        if "matched_photo_similarity" in arrays:
            to_photo = arrays["matched_photo_similarity"][i, e]
            found[f"identity similarity to the photo · {encoder}"] = to_photo
        found[f"identity accuracy · {encoder}"] = (similarity > threshold).float()
    if setting.knows_truth:
        truth, true_before = arrays["matched_truth"][i], setting.faces["truth"][rows]
        found["true leakage"] = attribute_leakage(true_before, truth, sigma, schema, case.attribute)
        found["true identity drift"] = arrays["matched_drift"][i]
    nothing = torch.where(reached, 0.0, float("nan"))
    return {"reach": reached.float(), **{name: v + nothing for name, v in found.items()}}
