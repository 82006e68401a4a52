"""Differences of mean codes: from faces with low values to faces with high values."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from latentedit import Options, Runtime, Split
from latentedit_linear.directions import DirectionEditor, Figures, unit
from latentedit_linear.extremes import extremes


class MeanDifferenceOptions(Options):
    """Options of the mean difference.

    Args:
        share: of all faces, the share at each end whose mean is taken.
    """

    share: float = Field(default=0.5, gt=0, le=0.5)


class MeanDifference(DirectionEditor):
    """Moves along the attribute vector of the sample.

        d_k ∝ mean(w | a_k high) − mean(w | a_k low)

    For normal codes this is cov(w, a_k): attributes that are correlated in the sample leak in
    proportion to their covariance.

    Larsen, Sønderby, Larochelle, Winther: "Autoencoding beyond pixels using a learned similarity
    metric", ICML 2016 (attribute vectors).
    """

    Options: ClassVar[type[MeanDifferenceOptions]] = MeanDifferenceOptions
    seeded = False
    candidates = ({"share": 0.1}, {"share": 0.02}, {"share": 0.25})
    options: MeanDifferenceOptions

    def find_directions(self, data: Split, runtime: Runtime) -> tuple[Tensor, Figures]:
        weights = torch.zeros(data.schema.width, len(data), dtype=torch.float64)
        for row, values in zip(weights, data.attributes.T, strict=True):
            low, high = extremes(values, self.options.share)
            if len(high):
                row[high] += 1 / len(high)
                row[low] -= 1 / len(low)
        directions = torch.zeros(data.schema.width, *data.code_shape, dtype=torch.float64)
        start = 0
        for codes, _ in data.batches():
            directions += weights[:, start : start + len(codes)] @ codes.double()
            start += len(codes)
        return unit(directions), {}
