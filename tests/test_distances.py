"""Realism, likelihood, angles and the errors of judges: closed forms, and other implementations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import linalg, stats
from scipy.spatial.distance import mahalanobis
from scipy.spatial.transform import Rotation
from sklearn.metrics.pairwise import polynomial_kernel
from toy import SCHEMA, ToyGenerator

from latentedit import Attribute, AttributeSchema, InputError
from latentedit.angles import angle_between, facing, lighting_error, pose_error
from latentedit.benchmark.distances import distances
from latentedit.benchmark.eyes import identity_agreement, noise, reading_errors
from latentedit.likelihood import SHRINKAGE, CodeDensity
from latentedit.realism import (
    MINIMUM_FACES,
    frechet_distance,
    kernel_distance,
    kernel_distance_by_face,
)

RNG = np.random.default_rng(0)


def test_frechet_of_one_dimension_is_that_of_two_normals() -> None:
    x = RNG.normal(size=(200, 1))
    mean, deviation = x.mean(), x.std(ddof=1)
    expected = (2 * mean - mean + 5) ** 2 + (2 * deviation - deviation) ** 2
    assert frechet_distance(x, 2 * x + 5) == pytest.approx(expected)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)


def test_frechet_agrees_with_the_matrix_square_root_of_scipy() -> None:
    x = RNG.normal(size=(90, 6)) @ RNG.normal(size=(6, 6))
    y = RNG.exponential(size=(70, 6)) @ RNG.normal(size=(6, 6))
    c1, c2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = linalg.sqrtm(c1 @ c2).real
    gap = x.mean(0) - y.mean(0)
    expected = gap @ gap + np.trace(c1 + c2 - 2 * root)
    assert frechet_distance(x, y) == pytest.approx(expected)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x))


def test_kernel_distance_agrees_with_sklearns_kernel_and_the_textbook_sum() -> None:
    n = 60
    x, y = RNG.normal(size=(n, 5)), RNG.normal(0.3, 1.2, size=(n, 5))
    k = {
        (a, b): polynomial_kernel(left, right, degree=3, gamma=1 / 5, coef0=1)
        for (a, left) in (("x", x), ("y", y))
        for (b, right) in (("x", x), ("y", y))
    }
    off = ~np.eye(n, dtype=bool)
    expected = k["x", "x"][off].mean() + k["y", "y"][off].mean() - 2 * k["x", "y"][off].mean()
    assert kernel_distance(x, y) == pytest.approx(expected)


def test_pseudo_values_are_the_jackknife() -> None:
    n = MINIMUM_FACES + 1
    x, y = RNG.normal(size=(n, 3)), RNG.normal(1, 1, size=(n, 3))
    pseudo, whole = kernel_distance_by_face(x, y), kernel_distance(x, y)
    for i in (0, 17, n - 1):
        keep = np.arange(n) != i
        assert pseudo[i] == pytest.approx(n * whole - (n - 1) * kernel_distance(x[keep], y[keep]))


def test_kernel_distance_is_none_for_the_same_faces_and_unbiased_for_others_like_them() -> None:
    x = RNG.normal(size=(300, 4))
    assert kernel_distance(x, x) == pytest.approx(0, abs=1e-12)
    found = [
        kernel_distance(RNG.normal(size=(80, 4)), RNG.normal(size=(80, 4))) for _ in range(200)
    ]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(200)


def test_blocks_do_not_change_a_kernel_distance() -> None:
    x, y = RNG.normal(size=(1500, 2)), RNG.normal(0.5, 1, size=(1500, 2))
    kernel = {"degree": 3, "gamma": 1 / 2, "coef0": 1}
    off = ~np.eye(1500, dtype=bool)
    expected = (
        polynomial_kernel(x, x, **kernel)[off].mean()
        + polynomial_kernel(y, y, **kernel)[off].mean()
        - 2 * polynomial_kernel(x, y, **kernel)[off].mean()
    )
    assert kernel_distance(x, y) == pytest.approx(expected)


def test_too_few_faces_are_refused_saying_how_many_it_takes() -> None:
    few, wide = RNG.normal(size=(49, 2)), RNG.normal(size=(100, 256))
    for distance in (frechet_distance, kernel_distance):
        with pytest.raises(InputError, match="at least 50"):
            distance(few, few)
    with pytest.raises(InputError, match="at least 257 faces, received 100"):
        frechet_distance(wide, wide)


def test_a_cell_measures_only_the_faces_that_reached_and_features_that_vary() -> None:
    unedited = torch.randn(80, 3, generator=torch.Generator().manual_seed(0))
    unedited[:, 2] = 7.0
    reached = torch.arange(80) < 60
    edited = torch.where(reached[:, None], unedited + torch.tensor([2.0, 0, 0]), 1e6)
    found = distances(unedited, edited, reached, torch.tensor([2.0, 1.0, 0.0]))
    assert found["frechet"].item() == pytest.approx(1.0, abs=1e-5)
    assert found["features"].item() == 2
    assert found["kernel"].isnan().tolist() == (~reached).tolist()
    none = distances(unedited, edited, torch.arange(80) < 20, torch.ones(3))
    assert none["frechet"].isnan()
    assert none["kernel"].isnan().all()


def density_of(n: int = 4000) -> tuple[CodeDensity, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    attributes = torch.randn(n, 2, generator=rng) * torch.tensor([10.0, 0.3])
    noise_ = torch.randn(n, 5, generator=rng) @ torch.randn(5, 5, generator=rng)
    codes = attributes @ torch.randn(2, 5, generator=rng) + noise_ + 3
    shards = zip(codes.split(1000), attributes.split(1000), strict=True)
    return CodeDensity.fit(shards), codes, attributes


def test_likelihood_agrees_with_scipys_normal() -> None:
    density, codes, attributes = density_of()
    w, a = codes.double().numpy(), attributes.double().numpy()
    design = np.column_stack([np.ones(len(a)), a])
    expected = design @ np.linalg.lstsq(design, w, rcond=None)[0]
    residual = np.cov(w - expected, rowvar=False, ddof=0)
    residual += SHRINKAGE * np.cov(w, rowvar=False, ddof=0).diagonal().mean() * np.eye(5)
    reference = stats.multivariate_normal(np.zeros(5), residual).logpdf((w - expected)[:50]) / 5
    found = density.log_likelihood(codes[:50], attributes[:50])
    assert found.numpy() == pytest.approx(reference, rel=1e-3)


def test_mahalanobis_distance_agrees_with_scipys_and_is_one_for_a_typical_code() -> None:
    density, codes, _ = density_of()
    w = codes.double().numpy()
    covariance = np.cov(w, rowvar=False, ddof=0)
    covariance += SHRINKAGE * covariance.diagonal().mean() * np.eye(5)
    inverse = np.linalg.inv(covariance)
    reference = [mahalanobis(row, w.mean(0), inverse) / np.sqrt(5) for row in w[:20]]
    assert density.mahalanobis(codes[:20]).numpy() == pytest.approx(reference, rel=1e-4)
    typical = np.trace(inverse @ np.cov(w, rowvar=False, ddof=0)) / 5
    assert 0.8 < typical < 1
    assert density.mahalanobis(codes).square().mean().item() == pytest.approx(typical, rel=1e-4)
    assert density.mahalanobis(codes[:1] + 100).item() > 5


def test_a_code_is_likelier_given_its_own_attributes() -> None:
    density, codes, attributes = density_of()
    own = density.log_likelihood(codes, attributes).mean()
    others = density.log_likelihood(codes, attributes.flip(0)).mean()
    assert own > others + 1


def test_density_does_not_depend_on_shards_and_takes_attributes_that_codes_decide() -> None:
    codes = ToyGenerator().sample(500, 0)
    attributes = ToyGenerator().truth(codes).attributes
    whole = CodeDensity.fit([(codes, attributes)])
    parts = CodeDensity.fit(zip(codes.split(90), attributes.split(90), strict=True))
    for density in (whole, parts):
        assert density.log_likelihood(codes, attributes).isfinite().all()
    torch.testing.assert_close(whole.root, parts.root)


def test_angles_are_exact_and_those_of_rotations() -> None:
    tiny = torch.tensor([[1.0, 1e-4]])
    assert angle_between(torch.tensor([[1.0, 0.0]]), tiny).item() == pytest.approx(5.7296e-3, 1e-3)
    yaw, pitch = torch.tensor([30.0, -12.0, 0.0]), torch.tensor([0.0, 25.0, -90.0])
    turned = Rotation.from_euler(
        "YX", np.column_stack([yaw.numpy(), -pitch.numpy()]), degrees=True
    ).apply([0, 0, 1])
    assert facing(yaw, pitch).numpy() == pytest.approx(turned, abs=1e-6)
    assert angle_between(facing(yaw, pitch)[:1], facing(yaw[:1] + 7, pitch[:1])).item() == (
        pytest.approx(7, abs=1e-4)
    )


def test_pose_and_light_are_read_off_the_columns_that_hold_them() -> None:
    wanted = torch.tensor([[35.0, 0.5, 10.0, 1.0, 0.0, 0.0]])
    after = torch.tensor([[60.0, 0.9, -5.0, 0.0, 2.0, 0.0]])
    pose, light = pose_error(wanted, after, SCHEMA), lighting_error(wanted, after, SCHEMA)
    assert pose is not None
    assert light is not None
    assert pose.item() == pytest.approx(15, abs=1e-4)
    assert light.item() == pytest.approx(90, abs=1e-4)
    plain = AttributeSchema((Attribute("age", "continuous", 0, 70, "years"),))
    assert pose_error(wanted[:, :1], after[:, :1], plain) is None
    assert lighting_error(wanted[:, :1], after[:, :1], plain) is None


def test_a_judge_that_sees_four_fifths_of_a_change_is_found_out() -> None:
    truth = torch.rand(400, SCHEMA.width, generator=torch.Generator().manual_seed(2))
    errors = reading_errors(0.8 * truth, truth, truth.std(0), SCHEMA)
    assert errors["age"]["slope"] == pytest.approx(0.8, abs=1e-4)
    assert errors["glasses"]["auc"] == 1
    assert errors["age"]["auc"] is None
    assert errors["age"]["mae"] == pytest.approx(0.1, abs=0.01)
    exact = reading_errors(truth, truth, truth.std(0), SCHEMA)
    assert exact["lighting"]["r2"] == pytest.approx(1)


def test_a_recogniser_is_compared_with_true_identities() -> None:
    identity = torch.randn(60, 4, generator=torch.Generator().manual_seed(3))
    same = identity_agreement(torch.nn.functional.normalize(identity), identity)
    other = identity_agreement(identity.flip(0), identity)
    assert same is not None
    assert other is not None
    assert same > 0.5
    assert abs(other) < 0.2
    assert identity_agreement(identity, identity[:, :0]) is None


def test_what_a_metric_is_read_off_is_said_with_its_error() -> None:
    card = {"name": "r", "card": {"auc": 0.99, "true_accept_rate": 0.87}, "agreement": 0.5}
    found = noise({"age": {"mae_sigma": 0.1}, "yaw": {"mae_sigma": 0.3}}, [card])
    assert found["attribute leakage"]["value"] == pytest.approx(0.2)
    assert "87% of people" in found["identity similarity · r"]["text"]
    assert noise({}, [{"name": "r", "card": {}}]) == {}
