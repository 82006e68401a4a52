"""Intervals, p-values and Holm's rule against scipy, statsmodels and root finding, and by
simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import optimize, stats
from statsmodels.stats.proportion import proportion_confint

from latentedit.measures.statistics import (
    FEWEST,
    FEWEST_DIFFERING,
    MANY,
    Interval,
    Part,
    Spread,
    fit_spread,
    holm,
    interval,
    paired_difference,
)

Values = NDArray[np.float64]


def student(values: Values, confidence: float = 0.95) -> tuple[float, float]:
    """Student's interval of a mean, by scipy."""
    low, high = stats.t.interval(
        confidence, len(values) - 1, loc=np.mean(values), scale=stats.sem(values)
    )
    return float(low), float(high)


def hall(values: Values, confidence: float = 0.95) -> tuple[float, float]:
    """Hall's interval: means μ at which √n (T + G T² / 3 + G² T³ / 27 + G / (6 n)) is ± t, where T
    is (x̄ − μ) / s; by root finding."""
    n, spread, skew = len(values), np.std(values, ddof=1), stats.skew(values, bias=False)

    def transformed(mean: float) -> float:
        t = (values.mean() - mean) / spread
        found = np.sqrt(n) * (t + skew * t**2 / 3 + skew**2 * t**3 / 27 + skew / (6 * n))
        return float(found)

    wanted = stats.t.isf((1 - confidence) / 2, n - 1)
    around = values.mean() - 50 * spread, values.mean() + 50 * spread
    low, high = (
        optimize.brentq(lambda mean, t=t: transformed(mean) - t, *around, xtol=1e-13)
        for t in (wanted, -wanted)
    )
    return float(low), float(high)


