"""Realism, likelihood, angles and the errors of judges: closed forms, and other implementations."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import linalg, stats
from scipy.spatial.distance import pdist
from scipy.spatial.transform import Rotation
from sklearn.covariance import EmpiricalCovariance
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score, roc_auc_score
from sklearn.metrics.pairwise import polynomial_kernel
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance
from toy import SCHEMA, ToyGenerator

from latentedit import Attribute, AttributeSchema, InputError
from latentedit.benchmark.cells.distances import distances
from latentedit.benchmark.results.accuracy import noise
from latentedit.benchmark.results.keys import MetricKey
from latentedit.benchmark.results.reading_errors import (
    ReadingError,
    identity_agreement,
    reading_errors,
)
from latentedit.benchmark.results.rows import RecogniserFigures
from latentedit.measures.angles import angle_between, facing, lighting_error, pose_error
from latentedit.measures.likelihood import SHRINKAGE, CodeDensity
from latentedit.measures.realism import (
    IMPLEMENTATION,
    MINIMUM_IMAGES,
    check_count,
    frechet_distance,
    kernel_distance_by_image,
)

Features = NDArray[np.float64]


class Flat(torch.nn.Module):
    """Images whose pixels are the features."""

    num_features = 5

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)


def as_images(features: Features) -> torch.Tensor:
    return torch.from_numpy(features)[:, :, None, None]


def correlated(n: int, seed: int, features: int = 5) -> Features:
    rng = np.random.default_rng(seed)
    return rng.exponential(size=(n, features)) @ rng.normal(size=(features, features))


def frechet_by_definition(x: Features, y: Features) -> float:
    """Fréchet distance of two normals, by scipy's matrix square root."""
    c1, c2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    gap = x.mean(0) - y.mean(0)
    return float(gap @ gap + np.trace(c1 + c2 - 2 * linalg.sqrtm(c1 @ c2).real))


def kernel_by_definition(x: Features, y: Features) -> float:
    """Unbiased squared MMD without the pairs of one face before and after, by sklearn's kernel."""
    n = len(x)
    k = {"degree": 3, "gamma": 1 / x.shape[1], "coef0": 1}
    off = ~np.eye(n, dtype=bool)
    within = polynomial_kernel(x, x, **k)[off].mean() + polynomial_kernel(y, y, **k)[off].mean()
    return float(within - 2 * polynomial_kernel(x, y, **k)[off].mean())


def test_frechet_of_one_dimension_is_that_of_two_normals() -> None:
    x = np.random.default_rng(0).normal(size=(200, 1))
    mean, deviation = x.mean(), x.std(ddof=1)
    assert frechet_distance(x, 2 * x + 5) == pytest.approx((mean + 5) ** 2 + deviation**2)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x) >= 0


def test_frechet_agrees_with_the_matrix_square_root_of_scipy() -> None:
    x, y = correlated(90, 1, 6), correlated(70, 2, 6)
    expected = frechet_by_definition(x, y)
    assert frechet_distance(x, y) == pytest.approx(expected)
    assert frechet_distance(y, x) == pytest.approx(expected)
    assert frechet_distance(x[::-1], np.roll(y, 3, 0)) == pytest.approx(expected)


def test_frechet_agrees_with_torchmetrics() -> None:
    x, y = correlated(60, 3), correlated(75, 4) + 0.5
    reference = FrechetInceptionDistance(feature=Flat(), normalize=True, input_img_size=(5, 1, 1))
    reference.set_dtype(torch.float64)
    reference.update(as_images(x), real=True)
    reference.update(as_images(y), real=False)
    assert frechet_distance(x, y) == pytest.approx(reference.compute().item(), rel=1e-6)


def test_frechet_takes_features_that_depend_on_each_other() -> None:
    x = np.random.default_rng(5).normal(size=(80, 1)) @ np.ones((1, 4))
    assert frechet_distance(x, x + 1) == pytest.approx(4, abs=1e-5)


def kernel_distance(x: Features, y: Features) -> float:
    return float(kernel_distance_by_image(x, y).mean())


def test_kernel_distance_agrees_with_sklearns_kernel_and_the_textbook_sum() -> None:
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(60, 5)), rng.normal(0.3, 1.2, size=(60, 5))
    assert kernel_distance(x, y) == pytest.approx(kernel_by_definition(x, y))
    assert kernel_distance(y, x) == pytest.approx(kernel_by_definition(x, y))
    order = rng.permutation(60)
    assert kernel_distance(x[order], y[order]) == pytest.approx(kernel_by_definition(x, y))


