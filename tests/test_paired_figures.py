"""Paired comparisons in numbers: differences, intervals, Holm's p-values and verdicts."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from flat_results import comparison, key_of
from scipy import stats
from statsmodels.stats.multitest import multipletests

from latentedit.benchmark.results.comparison import Comparison, winner
from latentedit.benchmark.results.keys import ALL_TASKS, MetricKey
from latentedit.benchmark.results.paired import Family, comparisons, family, known
from latentedit.benchmark.results.tally import by_task, mean_known
from latentedit.benchmark.statistics_plan import ENDPOINTS, StatisticsPlan
from latentedit.interfaces.generator import Subject

PLAN = StatisticsPlan()
EVERYTHING = Family(frozenset(ENDPOINTS), 0.8)
NAN = float("nan")
N = 40


def noise(seed: int, n: int = N) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n)


def compared(
    first: Any,
    second: Any,
    metric: str = "identity similarity · eye",
    plan: StatisticsPlan = PLAN,
    seeds: tuple[list[Any], list[Any]] | None = None,
    tasks: list[str] | None = None,
    of: Family = EVERYTHING,
) -> dict[str, Comparison]:
    """By task the row of editors a and b with these (T, N) scores."""
    tables = {
        (name, key_of(metric), 0.8): np.atleast_2d(np.asarray(values, dtype=float))
        for name, values in (("a", first), ("b", second))
    }
    by_seed = seeds and {
        (name, key_of(metric), 0.8): [np.atleast_2d(np.asarray(v, dtype=float)) for v in values]
        for name, values in zip("ab", seeds, strict=True)
    }
    rows = comparisons(tables, [("a", "b")], tasks or ["age"], plan, of, by_seed)
    return {row.task: row for row in rows}


def test_a_row_has_the_mean_of_first_less_second_over_the_faces_that_both_have() -> None:
    first, second = noise(1), noise(2)
    first[3], second[5] = NAN, NAN
    row = compared(first, second)["age"]
    both = np.delete(first - second, [3, 5])
    assert row.difference == pytest.approx(both.mean())
    assert row.faces == N - 2
    assert (row.first, row.second, row.effect) == ("a", "b", 0.8)


def test_the_interval_has_the_confidence_of_the_plan() -> None:
    """At least as wide as Student's, and close to it where values are normal."""
    gap = noise(3)
    for confidence in (0.9, 0.99):
        plan = StatisticsPlan(confidence=confidence)
        row = compared(gap, np.zeros(N), plan=plan)["age"]
        low, high = stats.t.interval(confidence, N - 1, gap.mean(), stats.sem(gap))
        assert row.low == pytest.approx(low, abs=0.1)
        assert row.high == pytest.approx(high, abs=0.1)
        assert row.low <= low + 1e-9 < high - 1e-9 <= row.high


@pytest.mark.parametrize(("first", "second", "same"), [(30, 20, 10), (4, 0, 36), (0, 0, 40)])
def test_shares_of_one_task_have_the_adjusted_interval_of_paired_proportions(
    first: int, second: int, same: int
) -> None:
    """Bonett and Price (2012): one face more on which each editor succeeds alone."""
    a = np.array([1.0] * first + [0.0] * second + [1.0] * same)
    b = np.array([0.0] * first + [1.0] * second + [1.0] * same)
    row = compared(a, b, "reach")["age"]
    n = len(a) + 2
    more, less = (first + 1) / n, (second + 1) / n
    half = stats.norm.isf(0.025) * np.sqrt((more + less - (more - less) ** 2) / n)
    assert (row.low, row.high) == pytest.approx((more - less - half, more - less + half))
    assert row.difference == pytest.approx((first - second) / len(a))
    assert (row.p <= 0.05) == (not row.low <= 0 <= row.high)


def test_all_tasks_average_the_cases_of_a_face_first() -> None:
    """Face 0 has one case, the others two: the mean over faces is not the mean over cases."""
    table = np.array([[9.0, 1, 2, 3, 4, 5], [NAN, 3, 4, 5, 6, 7]])
    rows = compared(table, np.zeros((2, 6)), tasks=["age", "yaw"])
    assert rows["age"].difference == pytest.approx(24 / 6)
    assert rows["yaw"].difference == pytest.approx(25 / 5)
    assert rows[ALL_TASKS].difference == pytest.approx((9 + 2 + 3 + 4 + 5 + 6) / 6)
    assert [rows[task].faces for task in ("age", "yaw", ALL_TASKS)] == [6, 5, 6]
    assert list(dict(by_task(table, ["age", "yaw"]))) == ["age", "yaw", ALL_TASKS]


