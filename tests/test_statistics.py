"""Intervals, tests and q-values against scipy, statsmodels and enumeration, and by simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from latentedit.measures.statistics import (
    FEWEST,
    MANY,
    Interval,
    discoveries,
    interval,
    paired_difference,
    seed_interval,
)

Values = NDArray[np.float64]


def student(values: Values, confidence: float = 0.95) -> tuple[float, float]:
    """Student's interval of a mean, by scipy."""
    low, high = stats.t.interval(
        confidence, len(values) - 1, loc=np.mean(values), scale=stats.sem(values)
    )
    return float(low), float(high)


def widened_bca(values: Values, known: int, confidence: float = 0.95) -> tuple[float, float]:
    """scipy's BCa interval at the level that moves its normal quantile to √(n/(n − 1)) t."""
    wide = np.sqrt(known / (known - 1)) * stats.t.isf((1 - confidence) / 2, known - 1)
    found = stats.bootstrap(
        (values,),
        lambda x, axis: np.nansum(x, axis=axis) / (~np.isnan(x)).sum(axis=axis).clip(1),
        confidence_level=1 - 2 * stats.norm.sf(wide),
        n_resamples=20_000,
        method="BCa",
        rng=np.random.default_rng(99),
    ).confidence_interval
    return float(found.low), float(found.high)


def exact_p(differences: list[int]) -> float:
    """Two-sided p of a sum over every pattern of signs, in whole numbers."""
    sums = [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in itertools.product((-1, 1), repeat=len(differences))
    ]
    return sum(abs(s) >= abs(sum(differences)) for s in sums) / len(sums)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(300):
        found = interval(rng.exponential(1.0, 60), resamples=400, seed=trial)
        covered += found.low <= 1.0 <= found.high
    assert 0.92 <= covered / 300 <= 0.98


def test_an_editor_against_its_like_is_called_different_one_time_in_twenty() -> None:
    rng = np.random.default_rng(1)
    false = 0
    for trial in range(300):
        base = rng.normal(size=50)
        found = paired_difference(
            base + 0.1 * rng.normal(size=50),
            base + 0.1 * rng.normal(size=50),
            resamples=400,
            seed=trial,
        )
        false += found.p < 0.05
    assert 0.02 <= false / 300 <= 0.08


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("sign", [1, -1])
def test_skewed_values_have_students_bound_on_one_side_and_bca_on_the_other(
    sign: int, confidence: float
) -> None:
    gaps = []
    for seed in range(20):
        values = sign * np.random.default_rng(seed).exponential(size=15)
        found = interval(values, resamples=20_000, confidence=confidence, seed=seed)
        low, high = student(values, confidence)
        bca = widened_bca(values, 15, confidence)
        if stats.skew(sign * values) > 0.7:
            assert (found.low, found.high)[sign < 0] == pytest.approx((low, high)[sign < 0])
            both = (found.high - bca[1], found.low - bca[0])
            gaps.append(both[sign < 0] / stats.sem(values))
    assert len(gaps) >= 12
    assert np.mean(gaps) == pytest.approx(0, abs=0.025)


def test_many_equal_means_of_resamples_count_half_in_the_bias() -> None:
    values = np.array([0.0] * 17 + [1.0] * 3)
    found = interval(values, resamples=40_000)
    assert found.high == pytest.approx(widened_bca(values, 20)[1], abs=1e-9)
    assert found.low == pytest.approx(student(values)[0])


