"""Metrics along the achieved effect."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

from latentedit.benchmark.results.keys import MetricKey
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.rows import Curve
from latentedit.benchmark.results.tally import Faces, mean_known
from latentedit.benchmark.results.values import FinishedEdits, Reference
from latentedit.measures.metrics import along_effect, attribute_leakage

EFFECTS = torch.linspace(0, 1, 21)
"""(R,) where curves are evaluated."""


def curves(run: Run) -> tuple[Curve, ...]:
    """Identity similarity and attribute leakage of every editor and task."""
    found: dict[Of, Band] = {}
    for part in run.parts():
        for of, band in _bands(part):
            found[of] = found[of] + band if of in found else band
    return tuple(_curve(of, band) for of, band in found.items())


def _bands(run: Run) -> Iterator[tuple[Of, Band]]:
    recognisers = map(str, run.suite.identity)
    metrics = [MetricKey("identity similarity", name) for name in recognisers]
    metrics.append(MetricKey("attribute leakage"))
    for name, task in product(run.suite.entrants, run.suite.tasks):
        along = [_along_effect(edits, run.reference) for edits in run.finished(name, task.name)]
        if along:
            values = along[0] if len(along) == 1 else torch.stack(along).nanmean(0)
            for metric, of_one in zip(metrics, values.double().numpy(), strict=True):
                yield (name, task.name, metric), Band.of(of_one)


def _along_effect(edits: FinishedEdits, reference: Reference) -> Tensor:
    """(M, R, N) identity similarity by each recogniser, then attribute leakage."""
    arrays, strengths = edits.arrays, torch.tensor(reference.suite.strengths)
    before = reference.faces["judged"][arrays["faces"]]
    leakage = attribute_leakage(
        before, arrays["judged"], reference.sigma, reference.schema, edits.attribute
    )
    similarity = arrays["similarity"].transpose(0, 1)
    unedited = torch.tensor([1.0] * len(similarity) + [0.0])
    values = torch.cat([similarity, leakage[None]])
    return along_effect(strengths, arrays["effect"], values, EFFECTS, unedited)


Of = tuple[str, str, MetricKey]
"""What a curve is of."""


@dataclass(frozen=True)
class Band:
    """What a curve is made of; the numbers of an image are means over fit seeds.

    Args:
        images: N.
        n: (R,) how many of them have a number.
        mean: (R,) of these; NaN where there are none.
        square: (R,) Σ of squared distances from it.
    """

    images: int
    n: Faces
    mean: Faces
    square: Faces

    @classmethod
    def of(cls, values: Faces) -> Band:
        """Of (R, N)."""
        known, mean = ~np.isnan(values.T), mean_known(values.T)
        squares = np.where(known, (values.T - mean) ** 2, 0.0)
        return cls(values.shape[1], known.sum(0), mean, squares.sum(0))

    def __add__(self, other: Band) -> Band:
        n = self.n + other.n
        first, second = (np.nan_to_num(band.mean) for band in (self, other))
        square = self.square + other.square
        with np.errstate(invalid="ignore", divide="ignore"):
            square = square + np.nan_to_num(self.n * other.n / n) * (second - first) ** 2
            mean = (self.n * first + other.n * second) / n
        return Band(self.images + other.images, n, mean, square)


def _curve(of: Of, band: Band) -> Curve:
    """Mean over images, 1.96 standard errors, and the share of images with a number."""
    n = band.n
    with np.errstate(invalid="ignore", divide="ignore"):
        half = 1.96 * np.sqrt(band.square / n) / np.sqrt(np.maximum(n - 1, 1))
    return Curve(
        *of,
        effect=tuple(EFFECTS.tolist()),
        mean=_plain(band.mean),
        low=_plain(band.mean - half),
        high=_plain(band.mean + half),
        reach=_plain(n / band.images),
    )


def _plain(values: Faces) -> tuple[float | None, ...]:
    return tuple(None if math.isnan(v) else float(v) for v in values)