@pytest.mark.parametrize("n", [10, 40])
@pytest.mark.parametrize("sign", [1, -1])
def test_intervals_of_skewed_values_cover_the_truth_as_often_as_they_say(n: int, sign: int) -> None:
    """Student's interval alone covers 90 % of exponential values of 10 faces."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        found = interval(sign * rng.exponential(1.0, n))
        covered += found.low <= sign <= found.high
    assert 0.93 <= covered / 2000 <= 0.97


def test_an_asymmetric_difference_without_mean_has_a_low_p_one_time_in_twenty() -> None:
    """Sign flips reject 13 % of such differences."""
    rng = np.random.default_rng(1)
    false = 0
    for _ in range(2000):
        gaps = rng.exponential(1.0, 20) - 1
        false += paired_difference(gaps, np.zeros(20)).p < 0.05
    assert 0.03 <= false / 2000 <= 0.07


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("seed", range(6))
def test_each_bound_is_the_further_one_of_students_and_halls(
    sign: int, confidence: float, seed: int
) -> None:
    values = sign * np.random.default_rng(seed).exponential(size=15)
    found = interval(np.append(values, np.nan), confidence=confidence)
    both = np.array([student(values, confidence), hall(values, confidence)])
    assert found.low == pytest.approx(both[:, 0].min(), rel=1e-9)
    assert found.high == pytest.approx(both[:, 1].max(), rel=1e-9)
    assert not np.allclose(both[0], both[1], atol=0.02)
    assert found.n == 15


def test_symmetric_values_have_students_interval() -> None:
    values = np.array([*range(-6, 7)], dtype=float)
    found = interval(values)
    assert (found.low, found.high) == pytest.approx(student(values), rel=0.01)


def test_few_faces_have_a_mean_and_no_interval() -> None:
    values = np.append(np.arange(FEWEST - 1.0), np.nan)
    found = interval(values)
    assert (found.mean, found.n) == (np.nanmean(values), FEWEST - 1)
    assert np.isnan([found.low, found.high]).all()
    assert FEWEST == 10
    enough = interval(np.append(values, 9.0))
    assert enough.low < 4.5 < enough.high
    nobody = interval(np.full(3, np.nan))
    assert nobody.n == 0
    assert np.isnan(nobody.mean)


@given(st.floats(0.01, 100), st.floats(-100, 100), st.integers(0, 2**32 - 1), st.integers(16, 30))
@settings(max_examples=40, deadline=None)
def test_an_interval_moves_with_the_unit_and_the_origin_of_its_values(
    scale: float, shift: float, seed: int, n: int
) -> None:
    values = np.random.default_rng(seed).exponential(size=n)
    plain, moved = interval(values), interval(scale * values + shift)
    for bound in ("mean", "low", "high"):
        expected = scale * getattr(plain, bound) + shift
        assert getattr(moved, bound) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_constant_values_have_a_point_interval() -> None:
    assert interval(np.ones(10)) == Interval(1.0, 1.0, 1.0, 10)
    for share in (False, True):
        found = interval(np.full(10, 0.3), share=share)
        assert (found.low, found.high) == pytest.approx((0.3, 0.3))


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
@pytest.mark.parametrize(
    ("yes", "n"), [(0, 10), (1, 16), (3, 10), (50, 73), (20, 20), (2000, 3000)]
)
def test_an_interval_of_yes_and_no_is_wilsons(yes: int, n: int, confidence: float) -> None:
    values = np.array([1.0] * yes + [0.0] * (n - yes) + [np.nan] * 3)
    found = interval(values, share=True, confidence=confidence)
    expected = proportion_confint(yes, n, alpha=1 - confidence, method="wilson")
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-12)
    assert (found.mean, found.n) == (pytest.approx(yes / n), n)
    assert found.low >= 0
    assert found.high <= 1


def test_the_interval_of_a_mean_share_is_cut_to_0_and_1_and_nothing_else() -> None:
    nearly_all = np.array([1.0] * (MANY - 1) + [0.5])
    plain, found = interval(nearly_all), interval(nearly_all, share=True)
    assert plain.high > 1
    assert (found.low, found.high) == (plain.low, 1.0)
    other = interval(1 - nearly_all, share=True)
    assert (other.low, other.high) == (0.0, pytest.approx(1 - plain.low))
    middling = np.array([0.5, 0.25, 0.75, 0.5, 0.4, 0.6, 0.5, 0.55] * 5)
    assert interval(middling, share=True) == interval(middling)


@pytest.mark.parametrize("confidence", [0.9, 0.95])
@pytest.mark.parametrize("n", [10, 16, MANY - 1])
def test_mean_shares_of_few_faces_have_wilsons_interval_of_as_many_as_their_variance_says(
    n: int, confidence: float
) -> None:
    """Of x̄ (1 − x̄) / V faces, with Student's quantile."""
    values = np.random.default_rng(n).binomial(3, 0.8, n) / 3
    mean = values.mean()
    of = mean * (1 - mean) / stats.sem(values) ** 2
    alpha = 2 * stats.norm.sf(stats.t.isf((1 - confidence) / 2, n - 1))
    found = interval(np.append(values, np.nan), share=True, confidence=confidence)
    expected = proportion_confint(mean * of, of, alpha=alpha, method="wilson")
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("n", "fits"), [(10, 3), (20, 3), (20, 2), (10, 5)])
def test_intervals_of_shares_near_1_cover_the_truth_as_often_as_they_say(n: int, fits: int) -> None:
    """The wider one of Student's and Hall's covers 97 to 99 % of these."""
    rng = np.random.default_rng(6)
    covered = 0
    for _ in range(2000):
        found = interval(rng.binomial(fits, rng.beta(6, 2, n)) / fits, share=True)
        covered += found.low <= 0.75 <= found.high
    assert 0.93 <= covered / 2000 <= 0.97


def test_few_faces_that_differ_have_no_interval() -> None:
    def found(differing: int, n: int) -> tuple[float, float]:
        first = np.array([1.0] * differing + [0.0] * (n - differing))
        gap = paired_difference(first, np.zeros(n), share=True)
        assert (gap.mean, gap.n) == (differing / n, n)
        assert np.isnan(gap.low) == np.isnan(gap.high)
        return gap.low, gap.p

    few, enough = found(FEWEST_DIFFERING - 1, MANY - 1), found(FEWEST_DIFFERING, MANY - 1)
    assert np.isnan(few[0])
    assert few[1] == 1
    assert enough[0] > 0
    assert enough[1] < 0.05
    assert np.isfinite(found(0, MANY)[0])
    assert stats.binomtest(FEWEST_DIFFERING, FEWEST_DIFFERING).pvalue < 0.05
    assert stats.binomtest(FEWEST_DIFFERING - 1, FEWEST_DIFFERING - 1).pvalue > 0.05