def test_faces_without_a_number_are_resampled_too() -> None:
    gaps, shifts = [], []
    for seed in range(12):
        values = np.random.default_rng(seed).exponential(size=14)
        sparse = np.concatenate([values, np.full(26, np.nan)])
        found = interval(sparse, resamples=20_000, seed=seed, confidence=0.8)
        full, near = widened_bca(sparse, 14, 0.8)[1], stats.sem(values)
        gaps.append((found.high - full) / near)
        shifts.append((widened_bca(values, 14, 0.8)[1] - full) / near)
        assert found.low == pytest.approx(student(values, 0.8)[0], abs=0.1 * near)
        assert found.n == 14
    assert np.mean(gaps) == pytest.approx(0, abs=0.03)
    assert abs(np.mean(shifts)) > 0.06


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_more_than_many_faces_have_students_interval_alone(confidence: float) -> None:
    values = np.random.default_rng(4).lognormal(0, 3, MANY + 1)
    found = interval(values, confidence=confidence)
    assert (found.low, found.high) == pytest.approx(student(values, confidence), rel=1e-12)
    last = interval(values[:-1], confidence=confidence, resamples=200)
    low, high = student(values[:-1], confidence)
    assert last.low == pytest.approx(low, rel=1e-12)
    assert last.high > high + 0.1 * stats.sem(values)
    values[0] = np.nan
    last = interval(values, confidence=confidence, resamples=200)
    assert last.high > student(values[1:], confidence)[1] + 0.1 * stats.sem(values[1:])


def test_few_faces_have_a_mean_and_no_interval() -> None:
    values = np.array([1.0, np.nan, 3.0, 2.0, 8.0])
    found = interval(values)
    assert (found.mean, found.n) == (3.5, 4)
    assert np.isnan([found.low, found.high]).all()
    assert FEWEST == 5
    enough = interval(np.append(values, 4.0))
    assert (enough.mean, enough.n) == (pytest.approx(3.6), 5)
    assert enough.low == pytest.approx(min(student(np.array([1.0, 3, 2, 8, 4]))[0], enough.low))
    assert enough.low < 3.6 - 2 < 3.6 + 2 < enough.high
    nobody = interval(np.full(3, np.nan))
    assert nobody.n == 0
    assert np.isnan(nobody.mean)


def test_an_interval_is_the_same_each_time_and_depends_on_the_seed() -> None:
    values = np.random.default_rng(5).exponential(size=20)
    assert interval(values) == interval(values.copy(), seed=0, confidence=0.95, resamples=2000)
    assert interval(values).high != interval(values, seed=1).high
    assert interval(values).high != interval(values, resamples=1999).high


@given(st.floats(0.01, 100), st.floats(-100, 100), st.integers(0, 2**32 - 1), st.integers(16, 30))
@settings(max_examples=40, deadline=None)
def test_an_interval_moves_with_the_unit_and_the_origin_of_its_values(
    scale: float, shift: float, seed: int, n: int
) -> None:
    values = np.random.default_rng(seed).exponential(size=n)
    plain, moved = interval(values, resamples=200), interval(scale * values + shift, resamples=200)
    for bound in ("mean", "low", "high"):
        expected = scale * getattr(plain, bound) + shift
        assert getattr(moved, bound) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_constant_values_have_a_point_interval() -> None:
    assert interval(np.ones(10)) == Interval(1.0, 1.0, 1.0, 10)
    assert interval(np.full(MANY + 1, 0.3)).low == 0.3
    assert interval(np.full(10, 0.3), share=True) == Interval(pytest.approx(0.3), 0.3, 0.3, 10)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
@pytest.mark.parametrize(("yes", "n"), [(0, 5), (1, 6), (3, 10), (50, 73), (20, 20), (2000, 3000)])
def test_an_interval_of_yes_and_no_is_wilsons(yes: int, n: int, confidence: float) -> None:
    values = np.array([1.0] * yes + [0.0] * (n - yes) + [np.nan] * 3)
    found = interval(values, share=True, confidence=confidence)
    expected = proportion_confint(yes, n, alpha=1 - confidence, method="wilson")
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-12)
    assert (found.mean, found.n) == (pytest.approx(yes / n), n)
    assert found.low >= 0
    assert found.high <= 1


def test_zeros_and_ones_that_are_no_shares_have_no_wilson_interval() -> None:
    values = np.array([1.0] * 5 + [0.0] * 5)
    wide = np.sqrt(10 / 9) * stats.t.ppf(0.975, 9) * 0.5 / np.sqrt(10)
    found = interval(values, resamples=20_000)
    assert (found.low, found.high) == pytest.approx((0.5 - wide, 0.5 + wide), abs=0.06)
    assert found.low < proportion_confint(5, 10, method="wilson")[0] - 0.05


