"""The least Mahalanobis change with the wanted predictions."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from latentedit import FitStats, Moments, Options, Runtime, Split, moments
from latentedit_linear.directions import LinearEditor, predictions
from latentedit_linear.regression import ridge_weights


class MinNormOptions(Options):
    """Options of the least change.

    Args:
        ridge: penalty of the predictors as a share of the mean variance of the codes.
    """

    ridge: float = Field(default=0.1, ge=0)


class MinNorm(LinearEditor):
    """Makes the least change that gives the wanted predictions and keeps all others.

        w' = argmin (w' − w)ᵀ Σ⁻¹ (w' − w)  with  g_k W_kᵀ (w' − w) = a'_k − a_k for all k
           = w + ΣV (VᵀΣV)⁻¹ (a' − a),    V_k = g_k W_k
        W = (Σ + λ I)⁻¹ cov(w, a),    λ = ridge · tr Σ / D

    W are ridge regressions. Each gain g_k is the slope of a_k on w·W_k over faces that did not
    choose W; see `latentedit.Moments.slopes`. An attribute without a slope is left out.

    Luenberger: "Optimization by vector space methods", 1969, section 3.10 (minimum-norm problems).
    """

    Options: ClassVar[type[MinNormOptions]] = MinNormOptions
    seeded = False
    candidates = ({"ridge": 0.01}, {"ridge": 1.0}, {"ridge": 10.0})
    options: MinNormOptions

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        choosing, held_out = data.hold_out()
        found, measured = moments(choosing), moments(held_out)
        predictors = ridge_weights(found, self.options.ridge)
        self.take_moves(least_moves(found, predictors, measured.slopes(predictors)))
        return FitStats(predictions(measured, predictors, data))


def least_moves(found: Moments, predictors: Tensor, gains: Tensor) -> Tensor:
    """The least moves that change each calibrated prediction by 1 and no other one.

    Args:
        found: Σ of the codes.
        predictors: (A, D) W.
        gains: (A,) units of each attribute per unit of its prediction; 0 leaves it out.

    Returns:
        (A, D), zero where left out.
    """
    used = gains != 0
    calibrated = gains[used, None] * predictors[used]
    shared = calibrated @ found.covariance
    inverse = torch.linalg.pinv(shared @ calibrated.T, hermitian=True)
    moves = torch.zeros_like(predictors)
    moves[used] = inverse @ shared
    return moves
