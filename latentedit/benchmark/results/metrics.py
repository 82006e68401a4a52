"""The metrics of every run: from what its cells recorded to one number an image."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from latentedit.data.attributes import AttributeSchema
from latentedit.files.artefacts import fingerprint
from latentedit.interfaces.metric import EditMetric, EditsSeen
from latentedit.measures.angles import lighting_error, pose_error
from latentedit.measures.definitions import METRICS
from latentedit.measures.metrics import (
    achieved_change,
    attribute_leakage,
    edit_identity_area,
    target_error,
)


class RunMetric(EditMetric):
    """A metric of every run, as `METRICS` defines it.

    Class attributes:
        name: in `METRICS`.
        counts_failures: whether images that do not reach the effect have a number too.
    """

    name: ClassVar[str]
    counts_failures: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        if "name" in cls.__dict__:
            defined = METRICS[cls.name]
            cls.unit, cls.formula = defined.unit, defined.formula
            cls.higher_is_better = defined.higher_is_better
            cls.smallest_difference = defined.margin
            cls.fingerprint = fingerprint({"metric": cls.name})
            cls.__doc__ = cls.__doc__ or defined.meaning or defined.formula


class Recorded(RunMetric):
    """A metric that cells have measured: its value is the one that is recorded."""

    def measure(self, edits: EditsSeen) -> Tensor:
        (need,) = self.needs
        return edits.recorded[need]


class TargetError(RunMetric):
    name = "target error"
    needs = frozenset({"attributes", "source", "change"})
    at = "request"

    def measure(self, edits: EditsSeen) -> Tensor:
        k, recorded = edits.column, edits.recorded
        target = recorded["source"] + recorded["change"]
        return target_error(edits.after.attributes[:, k], target, edits.sigma[k])


class RoundTripError(Recorded):
    name = "round-trip error"
    needs = frozenset({"round_trip"})
    at = "request"


class RoundTripErrorInPixels(Recorded):
    name = "round-trip error in pixels"
    needs = frozenset({"round_trip_pixels"})
    at = "request"


class RoundTripErrorInIdentity(Recorded):
    name = "round-trip error in identity"
    needs = frozenset({"round_trip_identity"})
    at = "request"
    by = ("recogniser",)


class EditIdentityArea(RunMetric):
    name = "edit–identity area"
    needs = frozenset({"strengths", "effect", "similarity"})
    at = "request"
    by = ("recogniser",)

    def measure(self, edits: EditsSeen) -> Tensor:
        strengths, effect, similarity = (
            edits.recorded[name] for name in ("strengths", "effect", "similarity")
        )
        return edit_identity_area(strengths, effect, similarity.transpose(0, 1))


class Reach(RunMetric):
    name = "reach"
    needs = frozenset({"strength"})
    counts_failures = True

    def measure(self, edits: EditsSeen) -> Tensor:
        return (~edits.recorded["strength"].isnan()).float()


class IdentityWithFailures(RunMetric):
    name = "identity with failures"
    needs = frozenset({"strength", "similarity"})
    by = ("recogniser",)
    counts_failures = True

    def measure(self, edits: EditsSeen) -> Tensor:
        reached = ~edits.recorded["strength"].isnan()
        return torch.where(reached, edits.recorded["similarity"], 0.0)


class AttributeLeakage(RunMetric):
    name = "attribute leakage"
    needs = frozenset({"attributes"})

    def measure(self, edits: EditsSeen) -> Tensor:
        before, after = edits.before.attributes, edits.after.attributes
        return attribute_leakage(before, after, edits.sigma, edits.schema, edits.attribute)


class KernelDistance(Recorded):
    name = "kernel distance"
    needs = frozenset({"kernel"})


class LogLikelihood(Recorded):
    name = "log-likelihood"
    needs = frozenset({"likelihood"})


class MahalanobisDistance(Recorded):
    name = "Mahalanobis distance"
    needs = frozenset({"mahalanobis"})


class DistanceToTheCounterfactual(Recorded):
    name = "distance to the counterfactual"
    needs = frozenset({"counterfactual_pixels"})


class DistanceInsideWhatMayChange(Recorded):
    name = "distance inside what may change"
    needs = frozenset({"counterfactual_inside"})


class DistanceOutsideWhatMayChange(Recorded):
    name = "distance outside what may change"
    needs = frozenset({"counterfactual_outside"})


class StructuralSimilarityToTheCounterfactual(Recorded):
    name = "structural similarity to the counterfactual"
    needs = frozenset({"counterfactual_structure"})


class PoseError(RunMetric):
    name = "pose error"
    needs = frozenset({"attributes", "change"})

    def measure(self, edits: EditsSeen) -> Tensor:
        return _angle(pose_error, edits)


class LightingError(RunMetric):
    name = "lighting error"
    needs = frozenset({"attributes", "change"})

    def measure(self, edits: EditsSeen) -> Tensor:
        return _angle(lighting_error, edits)


class IdentitySimilarity(Recorded):
    name = "identity similarity"
    needs = frozenset({"similarity"})
    by = ("recogniser",)


class IdentitySimilarityToThePhoto(Recorded):
    name = "identity similarity to the photo"
    needs = frozenset({"photo_similarity"})
    by = ("recogniser",)


class IdentitySimilarityToTheCounterfactual(Recorded):
    name = "identity similarity to the counterfactual"
    needs = frozenset({"counterfactual_similarity"})
    by = ("recogniser",)


class IdentityAccuracy(RunMetric):
    name = "identity accuracy"
    needs = frozenset({"similarity", "threshold"})
    by = ("recogniser",)

    def measure(self, edits: EditsSeen) -> Tensor:
        return (edits.recorded["similarity"] > edits.recorded["threshold"][:, None]).float()


class TrueEffect(RunMetric):
    name = "true effect"
    needs = frozenset({"truth", "truth_before", "change"})

    def measure(self, edits: EditsSeen) -> Tensor:
        k, recorded = edits.column, edits.recorded
        before, after = recorded["truth_before"][:, k], recorded["truth"][:, k]
        return achieved_change(before, after, recorded["change"])


class TrueLeakage(RunMetric):
    name = "true leakage"
    needs = frozenset({"truth", "truth_before"})

    def measure(self, edits: EditsSeen) -> Tensor:
        before, after = edits.recorded["truth_before"], edits.recorded["truth"]
        return attribute_leakage(before, after, edits.sigma, edits.schema, edits.attribute)


class TrueIdentityDrift(Recorded):
    name = "true identity drift"
    needs = frozenset({"drift"})


class EditConsistency(Recorded):
    name = "edit consistency"
    needs = frozenset({"consistency"})
    at = "sequence"


class Drift(Recorded):
    name = "drift"
    needs = frozenset({"drift"})
    at = "sequence"
    by = ("edits",)


class DriftInIdentity(Recorded):
    name = "drift in identity"
    needs = frozenset({"drift_identity"})
    at = "sequence"
    by = ("edits", "recogniser")


def _angle(
    error: Callable[[Tensor, Tensor, AttributeSchema], Tensor | None], edits: EditsSeen
) -> Tensor:
    """The error of what the judge reads against what it should read; NaN where the schema has not
    what `error` compares."""
    after = edits.after.attributes
    wanted = edits.before.attributes.clone()
    wanted[:, edits.column] += edits.effect * edits.recorded["change"]
    found = error(wanted, after, edits.schema)
    return after.new_full((len(after),), float("nan")) if found is None else found


IN_ORDER: tuple[tuple[RunMetric, ...], ...] = (
    (TargetError(),),
    (RoundTripError(),),
    (RoundTripErrorInPixels(),),
    (RoundTripErrorInIdentity(),),
    (EditIdentityArea(),),
    (Reach(),),
    (IdentityWithFailures(),),
    (AttributeLeakage(),),
    (KernelDistance(),),
    (LogLikelihood(),),
    (MahalanobisDistance(),),
    (DistanceToTheCounterfactual(),),
    (DistanceInsideWhatMayChange(),),
    (DistanceOutsideWhatMayChange(),),
    (StructuralSimilarityToTheCounterfactual(),),
    (PoseError(),),
    (LightingError(),),
    (
        IdentitySimilarity(),
        IdentitySimilarityToThePhoto(),
        IdentitySimilarityToTheCounterfactual(),
        IdentityAccuracy(),
    ),
    (TrueEffect(),),
    (TrueLeakage(),),
    (TrueIdentityDrift(),),
    (EditConsistency(),),
    (Drift(), DriftInIdentity()),
)
"""In the order of results. Those of one group stand together, recogniser by recogniser."""