@pytest.mark.parametrize("n", [10, 15, 20, 30, 50])
@pytest.mark.parametrize("odds", [(0.17, 0.17), (0.2, 0.15)])
def test_intervals_of_yes_and_no_that_are_shown_cover_the_truth_as_often_as_they_say(
    n: int, odds: tuple[float, float]
) -> None:
    """By counting. All intervals of 10 faces, of few that differ too, cover 98 to 99 %."""
    shown, covered = 0.0, 0.0
    for more, less in itertools.product(range(n + 1), repeat=2):
        if more + less <= n:
            gaps = np.array([1.0] * more + [-1.0] * less + [0.0] * (n - more - less))
            gap = paired_difference(gaps, np.zeros(n), share=True)
            counts = [more, less, n - more - less]
            chance = stats.multinomial.pmf(counts, n, [*odds, 1 - sum(odds)])
            shown += chance * (not np.isnan(gap.low))
            covered += chance * (gap.low <= odds[0] - odds[1] <= gap.high)
    assert 0.93 <= round(covered / shown, 2) <= 0.97


def test_shares_of_few_faces_over_fits_have_no_interval() -> None:
    shares = np.random.default_rng(7).binomial(5, 0.8, MANY) / 5
    spreads = [Spread(Part(1e-3, 4.0), Part(-1e-4, 100.0))]
    few = interval(shares[1:], share=True, spreads=spreads)
    gap = paired_difference(shares[1:], np.zeros(MANY - 1), share=True, spreads=spreads)
    assert np.isnan([few.low, few.high, gap.low, gap.high]).all()
    assert gap.p == 1
    enough = interval(shares, share=True, spreads=spreads)
    assert enough.high - enough.low > 2 * 2 * 1e-3**0.5
    gap = paired_difference(shares, np.zeros(MANY), share=True, spreads=spreads)
    assert gap.low > 0
    assert np.isfinite(interval(shares[1:], spreads=spreads).low)


def test_pairing_finds_a_small_constant_difference_in_a_wide_spread() -> None:
    rng = np.random.default_rng(2)
    base, noise = rng.normal(scale=10, size=100), rng.normal(scale=0.1, size=100)
    found = paired_difference(base + 0.5 + noise, base)
    low, high = student(0.5 + noise)
    near = 0.1 * stats.sem(noise)
    assert found.mean == pytest.approx(0.5 + noise.mean())
    assert (found.low, found.high) == (pytest.approx(low, abs=near), pytest.approx(high, abs=near))
    assert found.p < 1e-50


@given(st.integers(0, 2**32 - 1), st.integers(10, 60), st.floats(-1, 1))
@settings(max_examples=60, deadline=None)
def test_the_interval_at_level_1_minus_p_ends_at_no_difference(
    seed: int, n: int, shift: float
) -> None:
    gaps = np.random.default_rng(seed).exponential(size=n) - 1 + shift
    found = paired_difference(gaps, np.zeros(n))
    assert (found.p <= 0.05) == (not found.low <= 0 <= found.high)
    if 1e-9 < found.p < 0.99:
        at = paired_difference(gaps, np.zeros(n), confidence=1 - found.p)
        assert min(abs(at.low), abs(at.high)) == pytest.approx(0, abs=1e-6)


def test_the_p_value_of_symmetric_differences_is_students() -> None:
    values = 0.7 + np.array([*range(-10, 11)]) / 5
    found = paired_difference(values, np.zeros(21))
    assert found.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=1e-6)


def test_equal_differences_have_the_p_value_of_equal_signs() -> None:
    found = paired_difference(np.full(20, 0.3), np.full(20, 0.1))
    assert found.p == 2.0**-19
    assert (found.low, found.high) == pytest.approx((0.2, 0.2))
    nothing = paired_difference(np.arange(20.0), np.arange(20.0))
    assert (nothing.mean, nothing.low, nothing.high, nothing.p) == (0, 0, 0, 1.0)


