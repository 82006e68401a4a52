"""Curves from scores to labels against scikit-learn's, and errors of curves that saw no answer."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import mean_absolute_error, r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from latentedit import Attribute
from latentedit_faces.calibration import PENALTIES, WEAK, Method, calibrate
from latentedit_faces.held_out import folds

Numbers = NDArray[np.float64]
N, COUNT, SEED = 60, 5, 3
AGE, SMILE = Attribute("age", "continuous", 0, 90), Attribute("smile", "binary", 0, 1)


def prompts() -> Numbers:
    """(N, 4) scores of prompts."""
    return np.random.default_rng(0).normal(3, 2, (N, 4))


def labels(attribute: Attribute, signal: float) -> Numbers:
    """(N,) labels that follow the first prompt by `signal` and noise otherwise."""
    noise = np.random.default_rng(1).normal(size=N)
    mixed = signal * (prompts()[:, 0] - 3) / 2 + (1 - signal) * noise
    return (mixed > 0).astype(float) if attribute.kind == "binary" else 40 + 10 * mixed


def predicted(
    method: Method, fit: NDArray[np.int64], held: NDArray[np.int64], y: Numbers
) -> Numbers:
    """What scikit-learn, fitted to the rows of `fit`, says of the rows of `held`."""
    x = prompts()
    if method == "isotonic":
        steps = IsotonicRegression(out_of_bounds="clip").fit(x[fit, 0], y[fit])
        return np.asarray(steps.predict(x[held, 0]))
    if method == "logistic":
        line = make_pipeline(StandardScaler(), LogisticRegression(C=WEAK)).fit(x[fit, :1], y[fit])
        return np.asarray(line.predict_proba(x[held, :1])[:, 1])
    plane = make_pipeline(StandardScaler(), RidgeCV(alphas=PENALTIES)).fit(x[fit], y[fit])
    return np.asarray(plane.predict(x[held]))


@pytest.mark.parametrize("signal", [0.0, 0.7])
@pytest.mark.parametrize(
    ("method", "attribute"), [("isotonic", AGE), ("logistic", SMILE), ("ridge", AGE)]
)
def test_errors_are_those_of_curves_that_did_not_see_the_picture(
    method: Method, attribute: Attribute, signal: float
) -> None:
    y = labels(attribute, signal)
    _, found = calibrate(method, prompts()[:, 0], prompts(), y, attribute, count=COUNT, seed=SEED)
    guessed, seen = np.empty(N), predicted(method, np.arange(N), np.arange(N), y)
    for fit, held in folds(N, COUNT, SEED):
        assert not set(fit) & set(held)
        guessed[held] = predicted(method, fit, held, y)
    assert found["n"] == N
    assert found["r2"] == pytest.approx(r2_score(y, guessed), abs=1e-4)
    assert found["mae"] == pytest.approx(mean_absolute_error(y, guessed), abs=1e-3)
    assert r2_score(y, seen) > found["r2"] + 0.01  # errors on pictures seen would look better
    if attribute is SMILE:
        assert found["auc"] == pytest.approx(roc_auc_score(y > 0.5, guessed))


def test_every_picture_is_held_out_once_and_in_parts_of_one_size() -> None:
    parts = list(folds(N, COUNT, SEED))
    assert sorted(row for _, held in parts for row in held) == list(range(N))
    assert [(len(fit), len(held)) for fit, held in parts] == [(48, 12)] * COUNT
    assert [list(held) for _, held in folds(N, COUNT, SEED + 1)] != [list(h) for _, h in parts]


@pytest.mark.parametrize(
    ("method", "attribute"), [("isotonic", AGE), ("logistic", SMILE), ("ridge", AGE)]
)
def test_the_curve_is_fitted_to_all_labels(method: Method, attribute: Attribute) -> None:
    y, rows = labels(attribute, 0.7), np.arange(N)
    curve, _ = calibrate(method, prompts()[:, 0], prompts(), y, attribute, count=COUNT, seed=SEED)
    expected = predicted(method, rows, rows, y)
    assert curve(prompts()[:, 0], prompts()) == pytest.approx(expected, abs=1e-4)


def test_a_logistic_curve_does_not_overflow_far_from_its_middle() -> None:
    y = labels(SMILE, 0.7)
    curve, _ = calibrate("logistic", prompts()[:, 0], prompts(), y, SMILE, count=COUNT, seed=SEED)
    far = np.array([-1e6, 1e6])
    assert curve(far, prompts()[:2]) == pytest.approx(expit([-500, 500]))
