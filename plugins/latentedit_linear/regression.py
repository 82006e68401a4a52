"""The directions of ridge regression."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from latentedit import Moments, Runtime, Split, moments
from latentedit_linear.directions import Figures, unit
from latentedit_linear.whitening import NormalEditor, WhitenOptions


class RegressionOptions(WhitenOptions):
    """Options of regression directions, in addition to `whiten`.

    With `whiten`, the direction is cov(w, a_k) for every penalty.

    Args:
        ridge: penalty as a share of the mean variance of the codes; 0 is least squares.
    """

    ridge: float = Field(default=0.1, ge=0)


class Regression(NormalEditor):
    """Moves along the direction in which a linear model predicts the attribute.

        d_k ∝ (Σ + λ I)⁻¹ cov(w, a_k),    λ = ridge · tr Σ / D

    Where attributes are linear in w, d_k is their gradient whatever the distribution of w, so
    attributes that are correlated only in the sample do not leak.

    Hoerl, Kennard: "Ridge regression: biased estimation for nonorthogonal problems", 1970.
    """

    Options: ClassVar[type[RegressionOptions]] = RegressionOptions
    seeded = False
    candidates = ({"whiten": True}, {"ridge": 0.01}, {"ridge": 1.0}, {"ridge": 0.0})
    options: RegressionOptions

    def find_normals(self, data: Split, runtime: Runtime) -> tuple[Tensor, Figures]:
        return unit(ridge_weights(moments(data), self.options.ridge)), {}


def ridge_weights(found: Moments, ridge: float) -> Tensor:
    """(A, D) weights of ridge regression, (Σ + λ I)⁻¹ cov(w, a_k) with λ = ridge · tr Σ / D."""
    penalty = ridge * found.covariance.diagonal().mean()
    ridged = found.covariance + penalty * torch.eye(len(found.covariance))
    weights: Tensor = torch.linalg.lstsq(ridged, found.shared, driver="gelsd").solution.T
    return weights