def test_too_few_faces_have_a_p_value_of_1() -> None:
    few = paired_difference(np.arange(1.0, FEWEST), np.zeros(FEWEST - 1))
    assert (few.mean, few.p, few.n) == (5.0, 1.0, FEWEST - 1)
    assert np.isnan([few.low, few.high]).all()
    holes = np.array([1.0, np.nan, 3.0, 2.0])
    assert paired_difference(holes, np.array([0.0, 0.0, np.nan, 0.0])).n == 2


@given(st.integers(0, 2**32 - 1), st.integers(16, 30))
@settings(max_examples=40, deadline=None)
def test_a_difference_turned_round_has_the_same_p_and_the_mirrored_interval(
    seed: int, n: int
) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.exponential(size=n), rng.normal(size=n)
    one, other = paired_difference(first, second), paired_difference(second, first)
    assert one.p == pytest.approx(other.p, rel=1e-9)
    mirrored = (-other.mean, -other.high, -other.low)
    assert (one.mean, one.low, one.high) == pytest.approx(mirrored, rel=1e-6, abs=1e-9)
    assert one.mean == pytest.approx(first.mean() - second.mean())
    inner = interval(first - second)
    assert (one.low, one.high) == (inner.low, inner.high)


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_the_spread_of_fits_joins_the_variance_with_satterthwaites_freedom(
    confidence: float,
) -> None:
    """Of symmetric values, so that both intervals are Student's."""
    values = np.array([*range(-6, 7)], dtype=float)
    faces = values.var(ddof=1) / 13
    spreads = (
        Spread(Part(0.9, 4.0), Part(-0.2, 48.0)),
        Spread(Part(0.2, 2.0), Part(-0.3, 24.0)),
    )
    total = faces + 0.9 - 0.2 + 0.2 - 0.3
    squares = faces**2 / 12 + 0.9**2 / 4 + 0.2**2 / 48 + 0.2**2 / 2 + 0.3**2 / 24
    freedom = total**2 / squares
    half = stats.t.isf((1 - confidence) / 2, freedom) * np.sqrt(total)
    found = interval(values, confidence=confidence, spreads=spreads)
    assert (found.low, found.high) == pytest.approx((-half, half), rel=0.002)
    moved = paired_difference(values + 2, np.zeros(13), spreads=spreads)
    assert moved.p == pytest.approx(2 * stats.t.sf(2 / np.sqrt(total), freedom), rel=0.01)


@pytest.mark.parametrize(
    ("scale", "noise", "left_out"),
    [(0.01, -0.09, True), (0.01, -0.0999999, True), (3.0, -0.08, False), (3.0, -0.02, False)],
)
def test_noise_is_taken_off_where_that_makes_an_interval_narrower(
    scale: float, noise: float, left_out: bool
) -> None:
    """Where parts cancel, the sum has few degrees of freedom and Student's quantile no bound."""
    values = np.array([*range(-25, 26)]) / 15 * scale
    faces = values.var(ddof=1) / 51
    found = interval(values, spreads=[Spread(Part(0.1, 4.0), Part(noise, 200.0))])
    halves = []
    for parts in ([(faces, 50), (0.1, 4)], [(faces, 50), (0.1, 4), (noise, 200)]):
        total = sum(part for part, _ in parts)
        freedom = total**2 / sum(part**2 / own for part, own in parts)
        halves.append(stats.t.ppf(0.975, freedom) * np.sqrt(total))
    assert (halves[0] < halves[1]) == left_out
    assert (found.low, found.high) == pytest.approx((-min(halves), min(halves)))


def test_fits_that_differ_less_than_their_noise_add_nothing() -> None:
    values = np.array([*range(-6, 7)], dtype=float)
    less = (Spread(Part(0.2, 4.0), Part(-0.1, 48.0)), Spread(Part(0.1, 4.0), Part(-0.21, 48.0)))
    assert interval(values, spreads=less) == interval(values)