def test_only_cases_that_both_editors_have_count_in_all_tasks() -> None:
    first = np.array([[1.0] * 6, [NAN] * 3 + [5.0] * 3])
    second = np.array([[0.0] * 6, [3.0] * 6])
    row = compared(first, second, tasks=["age", "yaw"])[ALL_TASKS]
    assert row.difference == pytest.approx((3 * 1 + 3 * (1 + 2) / 2) / 6)


def test_means_of_what_is_known_are_over_the_first_axis() -> None:
    found = mean_known(np.array([[1.0, NAN, NAN], [3.0, 4.0, NAN]]))
    assert found[:2].tolist() == [2.0, 4.0]
    assert np.isnan(found[2])
    assert known(NAN) is None
    assert known(0.0) == 0.0


def test_a_task_without_a_common_face_has_no_row() -> None:
    first = np.array([[1.0] * 6, [NAN] * 6])
    assert list(compared(first, np.zeros((2, 6)), tasks=["age", "yaw"])) == ["age", ALL_TASKS]


@pytest.mark.parametrize(("faces", "bounded"), [(9, False), (10, True)])
def test_below_ten_faces_there_are_no_bounds(faces: int, bounded: bool) -> None:
    row = compared(np.linspace(1, 1.1, faces), np.zeros(faces))[ALL_TASKS]
    assert (row.low is not None, row.high is not None) == (bounded, bounded)


@pytest.mark.parametrize(("faces", "verdict"), [(19, "undecided"), (20, "ahead")])
def test_below_twenty_faces_there_is_no_verdict(faces: int, verdict: str) -> None:
    row = compared(1 + 0.1 * noise(1, faces), np.zeros(faces))[ALL_TASKS]
    assert row.low > 0.5
    assert (row.verdict, row.leader) == (verdict, "a" if verdict == "ahead" else None)


@pytest.mark.parametrize(
    ("metric", "verdict"),
    [
        ("identity similarity · eye", "ahead"),
        ("reach", "ahead"),
        ("attribute leakage", "behind"),
        ("target error", "behind"),
    ],
)
def test_the_metric_says_whether_more_is_better(metric: str, verdict: str) -> None:
    high, low = 1 + 0.1 * noise(4), 0.1 * noise(5)
    opposite = {"ahead": "behind", "behind": "ahead"}[verdict]
    assert compared(high, low, metric)[ALL_TASKS].verdict == verdict
    assert compared(low, high, metric)[ALL_TASKS].verdict == opposite


@pytest.mark.parametrize(
    ("shift", "spread", "verdict"),
    [
        (0.0, 0.001, "equivalent"),
        (0.005, 0.001, "equivalent"),  # a difference for sure, and not one that matters
        (1e-7, 1e-8, "equivalent"),  # rounding
        (0.0, 1.0, "undecided"),
        (0.009, 0.01, "undecided"),  # for sure, and perhaps one that matters
        (0.011, 0.01, "ahead"),
        (-0.011, 0.01, "behind"),
    ],
)
def test_a_difference_matters_from_the_margin_of_its_metric_on(
    shift: float, spread: float, verdict: str
) -> None:
    """A margin of 0.01 in identity similarity."""
    gaps = noise(7)
    gaps = shift + spread * (gaps - gaps.mean()) / gaps.std()
    assert compared(gaps, np.zeros(N))[ALL_TASKS].verdict == verdict


def test_verdicts_are_on_primary_endpoints_over_all_tasks_between_editors() -> None:
    good, bad = 1 + 0.1 * noise(4), 0.1 * noise(5)
    keys = [MetricKey("reach"), MetricKey("true identity drift"), MetricKey("identity similarity")]
    scores = {
        (name, key, effect): values[None]
        for name, values in (("a", good), ("b", bad), ("control", bad - 1))
        for key in keys
        for effect in (0.8, 0.5)
    }
    of = Family(frozenset({"reach"}), 0.8, frozenset({"control"}))
    rows = comparisons(scores, combinations(("a", "b", "control"), 2), ["age"], PLAN, of)
    decided = [row for row in rows if row.verdict != "exploratory"]
    assert len(rows) == 3 * 3 * 2 * 2
    assert [(r.pair, r.metric.name, r.effect, r.task) for r in decided] == [
        (("a", "b"), "reach", 0.8, ALL_TASKS)
    ]
    assert all(row.holm is None for row in rows if row not in decided)


@pytest.mark.parametrize(
    ("endpoints", "truth", "expected"),
    [
        (None, True, {"reach", "identity similarity", "true leakage", "target error"}),
        (None, False, {"reach", "identity similarity", "attribute leakage", "target error"}),
        (["identity accuracy"], True, {"identity accuracy"}),
    ],
)
def test_leakage_is_primary_in_truth_where_it_is_known(
    endpoints: list[str] | None, truth: bool, expected: set[str]
) -> None:
    names = ["reach", "attribute leakage", *(["true leakage"] if truth else [])]
    scores = {("a", MetricKey(name), 0.8): np.zeros((1, 1)) for name in names}
    found = family(StatisticsPlan(endpoints=endpoints), scores, 0.8, ["c"])
    assert found == Family(frozenset(expected), 0.8, frozenset("c"))


