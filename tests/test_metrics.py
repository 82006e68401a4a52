"""Metrics against values worked out by hand and against other implementations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import brentq
from torchmetrics.functional import mean_absolute_error, pairwise_cosine_similarity
from torchmetrics.functional.image import peak_signal_noise_ratio

from latentedit import Attribute, AttributeSchema
from latentedit.measures import metrics as m
from latentedit.measures.definitions import METRICS

SCHEMA = AttributeSchema(
    (
        Attribute("age", "continuous", 0, 70),
        Attribute("glasses", "binary", 0, 1),
        Attribute("lighting", "vector", -1, 1, size=2),
    )
)
COLUMNS = {"age": [0], "glasses": [1], "lighting": [2, 3]}
SIGMA = torch.tensor([10.0, 0.5, 0.2, 0.4])
STRENGTHS = torch.tensor([0.5, 1.0, 2.0])
Array = NDArray[np.float64]


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


EXPECTED = [
    ("reach", "share of images", True, "share of images whose achieved change attains r"),
    ("identity similarity", "cosine", True, "cos(E(x), E(x'))"),
    (
        "identity with failures",
        "cosine",
        True,
        "cos(E(x), E(x')), and 0, as between strangers, for an image that does not reach r",
    ),
    (
        "identity similarity to the photo",
        "cosine",
        True,
        "cos(E(photo), E(x')), where x is a photo's reconstruction",
    ),
    (
        "identity accuracy",
        "share of images",
        True,
        "share with cos(E(x), E(x')) above the recogniser's threshold at FAR 1e-3",
    ),
    ("attribute leakage", "σ", False, "mean over k' ≠ k of |A(x') − A(x)|_k' / σ_k'"),
    ("true leakage", "σ", False, "attribute leakage read off the edited code"),
    ("true identity drift", "σ", False, "RMS change of the true identity scores"),
    (
        "true effect",
        "share of the change",
        None,
        "(A(x') − A(x))_k / Δ read off the edited code, where the judge sees r",
    ),
    (
        "distance to the counterfactual",
        "levels",
        False,
        "mean |x' − c|, 255 levels; c is the same image with only k changed, as much as in x'",
    ),
    (
        "distance inside what may change",
        "levels",
        False,
        "mean |x' − c|, 255 levels, over the pixels whose bytes differ in x and c",
    ),
    (
        "distance outside what may change",
        "levels",
        False,
        "mean |x' − c|, 255 levels, over all other pixels",
    ),
    (
        "structural similarity to the counterfactual",
        "SSIM",
        True,
        "mean SSIM of x' and c, Wang et al. 2004, windows of 7 × 7 pixels",
    ),
    (
        "identity similarity to the counterfactual",
        "cosine",
        True,
        "cos(E(c), E(x')), c as above",
    ),
    ("target error", "σ", False, "|A(x') − target|_k / σ_k at strength 1"),
    ("round-trip error", "share", False, "|w'' − w| / |w| after an edit by Δ and then −Δ"),
    ("round-trip error in pixels", "levels", False, "mean |x'' − x|, 255 levels, there and back"),
    ("round-trip error in identity", "1 − cosine", False, "1 − cos(E(x), E(x'')), there and back"),
    (
        "edit consistency",
        "σ",
        False,
        "mean |A − A'| / σ between two orders of the same edits, over all pairs of orders",
    ),
    ("drift", "share", False, "|w'' − w| / |w| after N edits and the same N undone"),
    (
        "drift in identity",
        "1 − cosine",
        False,
        "1 − cos(E(x), E(x'')) after N edits and the same N undone",
    ),
    (
        "pose error",
        "degrees",
        False,
        "angle between where the head looks and where it should, yaw and pitch by the judge",
    ),
    (
        "lighting error",
        "degrees",
        False,
        "angle between the lighting coefficients and what they should be, by the judge",
    ),
    (
        "kernel distance",
        "squared MMD",
        False,
        "unbiased squared MMD of edited and unedited images, (x·y / F + 1)³, judge's features",
    ),
    (
        "log-likelihood",
        "nats a dimension",
        None,
        "log p(w' given the attributes it should have), Gaussian of the fit split, over D",
    ),
    (
        "Mahalanobis distance",
        "σ",
        None,
        "((w' − μ)ᵀ C⁻¹ (w' − μ) / D)^½ to the fit split; unedited images lie at about 1",
    ),
    (
        "edit–identity area",
        "cosine",
        True,
        "area under identity similarity against r on [0, 1]; effects not reached count 0",
    ),
]


def test_every_metric_has_the_unit_direction_and_formula_that_reports_print() -> None:
    found = [(x.name, x.unit, x.higher_is_better, x.formula) for x in METRICS.values()]
    assert found == EXPECTED
    assert list(METRICS) == [row[0] for row in EXPECTED]


def test_achieved_change_is_the_share_of_the_change_asked_for() -> None:
    before, after = torch.tensor([30.0, 30.0, 50.0]), torch.tensor([46.0, 25.0, 40.0])
    found = m.achieved_change(before, after, torch.tensor([20.0, 20.0, -40.0]))
    assert found.tolist() == pytest.approx([0.8, -0.25, 0.25])


def leaked(before: Array, after: Array, edited: str) -> list[float]:
    """Leakage face by face, as the protocol defines it."""
    found = []
    for one, other in zip(before, after, strict=True):
        parts = [
            sum(abs(other[c] - one[c]) / float(SIGMA[c]) for c in columns) / len(columns)
            for name, columns in COLUMNS.items()
            if name != edited
        ]
        found.append(sum(parts) / len(parts))
    return found


def test_leakage_counts_a_vector_as_one_attribute_and_leaves_the_edited_one_out() -> None:
    before = torch.tensor([[30.0, 0.5, 0.1, 0.1]])
    after = torch.tensor([[50.0, 0.0, 0.3, -0.7]])
    change = m.attribute_change(before, after, SIGMA, SCHEMA)
    assert change[0].tolist() == pytest.approx([2, 1, (1 + 2) / 2])
    for edited, expected in (("age", 1.25), ("glasses", 1.75), ("lighting", 1.5)):
        found = m.attribute_leakage(before, after, SIGMA, SCHEMA, edited)
        assert found.tolist() == pytest.approx([expected])


@pytest.mark.parametrize("edited", list(COLUMNS))
def test_leakage_agrees_with_the_definition_face_by_face(edited: str) -> None:
    before, after = normal(7, 4, seed=0), normal(7, 4, seed=1)
    found = m.attribute_leakage(before, after, SIGMA, SCHEMA, edited)
    assert found.tolist() == pytest.approx(leaked(before.numpy(), after.numpy(), edited))
    back = m.attribute_leakage(after, before, SIGMA, SCHEMA, edited)
    assert back.tolist() == pytest.approx(found.tolist())


def test_identity_similarity_agrees_with_torchmetrics() -> None:
    a, b = normal(6, 8, seed=2), 5 * normal(6, 8, seed=3)
    expected = pairwise_cosine_similarity(a, b).diagonal()
    assert m.identity_similarity(a, b).tolist() == pytest.approx(expected.tolist(), abs=1e-6)
    assert m.identity_similarity(a, -3 * a).tolist() == pytest.approx([-1] * 6)


def test_target_error_is_a_distance_in_standard_deviations() -> None:
    after, target = torch.tensor([40.0, 55.0]), torch.tensor([50.0, 50.0])
    assert m.target_error(after, target, torch.tensor(5.0)).tolist() == [2, 1]


def test_identity_drift_is_a_root_mean_square() -> None:
    before, after = normal(5, 4, seed=4), normal(5, 4, seed=5)
    expected = np.linalg.norm((after - before).numpy(), axis=1) / 2
    assert m.identity_drift(before, after).tolist() == pytest.approx(expected.tolist())


def test_what_an_inversion_loses_is_a_share_of_the_code() -> None:
    codes, back = normal(3, 4, 5, seed=6), normal(3, 4, 5, seed=7)
    expected = [
        np.linalg.norm(y - x) / np.linalg.norm(x)
        for x, y in zip(codes.flatten(1).numpy(), back.flatten(1).numpy(), strict=True)
    ]
    assert m.round_trip_error(codes, back).tolist() == pytest.approx(expected)
    tenth = m.round_trip_error(codes, 1.1 * codes)
    assert tenth.tolist() == pytest.approx([0.1] * 3, rel=1e-4)


def test_pixels_are_compared_in_levels() -> None:
    rng = torch.Generator().manual_seed(8)
    images, back = (2 * torch.rand(2, 2, 3, 4, 4, generator=rng) - 1).unbind(0)
    levels = [(127.5 * (x + 1)).double() for x in (images, back)]
    expected = [mean_absolute_error(x, y).item() for x, y in zip(*levels, strict=True)]
    assert m.pixel_error(images, back).tolist() == pytest.approx(expected, rel=1e-5)
    black = -torch.ones(1, 3, 4, 4)
    assert m.pixel_error(black, -black).tolist() == [255]


def test_signal_to_noise_agrees_with_torchmetrics_and_ends_at_100_decibels() -> None:
    images, noise = normal(3, 3, 4, 4, seed=9).clamp(-1, 1), normal(3, 3, 4, 4, seed=10)
    others = images + torch.tensor([0.3, 0.01, 0.001])[:, None, None, None] * noise
    expected = [
        peak_signal_noise_ratio(y, x, data_range=2.0).item()
        for x, y in zip(images, others, strict=True)
    ]
    assert m.peak_signal_to_noise(images, others).tolist() == pytest.approx(expected, rel=1e-4)
    assert m.peak_signal_to_noise(images, images).tolist() == pytest.approx([100] * 3)
    nearly = m.peak_signal_to_noise(images[:1], images[:1] + 3e-5)
    assert nearly.item() == pytest.approx(10 * np.log10(4 / 9e-10), abs=0.3)


def test_consistency_is_the_mean_over_all_pairs_of_orders() -> None:
    orders = normal(4, 6, 4, seed=11)
    expected = np.zeros(6)
    for first, second in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)):
        scaled = (orders[first] - orders[second]).abs().numpy() / SIGMA.numpy()
        expected += np.stack([scaled[:, c].mean(1) for c in COLUMNS.values()]).mean(0) / 6
    found = m.edit_consistency(orders, SIGMA, SCHEMA)
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-5)


def test_consistency_of_two_orders_worked_out_by_hand() -> None:
    orders = torch.tensor([[[10.0, 0.0, 0.0, 0.0]], [[20.0, 1.0, 0.2, 0.8]]])
    assert m.edit_consistency(orders, SIGMA, SCHEMA).tolist() == pytest.approx([(1 + 2 + 1.5) / 3])


@given(st.permutations(range(6)))
@settings(max_examples=20, deadline=None)
def test_every_face_has_its_own_number_whatever_the_order_of_faces(order: list[int]) -> None:
    before, after = normal(6, 4, seed=12), normal(6, 4, seed=13)
    effects = normal(3, 6, seed=14).abs()
    for function in (
        lambda rows: m.identity_similarity(before[rows], after[rows]),
        lambda rows: m.attribute_leakage(before[rows], after[rows], SIGMA, SCHEMA, "age"),
        lambda rows: m.round_trip_error(before[rows], after[rows]),
        lambda rows: m.edit_consistency(torch.stack([before, after])[:, rows], SIGMA, SCHEMA),
        lambda rows: m.strength_reaching(STRENGTHS, effects[:, rows], 0.5),
        lambda rows: m.edit_identity_area(STRENGTHS, effects[:, rows], effects[:, rows]),
    ):
        whole = function(torch.arange(6))
        assert function(torch.tensor(order)).tolist() == pytest.approx(
            whole[order].tolist(), nan_ok=True
        )


def crossing(strengths: Array, effects: Array, wanted: float) -> float:
    """The least root of a broken line through (0, 0), for one face; NaN where it has none."""
    s, r = np.append(0, strengths), np.append(0, effects)
    if wanted == 0:
        return 0.0
    for i in range(1, len(s)):
        if r[i] >= wanted:
            start, end = float(s[i - 1]), float(s[i])
            return float(brentq(lambda x: np.interp(x, s, r) - wanted, start, end))
    return float("nan")


GRID = np.array([0.25, 0.5, 1.0, 1.5, 3.0])


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 1.2))
@settings(max_examples=60, deadline=None)
def test_strength_is_the_least_root_of_the_broken_line(seed: int, wanted: float) -> None:
    effects = np.random.default_rng(seed).normal(0.4, 0.6, size=(5, 8)).astype(np.float32)
    found = m.strength_reaching(
        torch.tensor(GRID, dtype=torch.float64), torch.tensor(effects).double(), wanted
    )
    expected = [crossing(GRID, effects[:, n].astype(float), wanted) for n in range(8)]
    assert found.tolist() == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_an_effect_that_is_attained_exactly_counts_as_reached() -> None:
    effects = torch.tensor([[0.25, 0.5], [0.5, 0.25], [0.75, 0.25]])
    assert m.strength_reaching(STRENGTHS, effects, 0.5).tolist() == [1.0, 0.5]
    assert m.strength_reaching(STRENGTHS, effects, 0.75)[0].item() == 2.0


def test_no_change_is_reached_at_strength_0_even_by_an_editor_that_does_nothing() -> None:
    effects = torch.tensor([[0.0, 0.2, -0.2], [0.0, 0.4, 0.4], [0.0, 0.6, 0.6]])
    assert m.strength_reaching(STRENGTHS, effects, 0.0).tolist() == [0, 0, 0]
    found = m.along_effect(STRENGTHS, effects, effects + 3, torch.tensor([0.0]), start=0.7)
    assert found[0].tolist() == pytest.approx([0.7] * 3)


def read_off(s: Array, effects: Array, values: Array, at: float, start: float) -> float:
    strength = crossing(s, effects, at)
    if np.isnan(strength):
        return strength
    return float(np.interp(strength, np.append(0, s), np.append(start, values)))


def test_values_are_read_off_at_the_strength_of_each_effect() -> None:
    rng = np.random.default_rng(15)
    effects, values = rng.normal(0.4, 0.5, (5, 12)), rng.normal(size=(5, 12))
    at = np.array([0.0, 0.1, 0.35, 0.8, 1.1])
    found = m.along_effect(
        torch.tensor(GRID), torch.tensor(effects), torch.tensor(values), torch.tensor(at), 0.9
    )
    expected = [
        [read_off(GRID, effects[:, n], values[:, n], float(r), 0.9) for n in range(12)] for r in at
    ]
    assert np.isnan(expected).any()
    assert found.numpy() == pytest.approx(np.array(expected), abs=1e-6, nan_ok=True)


def test_several_metrics_are_read_off_as_each_alone_with_its_own_start() -> None:
    rng = np.random.default_rng(16)
    effects, values = rng.normal(0.4, 0.5, (5, 12)), rng.normal(size=(3, 5, 12))
    s, r, at = torch.tensor(GRID), torch.tensor(effects), torch.tensor([0.0, 0.3, 0.9])
    start, values = torch.tensor([0.7, 0.0, -1.0]), torch.tensor(values)
    found = m.along_effect(s, r, values, at, start)
    assert found.shape == (3, 3, 12)
    for of_one, v, began in zip(found, values, start, strict=True):
        assert of_one.nan_to_num(9).equal(m.along_effect(s, r, v, at, float(began)).nan_to_num(9))


def test_a_value_at_the_greatest_strength_is_the_last_one() -> None:
    values = torch.tensor([[0.9], [0.8], [0.6]])
    effects = torch.tensor([[0.2], [0.4], [0.75]])
    found = m.along_effect(STRENGTHS, effects, values, torch.tensor([0.75, 0.2, 0.1]), start=1.0)
    assert found[:, 0].tolist() == pytest.approx([0.6, 0.9, 0.95])


def test_area_is_that_under_the_curve_at_21_effects_with_0_where_not_reached() -> None:
    rng = np.random.default_rng(16)
    effects, similarity = rng.normal(0.5, 0.5, (5, 12)), rng.uniform(-0.5, 1, (5, 12))
    found = m.edit_identity_area(
        torch.tensor(GRID), torch.tensor(effects), torch.tensor(similarity)
    )
    at = np.linspace(0, 1, 21).astype(np.float32).astype(float)
    expected = []
    for n in range(12):
        curve = [read_off(GRID, effects[:, n], similarity[:, n], r, 1.0) for r in at]
        expected.append(np.trapezoid(np.nan_to_num(curve), at))
    assert found.tolist() == pytest.approx(expected, abs=1e-5)


def test_area_worked_out_by_hand() -> None:
    full, constant = STRENGTHS[:, None], torch.full((3, 1), 1.0)
    assert m.edit_identity_area(STRENGTHS, full, constant).item() == pytest.approx(1.0)
    falling = 1 - STRENGTHS[:, None] / 2
    assert m.edit_identity_area(STRENGTHS, full, falling).item() == pytest.approx(0.75)
    half = m.edit_identity_area(STRENGTHS, full / 4, constant).item()
    assert half == pytest.approx(0.5 + 0.05 / 2)
    nothing = m.edit_identity_area(STRENGTHS, 0 * full, constant).item()
    assert nothing == pytest.approx(0.05 / 2)


EffectOf = Callable[[float], float]


def matched(
    effect_of: EffectOf,
    strengths: Array,
    wanted: float,
    tolerance: float = 0.05,
    tries: int = 8,
) -> tuple[float, list[float]]:
    """The search that the docstring describes, for one face, and the strengths that it tries."""
    measured = [effect_of(float(s)) for s in strengths]
    s, r = [0.0, *map(float, strengths)], [0.0, *measured]
    above = [i for i in range(1, len(s)) if r[i] >= wanted]
    if not above:
        return float("nan"), []
    left, right = above[0] - 1, above[0]
    low, high = (s[left], r[left]), (s[right], r[right])
    at = low[0] + (wanted - low[1]) / (high[1] - low[1]) * (high[0] - low[0])
    tried: list[tuple[float, float]] = []
    for i in range(tries):
        effect = effect_of(at)
        tried.append((abs(effect - wanted), at))
        if abs(effect - wanted) <= tolerance:
            break
        if effect >= wanted:
            high = (at, effect)
        else:
            low = (at, effect)
        share = 0.5
        if i < 2:
            share = min(0.9, max(0.1, (wanted - low[1]) / (high[1] - low[1])))
        at = low[0] + share * (high[0] - low[0])
    return min(tried, key=lambda pair: pair[0])[1], [at for _, at in tried]


CURVES: dict[str, EffectOf] = {
    "straight": lambda s: 0.7 * s,
    "straight in binary": lambda s: 0.5 * s,
    "bent": lambda s: 1.5 * (s / 2) ** 3,
    "rising late": lambda s: 1.5 * (s / 2) ** 9,
    "rising early": lambda s: 0.95 * (s / 2) ** 0.1,
    "steep": lambda s: 1.2 / (1 + np.exp(-40 * (s - 0.93))),
    "steep and late": lambda s: 1.2 / (1 + np.exp(-40 * (s - 1.9))),
    "with a jump": lambda s: 0.95 if s > 0.7 else 0.4 * s,
    "with a jump nearer below": lambda s: 3.0 if s > 0.7 else 0.7,
    "down and up": lambda s: s * (s - 0.6) * 1.2,
    "up and down": lambda s: 1.5 * s * (1.4 - s),
    "never": lambda s: 0.1 * s,
    "backwards": lambda s: -s,
}


@pytest.mark.parametrize("wanted", [0.5, 0.8])
@pytest.mark.parametrize(
    "extra", [{}, {"tolerance": 0.01}, {"tolerance": 0.0}, {"tries": 3}, {"tries": 1}]
)
def test_matching_searches_each_face_as_documented(wanted: float, extra: dict[str, float]) -> None:
    asked: list[list[float]] = [[] for _ in CURVES]
    functions = list(CURVES.values())

    def effect_at(strengths: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        for s, n in zip(strengths.tolist(), faces.tolist(), strict=True):
            asked[n].append(s)
        pairs = zip(strengths.tolist(), faces.tolist(), strict=True)
        return torch.tensor([functions[n](s) for s, n in pairs], dtype=torch.float64)

    grid, every = STRENGTHS.double(), torch.arange(len(CURVES))
    effects = torch.stack([effect_at(s.expand(len(every)), every) for s in grid])
    for one in asked:
        one.clear()
    found = m.match_effect(effect_at, grid, effects, wanted, **extra)
    for n, (name, function) in enumerate(CURVES.items()):
        expected, tried = matched(function, grid.numpy(), wanted, **extra)
        assert found[n].item() == pytest.approx(expected, rel=1e-6, nan_ok=True), name
        assert asked[n] == pytest.approx(tried, rel=1e-6), name


@pytest.mark.parametrize("curve", ["straight", "bent", "rising late", "rising early", "steep"])
def test_matching_meets_the_effect_within_its_tolerance(curve: str) -> None:
    function = CURVES[curve]
    effects = torch.tensor([[float(function(float(s)))] for s in STRENGTHS])
    found = m.match_effect(
        lambda strengths, faces: torch.tensor([float(function(float(s))) for s in strengths]),
        STRENGTHS,
        effects,
        0.8,
    )
    assert function(found.item()) == pytest.approx(0.8, abs=0.05)


def test_matching_leaves_unreachable_faces_nan_and_never_edits_them() -> None:
    asked: list[int] = []

    def effect_at(strengths: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        asked.extend(faces.tolist())
        return strengths * torch.tensor([0.1, 1.0])[faces]

    effects = torch.stack([effect_at(s.expand(2), torch.arange(2)) for s in STRENGTHS])
    asked.clear()
    at = m.match_effect(effect_at, STRENGTHS, effects, 0.8)
    assert at.tolist() == pytest.approx([float("nan"), 0.8], nan_ok=True)
    assert asked == [1]
    nobody = m.match_effect(effect_at, STRENGTHS, effects / 10, 0.8)
    assert nobody.isnan().all()
    assert asked == [1]
