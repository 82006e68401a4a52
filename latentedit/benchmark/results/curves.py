"""Metrics along the achieved effect."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from latentedit.benchmark.results.keys import MetricKey
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.records import Curve
from latentedit.benchmark.results.tally import Faces, mean_known
from latentedit.benchmark.results.values import FinishedEdits, Reference
from latentedit.measures.metrics import along_effect, attribute_leakage

EFFECTS = torch.linspace(0, 1, 21)
"""(R,) where curves are evaluated."""

OverStrengths = Callable[[FinishedEdits], Tensor]
"""(S, N) values of a metric at every strength."""


def curves(run: Run) -> tuple[Curve, ...]:
    """Identity similarity and attribute leakage of every editor and task."""
    metrics = _curve_metrics(run.reference)
    strengths = torch.tensor(run.suite.strengths)
    return tuple(
        _curve((name, task.name, metric), strengths, fits, values, start)
        for name in run.suite.entrants
        for task in run.suite.tasks
        if (fits := run.finished(name, task.name))
        for metric, (start, values) in metrics.items()
    )


def _curve_metrics(reference: Reference) -> dict[MetricKey, tuple[float, OverStrengths]]:
    """By metric, the value of an unedited image, and the values at every strength."""

    def similarity(e: int) -> OverStrengths:
        return lambda edits: edits.arrays["similarity"][:, e]

    def leakage(edits: FinishedEdits) -> Tensor:
        before = reference.faces["judged"][edits.arrays["faces"]]
        return attribute_leakage(
            before, edits.arrays["judged"], reference.sigma, reference.schema, edits.attribute
        )

    found: dict[MetricKey, tuple[float, OverStrengths]] = {
        MetricKey("identity similarity", name): (1.0, similarity(e))
        for e, name in enumerate(map(str, reference.suite.identity))
    }
    return found | {MetricKey("attribute leakage"): (0.0, leakage)}


def _curve(
    of: tuple[str, str, MetricKey],
    strengths: Tensor,
    fits: list[FinishedEdits],
    values: OverStrengths,
    start: float,
) -> Curve:
    """Seeds are averaged image by image first."""
    along = [
        along_effect(strengths, edits.arrays["effect"], values(edits), EFFECTS, start)
        for edits in fits
    ]
    mean, half, reach = _band(torch.stack(along).nanmean(0).double().numpy())
    return Curve(
        *of,
        effect=tuple(EFFECTS.tolist()),
        mean=_plain(mean),
        low=_plain(mean - half),
        high=_plain(mean + half),
        reach=_plain(reach),
    )


def _band(values: Faces) -> tuple[Faces, Faces, Faces]:
    """Of (R, N): mean over images, 1.96 standard errors, and the share of images with a number."""
    n = (~np.isnan(values)).sum(1)
    mean = mean_known(values.T)
    spread = np.sqrt(mean_known((values.T - mean) ** 2))
    return mean, 1.96 * spread / np.sqrt(np.maximum(n - 1, 1)), n / values.shape[1]


def _plain(values: Faces) -> tuple[float | None, ...]:
    return tuple(None if math.isnan(v) else float(v) for v in values)