def test_holms_rule_is_over_all_pairs_and_decides_with_the_rate_of_the_plan() -> None:
    """Twenty pairs without a difference beside one with p of about 0.01."""
    gaps = [noise(10 + i) for i in range(20)]
    gaps = [gap - gap.mean() + 0.02 for gap in gaps]
    real = noise(50)
    real = (real - real.mean()) / real.std(ddof=1) + 2.5 / N**0.5
    error = MetricKey("target error")
    scores = {("z", error, 0.0): np.zeros((1, N)), ("real", error, 0.0): real[None]}
    scores |= {(f"e{i}", error, 0.0): gap[None] for i, gap in enumerate(gaps)}
    pairs = [("real", "z"), *((f"e{i}", "z") for i in range(20))]

    def found(rate: float, pairs: list[tuple[str, str]]) -> list[Comparison]:
        plan = StatisticsPlan(error_rate=rate)
        rows = comparisons(scores, pairs, ["t"], plan, EVERYTHING)
        return [row for row in rows if row.task == ALL_TASKS]

    rows = found(0.05, pairs)
    wanted = multipletests([row.p for row in rows], method="holm")[1]
    assert [row.holm for row in rows] == pytest.approx(list(wanted))
    assert 0.001 < rows[0].p < 0.03
    assert rows[0].low > 0
    assert rows[0].verdict == "undecided"
    assert found(0.05, pairs[:1])[0].verdict == "behind"
    assert rows[0].holm is not None
    assert found(rows[0].holm + 0.01, pairs)[0].verdict == "behind"
    assert found(rows[0].holm - 0.01, pairs)[0].verdict == "undecided"


def test_rows_of_few_faces_are_not_in_the_family() -> None:
    few = np.where(np.arange(N) < 19, 1 + 0.1 * noise(3), NAN)
    many = 1 + 0.1 * noise(4)
    scores = {
        (name, MetricKey("reach"), 0.8): values[None]
        for name, values in (("a", many), ("b", np.zeros(N)), ("c", few))
    }
    rows = comparisons(scores, [("a", "b"), ("c", "b")], ["t"], PLAN, EVERYTHING)
    decided = {row.pair: row for row in rows if row.task == ALL_TASKS}
    assert decided["a", "b"].holm == pytest.approx(decided["a", "b"].p)
    assert (decided["c", "b"].holm, decided["c", "b"].verdict) == (1.0, "undecided")


def refitted(count: int, spread: float, base: float, seed: int) -> list[np.ndarray]:
    """Fits that are `spread` apart, of faces with noise."""
    steps = np.linspace(-1, 1, count) if count > 1 else np.zeros(1)
    return [base + spread * step + 0.01 * noise(seed + i) for i, step in enumerate(steps)]


@pytest.mark.parametrize(
    ("fits", "verdict"),
    [((1, 1), "ahead"), ((4, 5), "ahead"), ((5, 4), "ahead"), ((5, 5), "better")],
)
def test_better_takes_five_fits_of_both_editors(fits: tuple[int, int], verdict: str) -> None:
    first, second = refitted(fits[0], 0.1, 1.0, 1), refitted(fits[1], 0.1, 0.0, 50)
    row = compared(np.mean(first, 0), np.mean(second, 0), seeds=(first, second))[ALL_TASKS]
    assert (row.fits, row.verdict) == (min(fits), verdict)
    assert row.leader == "a"
    assert row.better == ("a" if verdict == "better" else None)
    turned = row.turned()
    assert turned.verdict == {"ahead": "behind", "better": "worse"}[verdict]
    assert (turned.leader, turned.better) == (row.leader, row.better)


def test_from_five_fits_on_the_interval_is_over_faces_and_fits() -> None:
    """Hardly any noise of faces: then it is Welch's interval of the means of the fits."""
    first, second = refitted(5, 0.5, 1.0, 1), refitted(5, 1.5, 0.0, 50)
    row = compared(np.mean(first, 0), np.mean(second, 0), seeds=(first, second))[ALL_TASKS]
    test = stats.ttest_ind(
        [fit.mean() for fit in first], [fit.mean() for fit in second], equal_var=False
    )
    bounds = test.confidence_interval(0.95)
    assert (row.low, row.high) == pytest.approx((bounds.low, bounds.high), rel=0.01)
    assert row.verdict == "undecided"
    four = compared(np.mean(first, 0), np.mean(second, 0), seeds=(first[:4], second))[ALL_TASKS]
    assert four.low > 0.9
    assert four.verdict == "ahead"