def test_the_interval_of_a_mean_share_is_cut_to_0_and_1_and_nothing_else() -> None:
    nearly_all = np.array([1.0] * 9 + [0.5])
    plain, found = interval(nearly_all), interval(nearly_all, share=True)
    assert (found.low, found.high) == (plain.low, 1.0)
    assert plain.high == pytest.approx(student(nearly_all)[1])
    other = interval(1 - nearly_all, share=True)
    assert (other.low, other.high) == (0.0, pytest.approx(1 - plain.low))
    middling = np.array([0.5, 0.25, 0.75, 0.5, 0.4, 0.6])
    assert interval(middling, share=True) == interval(middling)


def test_pairing_finds_a_small_constant_difference_in_a_wide_spread() -> None:
    rng = np.random.default_rng(2)
    base, noise = rng.normal(scale=10, size=100), rng.normal(scale=0.1, size=100)
    found = paired_difference(base + 0.5 + noise, base)
    low, high = student(0.5 + noise)
    near = 0.1 * stats.sem(noise)
    assert found.mean == pytest.approx(0.5 + noise.mean())
    assert (found.low, found.high) == (pytest.approx(low, abs=near), pytest.approx(high, abs=near))
    assert found.p == 1 / 2001


@pytest.mark.parametrize(
    "differences",
    [
        [1, 1, 1, 1, 1],
        [3, 1, -2, 4, 1, 2],
        [5, -4, 3, 3, -6, 2, 2, 1, 4, -1],
        [7, 7, -6, 1, -3, 2, 2, -9, 11, 4, 5],
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_p_value_is_that_of_every_pattern_of_signs(differences: list[int], sign: int) -> None:
    values = sign * np.array(differences) / 10
    expected, n = exact_p(differences), 40_000
    found = paired_difference(values, np.zeros(len(values)), resamples=n)
    error = np.sqrt(expected * (1 - expected) / n)
    assert found.p == pytest.approx(expected, abs=4 * error)
    base = np.arange(2.0 * len(values))
    unknown = np.where(base < len(values), 0, np.nan)
    shuffled = np.append(values, values) + base
    again = paired_difference(shuffled + unknown, base, resamples=n)
    assert again.n == len(values)
    assert again.p == pytest.approx(expected, abs=4 * error)


def test_the_p_value_agrees_with_scipy() -> None:
    rng = np.random.default_rng(3)
    differences = rng.normal(0.2, 1, 40)
    reference = stats.permutation_test(
        (differences, np.zeros(40)),
        lambda a, b: np.mean(a - b),
        permutation_type="samples",
        n_resamples=20_000,
        rng=np.random.default_rng(0),
    )
    found = paired_difference(differences, np.zeros(40), resamples=20_000)
    assert found.p == pytest.approx(reference.pvalue, abs=0.012)


def test_a_p_value_is_never_below_one_in_the_patterns_tried() -> None:
    values = np.random.default_rng(6).uniform(1, 2, 40)
    assert paired_difference(values, np.zeros(40), resamples=400).p == 1 / 401
    assert paired_difference(values, np.zeros(40)).p == 1 / 2001


def test_the_p_value_of_more_than_many_faces_is_students() -> None:
    values = np.random.default_rng(7).normal(0.03, 1, MANY + 1)
    found = paired_difference(np.append(values, np.nan), np.zeros(MANY + 2))
    assert found.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=1e-12)
    assert found.n == MANY + 1
    fewer = paired_difference(values[:-1], np.zeros(MANY), resamples=100)
    assert fewer.p * 101 == pytest.approx(round(fewer.p * 101))


def test_too_few_faces_and_no_difference_have_a_p_value_of_1() -> None:
    few = paired_difference(np.array([1.0, 2, 3, 4]), np.zeros(4))
    assert (few.mean, few.p, few.n) == (2.5, 1.0, 4)
    assert np.isnan([few.low, few.high]).all()
    five = paired_difference(np.array([1.0, 2, 4, 8, 16]), np.zeros(5), resamples=40_000)
    assert five.p == pytest.approx(2 / 32, abs=0.005)
    same = np.random.default_rng(8).normal(size=MANY + 1)
    for n in (10, MANY + 1):
        nothing = paired_difference(same[:n], same[:n])
        assert (nothing.mean, nothing.low, nothing.high, nothing.p) == (0, 0, 0, 1.0)
    holes = np.array([1.0, np.nan, 3.0, 2.0])
    assert paired_difference(holes, np.array([0.0, 0.0, np.nan, 0.0])).n == 2


@given(st.integers(0, 2**32 - 1), st.integers(16, 30))
@settings(max_examples=40, deadline=None)
def test_a_difference_turned_round_has_the_same_p_and_the_mirrored_interval(
    seed: int, n: int
) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.exponential(size=n), rng.normal(size=n)
    one = paired_difference(first, second, resamples=300)
    other = paired_difference(second, first, resamples=300)
    assert one.p == other.p
    mirrored = (-other.mean, -other.high, -other.low)
    assert (one.mean, one.low, one.high) == pytest.approx(mirrored, rel=1e-6, abs=1e-9)
    assert one.mean == pytest.approx(first.mean() - second.mean())
    inner = interval(first - second, resamples=300)
    assert (one.low, one.high) == (inner.low, inner.high)


def test_a_difference_hands_confidence_seed_and_resamples_on() -> None:
    rng = np.random.default_rng(9)
    first, second = rng.exponential(size=15), rng.normal(size=15)
    for extra in ({"confidence": 0.7}, {"seed": 3}, {"resamples": 150}):
        found = paired_difference(first, second, **extra)
        alone = interval(first - second, **extra)
        assert (found.low, found.high) == (alone.low, alone.high)
        assert alone != interval(first - second)
    assert paired_difference(first, second).p != paired_difference(first, second, seed=3).p


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
@pytest.mark.parametrize(("n", "m"), [(2, 2), (2, 5), (3, 7), (5, 5)])
def test_the_interval_over_seeds_is_welchs(n: int, m: int, confidence: float) -> None:
    rng = np.random.default_rng(10)
    first, second = rng.normal(1, 0.3, n), rng.normal(0, 2, m)
    for a, b in ((first, second), (second, first)):
        found = seed_interval(a, b, confidence=confidence)
        expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(confidence)
        assert found == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_the_interval_over_seeds_needs_two_of_each_and_is_a_point_where_none_differ() -> None:
    two, one = np.array([1.0, 3.0]), np.array([1.0])
    assert seed_interval(two, one) is None
    assert seed_interval(one, two) is None
    assert seed_interval(two[:0], two) is None
    assert seed_interval(np.ones(3), np.zeros(2)) == (1, 1)
    half = stats.t.ppf(0.975, 1) * 1.0
    assert seed_interval(two, np.zeros(2)) == pytest.approx((2 - half, 2 + half))


P_VALUES = st.lists(st.floats(1e-12, 1), min_size=1, max_size=30)


@given(P_VALUES)
@settings(deadline=None)
def test_discoveries_are_benjamini_and_hochbergs_q_values(p_values: list[float]) -> None:
    found = discoveries(p_values)
    expected = multipletests(p_values, method="fdr_bh")[1]
    assert found == pytest.approx(list(expected), rel=1e-9)
    order = np.argsort(p_values)
    assert (np.diff(np.array(found)[order]) >= 0).all()
    assert all(q >= p for p, q in zip(p_values, found, strict=True))


@given(P_VALUES, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_discoveries_do_not_depend_on_the_order_of_p_values(p_values, random) -> None:
    order = list(range(len(p_values)))
    random.shuffle(order)
    plain, shuffled = discoveries(p_values), discoveries([p_values[i] for i in order])
    assert shuffled == pytest.approx([plain[i] for i in order])


def test_discoveries_worked_out_by_hand() -> None:
    assert discoveries([]) == []
    assert discoveries([0.01, 0.04, 0.5]) == pytest.approx([0.03, 0.06, 0.5])
