"""Calibration by labels, and the first guess of an inversion, against other implementations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize
from sklearn.metrics import mean_absolute_error, r2_score, roc_auc_score
from torch import Tensor
from toy import ToyGenerator

from latentedit import Attribute, InputError, InversionRuntime, PerceptualLoss, WeightedLoss
from latentedit_faces.calibration import Isotonic, Logistic, Ridge, calibrate, fit_curve
from latentedit_faces.held_out import check_enough, figures, folds, roc_area
from latentedit_faces.thresholds import same_person_threshold
from latentedit_inversion.descent import descend, learning_rate
from latentedit_inversion.noise import NoiseMaps
from latentedit_inversion.prior import CodePrior
from latentedit_inversion.regression import CodeRegression, coarse_features

Array = NDArray[np.float64]
AGE = Attribute("age", "continuous", 0, 90)
SMILE = Attribute("smile", "binary", 0, 1)


def labelled(n: int = 60, seed: int = 0) -> tuple[Array, Array, Array]:
    """Scores, scores of all prompts, and labels with as much noise as signal."""
    rng = np.random.default_rng(seed)
    prompts = rng.normal(size=(n, 12)) * np.arange(1, 13) + 5
    score = prompts[:, 0]
    return score, prompts, 3 * score + 0.2 * prompts[:, 4] + 3 * rng.normal(size=n)


def rising(score: Array, values: Array, new: Array) -> Array:
    """Pool adjacent violators by scipy, straight lines between, flat outside."""
    order = np.argsort(score)
    curve = isotonic_regression(values[order]).x
    found: Array = np.interp(new, score[order], curve)
    return found


def test_an_isotonic_curve_is_that_of_pooled_violators() -> None:
    score, prompts, values = labelled()
    curve = fit_curve("isotonic", score, prompts, values, AGE)
    new = np.linspace(score.min() - 3, score.max() + 3, 200)
    assert np.allclose(curve(new, prompts), rising(score, values, new))


def test_a_logistic_curve_is_the_penalised_maximum_of_the_likelihood() -> None:
    score, prompts, values = labelled()
    labels = values > np.median(values)
    curve = fit_curve("logistic", score, prompts, labels.astype(float), SMILE)
    z = (score - score.mean()) / score.std()

    def loss(p: Array) -> float:
        odds = p[0] * z + p[1]
        found = np.logaddexp(0, np.where(labels, -odds, odds)).sum() * 1e4 + p[0] ** 2 / 2
        return float(found / 1e4)

    a, b = minimize(loss, np.zeros(2), tol=1e-12).x
    wanted = 1 / (1 + np.exp(-(a * z + b)))
    assert np.allclose(curve(score, prompts), wanted, atol=1e-3)


def test_a_ridge_has_the_penalty_of_least_error_on_left_out_labels() -> None:
    score, prompts, values = labelled(25)
    curve = fit_curve("ridge", score, prompts, values, AGE)
    assert isinstance(curve, Ridge)
    x = (prompts - prompts.mean(0)) / prompts.std(0)

    def fitted(rows: NDArray[np.bool_], penalty: float) -> tuple[Array, float]:
        centre, middle = x[rows].mean(0), values[rows].mean()
        c = x[rows] - centre
        weights = np.linalg.solve(c.T @ c + penalty * np.eye(12), c.T @ (values[rows] - middle))
        return weights, float(middle - centre @ weights)

    penalties, errors = 10.0 ** np.linspace(-3, 4, 15), []
    for penalty in penalties:
        missed = []
        for i in range(25):
            rows = np.arange(25) != i
            weights, intercept = fitted(rows, penalty)
            missed.append(values[i] - x[i] @ weights - intercept)
        errors.append(np.mean(np.square(missed)))
    best = penalties[int(np.argmin(errors))]
    assert curve.penalty == pytest.approx(best)
    assert 1e-3 < best < 1e4
    weights, intercept = fitted(np.ones(25, dtype=bool), best)
    assert np.allclose(curve(score, prompts), x @ weights + intercept)


def test_the_stated_error_is_of_curves_that_had_not_seen_what_they_predict() -> None:
    """Noise as labels: the curve through all of them explains a part, those of others nothing."""
    rng = np.random.default_rng(5)
    score, values = rng.normal(size=40), rng.uniform(20, 50, 40)
    prompts = rng.normal(size=(40, 3))
    curve, found = calibrate("isotonic", score, prompts, values, AGE, count=5, seed=3)
    predicted = np.empty(40)
    for held in np.array_split(np.random.default_rng(3).permutation(40), 5):
        rest = np.setdiff1d(np.arange(40), held)
        predicted[held] = rising(score[rest], values[rest], score[held])
    assert found == {
        "n": 40,
        "r2": pytest.approx(r2_score(values, predicted)),
        "mae": pytest.approx(mean_absolute_error(values, predicted)),
    }
    seen = rising(score, values, score)
    assert np.allclose(curve(score, prompts), seen)
    assert r2_score(values, seen) > found["r2"] + 0.05
    other = calibrate("isotonic", score, prompts, values, AGE, count=5, seed=4)[1]
    assert other["r2"] != found["r2"]
    with pytest.raises(InputError, match="has 9 labelled pictures; give at least 10"):
        calibrate("isotonic", score[:9], prompts[:9], values[:9], AGE, count=5, seed=0)


def test_folds_predict_every_row_once_from_the_others() -> None:
    seen: list[int] = []
    for fit, held in folds(23, 4, 1):
        assert set(fit.tolist()).isdisjoint(held.tolist())
        assert sorted([*fit.tolist(), *held.tolist()]) == list(range(23))
        assert len(held) in (5, 6)
        seen += held.tolist()
    assert sorted(seen) == list(range(23))
    assert seen != sorted(seen)


def test_figures_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(6)
    truth = (rng.uniform(size=50) < 0.4).astype(float)
    predicted = np.round(0.5 * truth + rng.uniform(size=50), 1)
    assert len(set(predicted)) < 20, "ties must count a half"
    assert figures(truth, predicted, SMILE) == {
        "n": 50,
        "r2": pytest.approx(r2_score(truth, predicted)),
        "mae": pytest.approx(mean_absolute_error(truth, predicted)),
        "auc": pytest.approx(roc_auc_score(truth, predicted)),
    }
    assert roc_area(truth > 0.5, predicted) == pytest.approx(roc_auc_score(truth, predicted))
    assert "auc" not in figures(truth, predicted, AGE)
    same = figures(np.ones(4), np.zeros(4), SMILE)
    assert same == {"n": 4, "r2": 0.0, "mae": 1.0}


def test_labels_have_to_be_enough_and_to_differ() -> None:
    check_enough(np.arange(10.0), AGE)
    with pytest.raises(InputError, match="has 9 labelled"):
        check_enough(np.arange(9.0), AGE)
    with pytest.raises(InputError, match="every label of 'age' is 3: there is nothing"):
        check_enough(np.full(12, 3.0), AGE)
    score, prompts, values = labelled(12)
    for method, given in (("isotonic", np.full(12, 4.0)), ("logistic", values / 1e9)):
        with pytest.raises(InputError, match="all of 12 labels are of one kind"):
            fit_curve(method, score, prompts, given, AGE)  # type: ignore[arg-type]


def test_curves_are_their_formulas() -> None:
    steps = Isotonic(knots=(0.0, 2.0), values=(10.0, 20.0))
    none = np.zeros((3, 1))
    assert steps(np.array([-5.0, 0.5, 9.0]), none).tolist() == [10.0, 12.5, 20.0]
    line = Logistic(slope=2.0, intercept=-1.0)
    found = line(np.array([0.5, 1.0, -1e6]), none)
    assert found.tolist() == pytest.approx([0.5, 1 / (1 + math.exp(-1)), 0.0])
    plane = Ridge(weights=(2.0, -1.0), intercept=3.0, penalty=1.0)
    assert plane(np.zeros(1), np.array([[1.0, 4.0]])).tolist() == [1.0]
    for knots, values in (((2.0, 1.0), (1.0, 2.0)), ((1.0,), (1.0, 2.0))):
        with pytest.raises(ValueError, match="rising knots and a value for each"):
            Isotonic(knots=knots, values=values)


def test_a_threshold_is_passed_by_exactly_the_share_of_pairs() -> None:
    rng = torch.Generator().manual_seed(0)
    people = torch.nn.functional.normalize(torch.randn(80, 8, generator=rng), dim=1)
    threshold = same_person_threshold(people, 0.01)
    cosines = np.sort((people.double() @ people.double().T).numpy()[np.triu_indices(80, 1)])
    assert threshold == pytest.approx(cosines[-32], abs=1e-6)
    assert len(cosines) == 3160
    same_person_threshold(people[:46], 0.01)
    with pytest.raises(InputError, match=r"45 people make 990 pairs.*needs at least 1000"):
        same_person_threshold(people[:45], 0.01)


# --- inversion


class Pixels(PerceptualLoss):
    """All pixels."""

    fingerprint = "p" * 64

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(1)


RUNTIME = InversionRuntime(ToyGenerator(), WeightedLoss(((1.0, Pixels()),)), seed=2)


def test_the_priors_coordinates_have_unit_covariance_and_come_back() -> None:
    world = ToyGenerator()
    prior = CodePrior.of(world, 2, "cpu")
    codes = world.sample(4096, 2)
    u = prior.coordinates(codes)
    assert np.allclose(u.mean(0), 0, atol=1e-4)
    assert np.allclose(np.cov(u.double().numpy().T), np.eye(24), atol=1e-3)
    assert torch.allclose(prior.codes(u), codes, atol=1e-4)
    assert np.allclose(prior.mean, codes.mean(0), atol=1e-5)


def test_a_first_guess_is_kernel_ridge_with_the_penalty_of_least_left_out_error() -> None:
    prior = CodePrior.of(RUNTIME.generator, RUNTIME.seed, "cpu")
    found = CodeRegression.learned(RUNTIME, prior, 50)
    world = ToyGenerator()
    codes = world.sample(50, 3)
    f = coarse_features(RUNTIME, world.synthesize(codes)).double().numpy()
    u = prior.coordinates(codes).double().numpy()
    x, y = f - f.mean(0), u - u.mean(0)
    kernel = x @ x.T
    largest, errors = np.linalg.eigvalsh(kernel)[-1], []
    ridges = 10.0 ** np.linspace(-6, 2, 17) * largest
    for ridge in ridges:
        hat = kernel @ np.linalg.inv(kernel + ridge * np.eye(50))
        missed = (y - hat @ y)[:, ::8] / (1 - np.diag(hat))[:, None]
        errors.append((missed**2).mean())
    best = ridges[int(np.argmin(errors))]
    new = world.synthesize(world.sample(5, 77))
    g = coarse_features(RUNTIME, new)
    dual = np.linalg.solve(kernel + best * np.eye(50), y)
    wanted = u.mean(0) + (g.double().numpy() - f.mean(0)) @ x.T @ dual
    assert np.allclose(found(g), wanted, atol=5e-3)
    assert sorted(found.chosen.tolist()) == list(range(192))


def test_large_pictures_are_averaged_to_sixty_four_pixels() -> None:
    images = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    wanted = images.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    assert torch.allclose(coarse_features(RUNTIME, images), wanted.flatten(1), atol=1e-6)
    small = images[:, :, :64, :64]
    assert torch.equal(coarse_features(RUNTIME, small), small.flatten(1))


def rate(done: float) -> float:
    up, down = min(1.0, done / 0.05), min(1.0, (1 - done) / 0.25)
    return up * (0.5 - 0.5 * math.cos(math.pi * down))


def test_the_rate_rises_for_a_twentieth_and_falls_for_a_quarter() -> None:
    for done in (0.0, 0.01, 0.04, 0.5, 0.76, 0.9, 1.0):
        assert learning_rate(done, 0.3) == pytest.approx(0.3 * rate(done))


@pytest.mark.parametrize("steps", [12, 0])
def test_descent_is_adam_by_hand_and_keeps_the_best_step_of_each_photo(steps: int) -> None:
    x = torch.tensor([[1.0, 2.0], [0.2, -0.1]], dtype=torch.float64)
    start, goal = x.clone().numpy(), np.array([[0.0, 0.0], [0.1, 0.0]])
    curve = np.array([1.0, 30.0])

    def objective() -> tuple[Tensor, Tensor]:
        away = (torch.from_numpy(curve) * (x - torch.from_numpy(goal)) ** 2).sum(1)
        return away, away + 1

    told: list[float] = []
    calls: list[int] = []
    (best,), least = descend(
        [x],
        objective,
        steps=steps,
        rate=0.5,
        progress=told.append,
        after=lambda: calls.append(1),
    )
    p, m, v = start.copy(), np.zeros((2, 2)), np.zeros((2, 2))
    path = [p.copy()]
    for step in range(steps):
        g = 2 * curve * (p - goal)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        up, down = m / (1 - 0.9 ** (step + 1)), v / (1 - 0.999 ** (step + 1))
        p = p - 0.5 * rate((step + 1) / steps) * up / (np.sqrt(down) + 1e-8)
        path.append(p.copy())
    losses = np.array([(curve * (q - goal) ** 2).sum(1) + 1 for q in path])
    at = losses.argmin(0)
    assert np.allclose(least, losses.min(0), atol=1e-6)
    assert np.allclose(best, [path[at[0]][0], path[at[1]][1]], atol=1e-6)
    assert told == pytest.approx([i / max(1, steps) for i in range(steps + 1)])
    assert len(calls) == steps
    if steps:
        assert at[0] != at[1]


def test_noise_maps_are_held_white_at_every_scale() -> None:
    maps = [
        torch.randn(2, 16, 16, generator=torch.Generator().manual_seed(s)) + 0.3 for s in (0, 1)
    ]
    noise = NoiseMaps(("a", "b"), maps)
    total = np.zeros(2)
    for m in maps:
        x = m.double().numpy()
        half = 2 * (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4
        for scale in (x, half):
            for axis in (1, 2):
                total += (scale * np.roll(scale, 1, axis)).mean((1, 2)) ** 2
    assert np.allclose(noise.structure(), total, rtol=1e-4)
    wanted = (maps[0] - maps[0].mean((1, 2), keepdim=True)).numpy()
    wanted = wanted / wanted.std((1, 2), keepdims=True)
    noise.normalise()
    assert np.allclose(noise.tensors()["a"], wanted, atol=1e-4)