def test_kernel_distance_over_all_pairings_is_that_of_torchmetrics() -> None:
    """Each pairing of faces leaves n pairs out. Over the n rotations each pair is left out once."""
    n = MINIMUM_IMAGES
    x, y = correlated(n, 7), correlated(n, 8) + 0.3
    with warnings.catch_warnings(action="ignore"):
        reference = KernelInceptionDistance(
            feature=Flat(), subsets=1, subset_size=n, normalize=True
        )
    reference.set_dtype(torch.float64)
    reference.update(as_images(x), real=True)
    reference.update(as_images(y), real=False)
    found = np.mean([kernel_distance(x, np.roll(y, shift, 0)) for shift in range(n)])
    assert found == pytest.approx(reference.compute()[0].item())


def test_pseudo_values_are_the_jackknife() -> None:
    n = MINIMUM_IMAGES + 1
    rng = np.random.default_rng(9)
    x, y = rng.normal(size=(n, 3)), rng.normal(1, 1, size=(n, 3))
    pseudo, whole = kernel_distance_by_image(x, y), kernel_by_definition(x, y)
    without = [kernel_by_definition(np.delete(x, i, 0), np.delete(y, i, 0)) for i in range(n)]
    assert pseudo == pytest.approx(n * whole - (n - 1) * np.array(without))
    assert pseudo.mean() == pytest.approx(whole)


def test_kernel_distance_is_none_for_the_same_faces_and_unbiased_for_others_like_them() -> None:
    rng = np.random.default_rng(10)
    x = rng.normal(size=(300, 4))
    assert kernel_distance(x, x) == pytest.approx(0, abs=1e-12)
    found = [
        kernel_distance(rng.normal(size=(80, 4)), rng.normal(size=(80, 4))) for _ in range(200)
    ]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(200)


def test_blocks_do_not_change_a_kernel_distance() -> None:
    rng = np.random.default_rng(11)
    x, y = rng.normal(size=(1500, 2)), rng.normal(0.5, 1, size=(1500, 2))
    assert kernel_distance(x, y) == pytest.approx(kernel_by_definition(x, y))


def test_too_few_faces_are_refused_saying_how_many_it_takes() -> None:
    rng = np.random.default_rng(12)
    few, wide = rng.normal(size=(49, 2)), rng.normal(size=(100, 256))
    for distance in (frechet_distance, kernel_distance):
        with pytest.raises(InputError, match="at least 50"):
            distance(few, few)
        enough = np.vstack([few, few[:1]])
        assert distance(enough, enough) == pytest.approx(0, abs=1e-9)
    for pair in ((wide, wide), (wide, np.vstack([wide] * 3)), (np.vstack([wide] * 3), wide)):
        with pytest.raises(InputError, match=r"256 features needs at least 257 images, .* 10"):
            frechet_distance(*pair)
    with pytest.raises(InputError, match="at least 60 images, received 59"):
        check_count(59, 59)
    check_count(60, 59)
    check_count(50, 2)


def test_the_implementations_that_results_record() -> None:
    assert IMPLEMENTATION == {
        "Fréchet distance": "closed form of Gaussians, covariances with n − 1, "
        "eigenvalues in float64",
        "kernel distance": "unbiased squared MMD, kernel (x·y / F + 1)³, in float64",
    }


def test_a_cell_measures_only_the_faces_that_reached_and_features_that_vary() -> None:
    rng = torch.Generator().manual_seed(0)
    unedited = torch.randn(80, 3, generator=rng)
    unedited[:, 1] = 7.0
    reached = torch.arange(80) % 4 != 0
    spread = torch.tensor([2.0, 0.0, 0.5])
    moved = unedited * torch.tensor([1.5, 1.0, 1.0]) + torch.tensor([2.0, 9.0, 0.3])
    found = distances(unedited, torch.where(reached[:, None], moved, 1e6), reached, spread)
    before, after = (
        (part[reached][:, [0, 2]] / torch.tensor([2.0, 0.5])).double().numpy()
        for part in (unedited, moved)
    )
    assert found["frechet"].item() == pytest.approx(frechet_by_definition(before, after), rel=1e-6)
    assert found["features"].item() == 2
    kernel = found["kernel"]
    assert kernel.isnan().tolist() == (~reached).tolist()
    whole, without = (
        kernel_by_definition(before, after),
        [kernel_by_definition(np.delete(before, i, 0), np.delete(after, i, 0)) for i in range(60)],
    )
    pseudo = 60 * whole - 59 * np.array(without)
    assert kernel[reached].numpy() == pytest.approx(pseudo, rel=1e-4, abs=1e-5)
    assert kernel.nanmean().item() == pytest.approx(kernel_by_definition(before, after), rel=1e-4)
    assert distances(unedited, moved, reached, torch.full((3,), 2e-6))["features"].item() == 3


