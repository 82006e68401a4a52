"""Every metric of one finished cell, as one number an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from latentedit.benchmark.cells.suite_metrics import ARRAY, recorded_at_effect
from latentedit.benchmark.results.keys import MetricKey
from latentedit.benchmark.results.metrics import IN_ORDER, RunMetric
from latentedit.benchmark.suite import Suite
from latentedit.data.attributes import AttributeSchema
from latentedit.interfaces.metric import RECORDED, At, EditsSeen, Seen

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
        return {(key, 0.0): v for key, v in _of_every_run("sequence", edits, reference)}
    found = {(key, 0.0): v for key, v in _of_every_run("request", edits, reference)}
    for i, effect in enumerate(reference.suite.effects):
        matched = [*_of_every_run("effect", edits, reference, i), *_of_suite(edits, reference, i)]
        found |= {(key, effect): v for key, v in matched}
    return found


def _of_every_run(
    at: At, edits: FinishedEdits, reference: Reference, i: int = 0
) -> Iterator[tuple[MetricKey, Tensor]]:
    """The metrics of every run that the cell has numbers for, at the i-th effect if matched."""
    seen = _seen(at, edits, reference, i)
    known = {*seen.recorded, "attributes"}
    for group in IN_ORDER:
        measured = [
            _named(metric, seen)
            for metric in group
            if metric.at == at and metric.needs <= known and all(map(seen.axes.get, metric.by))
        ]
        for together in zip(*filter(None, measured), strict=True):
            for part in together:
                yield from part


def _named(metric: RunMetric, seen: EditsSeen) -> list[list[tuple[MetricKey, Tensor]]]:
    """The numbers (N,) of a metric with their keys, by its first axis; none where all are NaN."""
    values = metric.measure(seen)
    if bool(values.isnan().all()):
        return []
    if metric.at == "effect" and not metric.counts_failures:
        values = values + _where_reached(seen.recorded["strength"])
    labels = list(product(*(seen.axes[axis] for axis in metric.by)))
    keys = [MetricKey(metric.name, **dict(zip(metric.by, of, strict=True))) for of in labels]
    named = list(zip(keys, values.reshape(len(keys), -1), strict=True))
    width = len(named) // len(seen.axes[metric.by[0]]) if metric.by else 1
    return [named[start : start + width] for start in range(0, len(named), width)]


def _seen(at: At, edits: FinishedEdits, reference: Reference, i: int) -> EditsSeen:
    """What a cell recorded of its edits, at the i-th effect if it is matched."""
    arrays, nothing = edits.arrays, torch.empty(0)
    before, after, recorded = nothing, nothing, dict(arrays)
    if at != "sequence":
        before = reference.faces["judged"][arrays["faces"]]
    if at == "effect":
        matched, known = "matched_", reference.knows_truth
        found = {n.removeprefix(matched): a[i] for n, a in arrays.items() if n.startswith(matched)}
        recorded = recorded_at_effect(
            found,
            arrays["change"],
            reference.thresholds.values(),
            reference.faces["truth"][arrays["faces"]] if known else None,
        )
        after = found["judged"]
    elif at == "request":
        recorded["strengths"] = torch.tensor(reference.suite.strengths)
        after = arrays["judged"][reference.suite.strengths.index(1.0)]
    return EditsSeen(
        Seen(nothing, nothing, before, {}),
        Seen(nothing, nothing, after, {}),
        nothing,
        reference.schema,
        reference.sigma,
        edits.attribute,
        seed=0,
        effect=reference.suite.effects[i] if at == "effect" else 0.0,
        at=at,
        recorded={name: recorded[name] for name in RECORDED[at] if name in recorded},
        axes={
            "recogniser": tuple(reference.thresholds),
            "edits": tuple(range(1, len(arrays["drift"]) + 1)) if at == "sequence" else (),
        },
    )


def _of_suite(
    edits: FinishedEdits, reference: Reference, i: int
) -> Iterator[tuple[MetricKey, Tensor]]:
    """The metrics that the suite adds, but for those of sets."""
    reached = _where_reached(edits.arrays["matched_strength"][i])
    for name in reference.added:
        values = edits.arrays[f"matched_{ARRAY.format(name)}"][i]
        if values.ndim == 1:
            yield MetricKey(name), values + reached
        elif values.ndim == 2:
            for recogniser, numbers in zip(reference.thresholds, values, strict=True):
                yield MetricKey(name, recogniser), numbers + reached


def _where_reached(strength: Tensor) -> Tensor:
    """0 where the effect is reached at a strength (N,), NaN where that is NaN."""
    return torch.where(strength.isnan(), float("nan"), 0.0)