@pytest.mark.parametrize(("fits", "faces"), [(2, 5), (5, 12), (3, 2)])
def test_the_spread_of_fits_is_the_component_of_a_two_way_table(fits: int, faces: int) -> None:
    rng = np.random.default_rng(3)
    table = rng.normal(size=(fits, 1)) * 2 + rng.normal(size=faces) + rng.normal(size=(fits, faces))
    means, whole = table.mean(1), table.mean()
    between = faces * ((means - whole) ** 2).sum() / (fits - 1)
    cells = itertools.product(range(fits), range(faces))
    error = sum((table[s, i] - means[s] - table[:, i].mean() + whole) ** 2 for s, i in cells)
    error /= (fits - 1) * (faces - 1)
    assert between > error
    holes = np.full((fits, 1), np.nan)
    holes[0] = 99.0
    found = fit_spread(np.concatenate([table, holes], 1))
    assert found is not None
    count = fits * faces
    assert found.between == pytest.approx((between / count, fits - 1))
    assert found.noise == pytest.approx((-error / count, (fits - 1) * (faces - 1)))
    assert found.variance == pytest.approx((between - error) / count)


def test_fits_that_differ_by_noise_alone_have_no_spread_on_average() -> None:
    """The component is below 0 in half of the tables, and above in the other half."""
    rng = np.random.default_rng(4)
    found = [fit_spread(rng.normal(size=(5, 40))) for _ in range(200)]
    variances = np.array([one.variance for one in found if one is not None])
    assert 0.3 < (variances < 0).mean() < 0.8
    assert abs(variances.mean()) < 0.2 / (5 * 40)


def test_one_fit_or_one_face_has_no_known_spread() -> None:
    assert fit_spread(np.ones((1, 9))) is None
    assert fit_spread(np.ones((3, 1))) is None
    assert fit_spread(np.array([[1.0, np.nan, 2.0], [np.nan, 1.0, 2.0]])) is None
    assert fit_spread(np.ones((3, 2))) == ((0.0, 2.0), (0.0, 2.0))


def test_intervals_over_faces_and_fits_cover_the_truth_of_new_fits() -> None:
    """The spread of fits is that of faces; an interval over faces alone covers 64 %."""
    rng = np.random.default_rng(5)
    covered, alone = 0, 0
    for _ in range(1000):
        table = 0.3 * rng.normal(size=(5, 1)) + rng.normal(size=50) + rng.normal(size=(5, 50))
        spread = fit_spread(table)
        assert spread is not None
        found = interval(table.mean(0), spreads=[spread])
        covered += found.low <= 0 <= found.high
        plain = interval(table.mean(0))
        alone += plain.low <= 0 <= plain.high
    assert 0.93 <= covered / 1000 <= 0.97
    assert alone < 930


def test_intervals_over_fits_that_differ_little_cover_the_truth_of_new_fits() -> None:
    """If the spread itself had S − 1 degrees of freedom, fewer than 93 % would cover."""
    rng = np.random.default_rng(8)
    covered = 0
    for _ in range(2000):
        table = 0.2 * rng.normal(size=(5, 1)) + 0.2 * rng.normal(size=50)
        table += 1.2 * rng.normal(size=(5, 50))
        spread = fit_spread(table)
        assert spread is not None
        found = interval(table.mean(0), spreads=[spread])
        covered += found.low <= 0 <= found.high
    assert 0.93 <= covered / 2000 <= 0.97


P_VALUES = st.lists(st.floats(1e-12, 1), min_size=1, max_size=30)


@given(st.lists(st.floats(1e-12, 1), min_size=1, max_size=8))
@settings(deadline=None)
def test_adjusted_p_values_are_holms(p_values: list[float]) -> None:
    """Closed testing (Marcus, Peritz and Gabriel 1976): a hypothesis is rejected where Bonferroni's
    test rejects every set of hypotheses that holds it."""
    expected = [0.0] * len(p_values)
    for size in range(1, len(p_values) + 1):
        for together in itertools.combinations(range(len(p_values)), size):
            bonferroni = min(1.0, size * min(p_values[i] for i in together))
            for i in together:
                expected[i] = max(expected[i], bonferroni)
    assert holm(p_values) == pytest.approx(expected, rel=1e-9)


@given(P_VALUES, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_adjusted_p_values_do_not_depend_on_their_order(p_values, random) -> None:
    order = list(range(len(p_values)))
    random.shuffle(order)
    plain, shuffled = holm(p_values), holm([p_values[i] for i in order])
    assert shuffled == pytest.approx([plain[i] for i in order])


def test_no_p_value_has_no_adjusted_one() -> None:
    assert holm([]) == []