def test_a_cell_has_no_distance_where_too_few_faces_reached() -> None:
    features = torch.randn(80, 60, generator=torch.Generator().manual_seed(1))
    none = distances(features, features + 1, torch.arange(80) < 49, torch.ones(60))
    assert none["frechet"].isnan()
    assert none["kernel"].isnan().all()
    some = distances(features, features + 1, torch.arange(80) < 55, torch.ones(60))
    assert some["frechet"].isnan()
    assert (~some["kernel"].isnan()).tolist() == [True] * 55 + [False] * 25
    every = distances(features, features + 1, torch.arange(80) < 70, torch.ones(60))
    assert every["frechet"].item() == pytest.approx(60, rel=1e-5)


def density_of(n: int = 4000) -> tuple[CodeDensity, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    attributes = torch.randn(n, 2, generator=rng) * torch.tensor([10.0, 0.3]) + 4
    noise_ = torch.randn(n, 5, generator=rng) @ torch.randn(5, 5, generator=rng)
    codes = (attributes @ torch.randn(2, 5, generator=rng) + noise_ + 3).double()
    shards = zip(codes.split(1000), attributes.split(1000), strict=True)
    return CodeDensity.fit(shards), codes, attributes


def shrunk(codes: Features) -> EmpiricalCovariance:
    """sklearn's covariance of codes, with a thousandth of its mean variance on the diagonal."""
    covariance = EmpiricalCovariance().fit(codes)
    variance = covariance.covariance_.diagonal().mean()
    covariance.covariance_ += 0.001 * variance * np.eye(codes.shape[1])
    covariance.precision_ = np.linalg.inv(covariance.covariance_)
    return covariance


def test_likelihood_agrees_with_scipys_normal_round_sklearns_regression() -> None:
    density, codes, attributes = density_of()
    w, a = codes.numpy(), attributes.double().numpy()
    regression = LinearRegression().fit(a, w)
    residual = np.cov(w - regression.predict(a), rowvar=False, ddof=0)
    residual += 0.001 * w.var(0).mean() * np.eye(5)
    normal = stats.multivariate_normal(np.zeros(5), residual)
    for given in (a[:50], a[50:100]):
        expected = normal.logpdf(w[:50] - regression.predict(given)) / 5
        found = density.log_likelihood(codes[:50], torch.from_numpy(given))
        assert found.numpy() == pytest.approx(expected, rel=1e-6)
    assert SHRINKAGE == 0.001


def test_mahalanobis_distance_agrees_with_sklearns_and_is_one_for_a_typical_code() -> None:
    density, codes, _ = density_of()
    squared = shrunk(codes.numpy()).mahalanobis(codes.numpy())
    found = density.mahalanobis(codes)
    assert found.numpy() == pytest.approx(np.sqrt(squared / 5), rel=1e-6)
    inverse = shrunk(codes.numpy()).precision_
    typical = np.trace(inverse @ np.cov(codes.numpy(), rowvar=False, ddof=0)) / 5
    assert found.square().mean().item() == pytest.approx(typical, rel=1e-6)
    assert typical == pytest.approx(0.95, abs=0.05)


def test_densities_keep_the_precision_of_codes() -> None:
    density, codes, attributes = density_of(200)
    for dtype in (torch.float32, torch.float64):
        assert density.mahalanobis(codes.to(dtype)).dtype == dtype
        assert density.log_likelihood(codes.to(dtype), attributes).dtype == dtype


def test_a_code_is_likelier_given_its_own_attributes_by_half_the_squared_gap() -> None:
    density, codes, attributes = density_of()
    other = attributes.flip(0)
    residual = (density.residual_root @ density.residual_root.T).numpy()
    slopes = density.regression.numpy()
    own, theirs = (
        (codes - density.mean).numpy() - (a.double() - density.attribute_mean).numpy() @ slopes
        for a in (attributes, other)
    )
    squares = [np.einsum("ni,ij,nj->n", x, np.linalg.inv(residual), x) for x in (own, theirs)]
    gap = density.log_likelihood(codes, attributes) - density.log_likelihood(codes, other)
    assert gap.numpy() == pytest.approx((squares[1] - squares[0]) / 10, rel=1e-6, abs=1e-9)
    assert gap.mean().item() > 1


def test_density_does_not_depend_on_shards() -> None:
    codes = ToyGenerator().sample(500, 0).double()
    attributes = ToyGenerator().truth(codes).attributes
    whole = CodeDensity.fit([(codes, attributes)])
    parts = CodeDensity.fit(zip(codes.split(90), attributes.split(90), strict=True))
    assert whole.mean.numpy() == pytest.approx(codes.numpy().mean(0))
    assert whole.attribute_mean.numpy() == pytest.approx(attributes.numpy().mean(0))
    for name in ("mean", "attribute_mean", "regression", "root", "residual_root"):
        torch.testing.assert_close(getattr(whole, name), getattr(parts, name))
    torch.testing.assert_close(
        whole.root @ whole.root.T,
        torch.from_numpy(shrunk(codes.numpy()).covariance_),
    )


def test_density_takes_attributes_that_codes_decide_or_that_repeat_each_other() -> None:
    codes = ToyGenerator().sample(500, 0).double()
    attributes = ToyGenerator().truth(codes).attributes
    once = CodeDensity.fit([(codes, attributes)]).log_likelihood(codes, attributes)
    twice = torch.cat([attributes, attributes], 1)
    again = CodeDensity.fit([(codes, twice)]).log_likelihood(codes, twice)
    assert once.isfinite().all()
    assert again.numpy() == pytest.approx(once.numpy(), abs=1e-3)


def test_angles_are_those_of_rotations_and_exact_for_small_ones() -> None:
    tiny = torch.tensor([[1.0, 1e-4]])
    right = torch.tensor([[1.0, 0.0]])
    assert angle_between(right, tiny).item() == pytest.approx(5.7296e-3, 1e-3)
    assert angle_between(right, -right).item() == pytest.approx(180)
    rng = np.random.default_rng(13)
    first, second = rng.normal(size=(6, 3)), 3 * rng.normal(size=(6, 3))
    cosine = (first * second).sum(1) / np.linalg.norm(first, axis=1)
    expected = np.degrees(np.arccos(cosine / np.linalg.norm(second, axis=1)))
    found = angle_between(torch.from_numpy(first), torch.from_numpy(second))
    assert found.numpy() == pytest.approx(expected)


def looking(yaw: float, pitch: float) -> Features:
    """Where a face looks, by rotations of the axis that points at the viewer."""
    turned: Features = Rotation.from_euler("YX", [yaw, -pitch], degrees=True).apply([0, 0, 1])
    return turned


def test_faces_look_where_rotations_turn_them() -> None:
    yaw, pitch = torch.tensor([30.0, -12.0, 0.0, 40.0]), torch.tensor([0.0, 25.0, -90.0, -20.0])
    expected = [looking(*pair) for pair in zip(yaw.tolist(), pitch.tolist(), strict=True)]
    assert facing(yaw, pitch).numpy() == pytest.approx(np.array(expected), abs=1e-6)


POSED = AttributeSchema(
    (
        Attribute("age", "continuous", 0, 70, "years"),
        Attribute("lighting", "vector", -2, 2, size=2),
        Attribute("pitch", "continuous", -40, 40, "degrees"),
        Attribute("yaw", "continuous", -40, 40, "degrees"),
    )
)


def test_pose_error_is_the_angle_of_the_rotation_between_two_looks() -> None:
    rng = np.random.default_rng(14)
    wanted, after = rng.uniform(-40, 40, (2, 8, 5))
    found = pose_error(torch.from_numpy(wanted), torch.from_numpy(after), POSED)
    assert found is not None
    expected = [
        np.degrees(np.arccos(looking(one[4], one[3]) @ looking(other[4], other[3])))
        for one, other in zip(wanted, after, strict=True)
    ]
    assert found.numpy() == pytest.approx(expected)
    light = lighting_error(torch.from_numpy(wanted), torch.from_numpy(after), POSED)
    assert light is not None
    ends = [np.degrees(np.arctan2(part[:, 2], part[:, 1])) for part in (wanted, after)]
    apart = np.abs((ends[0] - ends[1] + 180) % 360 - 180)
    assert light.numpy() == pytest.approx(apart)


@pytest.mark.parametrize("name", ["yaw", "pitch"])
def test_pose_error_of_one_angle_is_its_difference(name: str) -> None:
    schema = POSED.subset(("age", name))
    wanted, after = torch.tensor([[35.0, 10.0]]), torch.tensor([[60.0, -5.0]])
    found = pose_error(wanted, after, schema)
    assert found is not None
    assert found.item() == pytest.approx(15, abs=1e-4)


def test_pose_and_light_are_none_where_no_column_holds_them() -> None:
    values = torch.ones(1, 5)
    plain = AttributeSchema(
        (
            Attribute("yaw", "binary", 0, 1),
            Attribute("pitch", "vector", -40, 40, "degrees", size=2),
            Attribute("lighting", "continuous", -1, 1),
        )
    )
    assert pose_error(values[:, :4], values[:, :4], plain) is None
    assert lighting_error(values[:, :4], values[:, :4], plain) is None
    assert pose_error(values[:, :1], values[:, :1], POSED.subset(("age",))) is None
    assert lighting_error(values[:, :1], values[:, :1], POSED.subset(("age",))) is None
    mixed = AttributeSchema((plain["yaw"], POSED["pitch"]))
    found = pose_error(torch.tensor([[0.0, 5.0]]), torch.tensor([[30.0, 9.0]]), mixed)
    assert found is not None
    assert found.item() == pytest.approx(4, abs=1e-4)


def test_pose_and_light_are_read_off_the_columns_that_hold_them() -> None:
    wanted = torch.tensor([[35.0, 0.5, 10.0, 1.0, 0.0, 0.0]])
    after = torch.tensor([[60.0, 0.9, -5.0, 0.0, 2.0, 0.0]])
    pose, light = pose_error(wanted, after, SCHEMA), lighting_error(wanted, after, SCHEMA)
    assert pose is not None
    assert light is not None
    assert pose.item() == pytest.approx(15, abs=1e-4)
    assert light.item() == pytest.approx(90, abs=1e-4)


def test_the_errors_of_a_judge_agree_with_sklearn_and_numpy() -> None:
    rng = np.random.default_rng(15)
    truth = rng.uniform(-1, 1, (200, 6)) * [30, 0.5, 20, 1, 1, 1] + [35, 0.5, 0, 0, 0, 0]
    values = 0.8 * truth + rng.normal(0.2, 1, (200, 6)) * [5, 0.3, 4, 0.1, 0.2, 0.3]
    sigma = np.array([10.0, 0.2, 12.0, 0.4, 0.5, 0.6])
    found = reading_errors(*map(torch.from_numpy, (values, truth, sigma)), SCHEMA)
    places = {"age": [0], "glasses": [1], "yaw": [2], "lighting": [3, 4, 5]}
    assert list(found) == list(places)
    for name, columns in places.items():
        entry = found[name]
        pairs = [(truth[:, c], values[:, c]) for c in columns]
        assert entry.r2 == pytest.approx(np.mean([r2_score(t, v) for t, v in pairs]))
        errors = [mean_absolute_error(t, v) for t, v in pairs]
        assert entry.mae == pytest.approx(np.mean(errors))
        assert entry.mae_sigma == pytest.approx(np.mean(errors / sigma[columns]))
        lines = [np.polyfit(t, v, 1)[0] for t, v in pairs]
        assert entry.slope == pytest.approx(np.mean(lines))
        assert entry.unit == SCHEMA[name].unit
    expected = roc_auc_score(truth[:, 1] > 0.5, values[:, 1])
    assert found["glasses"].auc == pytest.approx(expected)
    assert 0.6 < expected < 0.99
    assert [found[name].auc for name in ("age", "yaw", "lighting")] == [None] * 3


def test_a_judge_without_both_kinds_of_faces_has_no_auc() -> None:
    schema = AttributeSchema((Attribute("glasses", "binary", -2, 6),))
    values = torch.tensor([[0.1], [0.4], [0.3], [0.9]])
    for truth in ([[2.1], [3], [4], [5]], [[2.0], [1], [0], [-1]]):
        found = reading_errors(values, torch.tensor(truth), torch.ones(1), schema)
        assert found["glasses"].auc is None
    truth = torch.tensor([[2.0], [3.0], [1.0], [4.0]])
    assert reading_errors(values, truth, torch.ones(1), schema)["glasses"].auc == 1
    truth = torch.tensor([[3.0], [2.0], [1.0], [4.0]])
    assert reading_errors(values, truth, torch.ones(1), schema)["glasses"].auc == 0.5


def test_a_recogniser_is_compared_with_true_identities_by_ranks_of_distances() -> None:
    rng = np.random.default_rng(16)
    identity = rng.normal(size=(60, 4))
    embeddings = 3 * (identity @ rng.normal(size=(4, 7)) + rng.normal(size=(60, 7)))
    expected = stats.spearmanr(pdist(embeddings, "cosine"), pdist(identity)).statistic
    found = identity_agreement(torch.from_numpy(embeddings), torch.from_numpy(identity))
    assert found == pytest.approx(expected)
    assert 0.2 < expected < 0.8


def test_one_true_score_is_enough_to_compare_a_recogniser_with() -> None:
    rng = np.random.default_rng(18)
    identity, embeddings = rng.normal(size=(40, 1)), rng.normal([0, 3, 0], size=(40, 3))
    expected = stats.spearmanr(pdist(embeddings, "cosine"), pdist(identity)).statistic
    found = identity_agreement(torch.from_numpy(embeddings), torch.from_numpy(identity))
    assert found == pytest.approx(expected)


def test_a_recogniser_is_compared_on_the_first_500_faces() -> None:
    rng = np.random.default_rng(17)
    identity, embeddings = rng.normal(size=(520, 3)), rng.normal(size=(520, 3))
    expected = stats.spearmanr(pdist(embeddings[:500], "cosine"), pdist(identity[:500])).statistic
    found = identity_agreement(torch.from_numpy(embeddings), torch.from_numpy(identity))
    assert found == pytest.approx(expected)


def test_nothing_is_known_of_a_recogniser_without_truth_or_without_differences() -> None:
    identity = torch.randn(60, 4, generator=torch.Generator().manual_seed(3))
    assert identity_agreement(identity, identity[:, :0]) is None
    assert identity_agreement(identity[:2], identity[:2]) is None
    assert identity_agreement(identity[:3], identity[:3]) is not None
    with warnings.catch_warnings(action="ignore"):
        assert identity_agreement(torch.ones(5, 4), identity[:5]) is None


def test_what_a_metric_is_read_off_is_said_with_its_error() -> None:
    full = RecogniserFigures("r", 0.5, {"auc": 0.99, "true_accept_rate": 0.87}, 0.5)
    short = RecogniserFigures("s", 0.5, {"auc": 0.9}, None)
    silent = RecogniserFigures("t", 0.5, {}, None)
    errors = {
        name: ReadingError(r2=0.0, mae=9.0, mae_sigma=value, slope=1.0, auc=None, unit="")
        for name, value in zip("abc", (0.1, 0.4, 0.1), strict=True)
    }
    found = {
        row.metric: (row.value, row.text)
        for row in noise(errors, [full, short, silent], {}, "face")
    }
    judge = (pytest.approx(0.2), "judge errs by 0.20 σ on one face")
    first = (
        None,
        "knows 87% of people again, AUC 0.990, rank correlation with the truth 0.50",
    )
    second = (None, "AUC 0.900")
    exact = (0.0, "exact")
    of_recognisers = ("identity similarity", "identity accuracy", "edit–identity area")
    assert found == {
        MetricKey("attribute leakage"): judge,
        MetricKey("target error"): judge,
        MetricKey("edit consistency"): judge,
        MetricKey("reach"): (None, "judge errs by 0.20 σ on one face"),
        MetricKey("true leakage"): exact,
        MetricKey("true identity drift"): exact,
        **{MetricKey(metric, "r"): first for metric in of_recognisers},
        **{MetricKey(metric, "s"): second for metric in of_recognisers},
    }
    assert {row.metric for row in noise({}, [short], {}, "face")} == {
        MetricKey(metric, "s") for metric in of_recognisers
    }
    assert noise({}, [silent], {}, "face") == ()