def test_fits_without_a_common_face_count_as_one() -> None:
    fits = [np.where(np.arange(N) % 5 == i, NAN, 1 + 0.01 * noise(i)) for i in range(5)]
    others = refitted(5, 0.0, 0.0, 50)
    mean = mean_known(np.array(fits))
    assert compared(mean, np.mean(others, 0), seeds=(fits, others))[ALL_TASKS].fits == 1


def test_a_fit_without_any_number_is_no_fit() -> None:
    fits = [*refitted(4, 0.1, 1.0, 1), np.full(N, NAN)]
    others = refitted(5, 0.1, 0.0, 50)
    row = compared(mean_known(np.array(fits)), np.mean(others, 0), seeds=(fits, others))[ALL_TASKS]
    assert (row.fits, row.verdict) == (4, "ahead")


def test_metrics_and_effects_are_compared_with_their_own_kind_only() -> None:
    scores = {
        ("a", MetricKey("reach"), 0.5): np.full((1, 6), 1.0),
        ("a", MetricKey("reach"), 0.8): np.full((1, 6), 0.5),
        ("a", MetricKey("target error"), 0.0): np.full((1, 6), 4.0),
        ("b", MetricKey("reach"), 0.8): np.full((1, 6), 0.2),
        ("b", MetricKey("reach"), 0.5): np.full((1, 6), 0.1),
        ("c", MetricKey("reach"), 0.8): np.full((1, 6), 0.9),
    }
    rows = comparisons(scores, [("a", "b"), ("a", "c")], ["age"], PLAN, EVERYTHING)
    found = {
        (row.second, str(row.metric), row.effect): row.difference
        for row in rows
        if row.task == "age"
    }
    assert found == {
        ("b", "reach", 0.5): pytest.approx(0.9),
        ("b", "reach", 0.8): pytest.approx(0.3),
        ("c", "reach", 0.8): pytest.approx(-0.4),
    }


def test_a_turned_comparison_says_the_same_of_the_second_editor() -> None:
    row = comparison(difference=0.25, low=0.125, high=0.5, holm=0.01, verdict="ahead")
    assert row.turned() == comparison(
        **{"first": "b", "second": "a", "difference": -0.25, "low": -0.5, "high": -0.125},
        **{"holm": 0.01, "verdict": "behind"},
    )
    assert row.turned().turned() == row
    few = comparison(difference=0.25).turned()
    assert (few.low, few.high, few.verdict) == (None, None, "exploratory")


def test_words_give_the_difference_and_its_bounds_or_the_faces() -> None:
    row = comparison(difference=-0.2, low=-0.3, high=0.1)
    assert row.in_words() == "-0.200 (-0.300 to +0.100)"
    assert comparison(difference=-0.2, faces=3).in_words() == "-0.200 (of 3 images)"
    one = comparison(difference=-0.2, faces=1)
    assert one.in_words(Subject("car", "cars")) == "-0.200 (of 1 car)"


def verdict_of(leader: str | None, first: str) -> str:
    return "undecided" if leader is None else "better" if leader == first else "behind"


@pytest.mark.parametrize(
    ("better", "names", "wins"),
    [
        (("a", "a", "b"), "abc", "a"),
        (("b", "a", "b"), "abc", "b"),
        (("b", "c", "c"), "abc", "c"),
        (("a", None, "b"), "abc", None),
        (("a", "c", "b"), "abc", None),
        ((None, None, None), "abc", None),
        (("a", None, None), "ab", "a"),
        (("a", "c", "c"), "ac", "c"),
        (("a", "a", "b"), "a", None),
    ],
)
def test_the_winner_is_better_than_every_other_of_those_asked_for(
    better: tuple[str | None, ...], names: str, wins: str | None
) -> None:
    rows = [
        comparison(first=first, second=second, verdict=verdict_of(b, first))
        for (first, second), b in zip(("ab", "ac", "bc"), better, strict=True)
    ]
    assert winner(rows, names) == wins


def test_who_has_not_met_every_other_has_not_won() -> None:
    assert winner([comparison(first="a", second="b", verdict="better")], "abc") is None


def test_rows_keep_the_order_of_pairs_and_tasks() -> None:
    scores = {(name, MetricKey("reach"), 0.8): noise(i)[None] for i, name in enumerate("abc")}
    rows = comparisons(scores, pairwise("abc"), ["age"], PLAN, EVERYTHING)
    found = [(row.first, row.second, row.task) for row in rows]
    assert found == [
        ("a", "b", "age"),
        ("a", "b", ALL_TASKS),
        ("b", "c", "age"),
        ("b", "c", ALL_TASKS),
    ]
