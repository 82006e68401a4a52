"""Calibration curves from a model's scores to natural units, fitted to the user's labels.

isotonic    a rising step curve through the scores of one attribute (Zadrozny and Elkan 2002)
logistic    P(1) = σ(a · score + b), for binary attributes (Platt 1999)
ridge       a linear function of the scores of all prompts, its penalty chosen by cross-validation
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from latentedit import Attribute, InputError
from latentedit_faces.declarations import Declaration
from latentedit_faces.held_out import Numbers, check_enough, figures, folds

Method = Literal["isotonic", "logistic", "ridge"]
PENALTIES = np.logspace(-3, 4, 15)
WEAK = 1e4
"""Inverse penalty of the logistic curve; its two parameters need almost no regularisation."""


class Isotonic(Declaration):
    """Linear interpolation between knots, constant outside of them."""

    method: Literal["isotonic"] = "isotonic"
    knots: tuple[float, ...] = Field(min_length=1)
    values: tuple[float, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _rising(self) -> Isotonic:
        if len(self.knots) != len(self.values) or list(self.knots) != sorted(self.knots):
            raise ValueError("an isotonic curve has rising knots and a value for each")
        return self

    def __call__(self, score: Numbers, prompts: Numbers) -> Numbers:
        return np.asarray(np.interp(score, self.knots, self.values))


class Logistic(Declaration):
    method: Literal["logistic"] = "logistic"
    slope: float
    intercept: float

    def __call__(self, score: Numbers, prompts: Numbers) -> Numbers:
        odds = np.clip(self.slope * score + self.intercept, -500, 500)
        return np.asarray(1 / (1 + np.exp(-odds)))


class Ridge(Declaration):
    method: Literal["ridge"] = "ridge"
    weights: tuple[float, ...]
    intercept: float
    penalty: float

    def __call__(self, score: Numbers, prompts: Numbers) -> Numbers:
        return np.asarray(prompts @ np.array(self.weights) + self.intercept)


Curve = Annotated[Isotonic | Logistic | Ridge, Field(discriminator="method")]


def fit_curve(
    method: Method, score: Numbers, prompts: Numbers, values: Numbers, attribute: Attribute
) -> Curve:
    """Fit to (N,) scores of the attribute, (N, K) scores of all prompts, and (N,) labels."""
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415  (light import)
    from sklearn.linear_model import LogisticRegression, RidgeCV  # noqa: PLC0415

    if len(np.unique(values > 0.5 if method == "logistic" else values)) < 2:
        raise InputError(
            f"attribute {attribute.name!r}: all of {len(values)} labels are of one kind; label "
            "more pictures of the other"
        )
    if method == "isotonic":
        steps = IsotonicRegression(increasing=True).fit(score, values)
        return Isotonic(
            knots=tuple(steps.X_thresholds_.tolist()), values=tuple(steps.y_thresholds_.tolist())
        )
    if method == "logistic":
        middle, spread = score.mean(), max(score.std(), 1e-12)
        line = LogisticRegression(C=WEAK).fit(((score - middle) / spread)[:, None], values > 0.5)
        slope = float(line.coef_[0, 0] / spread)
        return Logistic(slope=slope, intercept=float(line.intercept_[0] - slope * middle))
    middles, spreads = prompts.mean(0), np.maximum(prompts.std(0), 1e-12)
    plane = RidgeCV(alphas=PENALTIES).fit((prompts - middles) / spreads, values)
    weights = plane.coef_ / spreads
    return Ridge(
        weights=tuple(weights.tolist()),
        intercept=float(plane.intercept_ - weights @ middles),
        penalty=float(plane.alpha_),
    )


def calibrate(
    method: Method,
    score: Numbers,
    prompts: Numbers,
    values: Numbers,
    attribute: Attribute,
    *,
    count: int,
    seed: int,
) -> tuple[Curve, dict[str, float]]:
    """A curve fitted to all labels, and its error by cross-validation.

    Raises:
        InputError: there are too few labels, or all labels are equal.
    """
    check_enough(values, attribute)
    predicted = np.empty_like(values)
    for fit, held in folds(len(values), count, seed):
        curve = fit_curve(method, score[fit], prompts[fit], values[fit], attribute)
        predicted[held] = curve(score[held], prompts[held])
    return fit_curve(method, score, prompts, values, attribute), figures(
        values, predicted, attribute
    )
