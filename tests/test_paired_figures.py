"""Paired comparisons in numbers: differences, both intervals, q, and who is called better."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from flat_results import comparison, key_of
from scipy import stats

from latentedit.benchmark.results.comparison import Comparison, winner
from latentedit.benchmark.results.keys import MetricKey
from latentedit.benchmark.results.paired import (
    ALL_TASKS,
    by_task,
    comparisons,
    known,
    mean_known,
)
from latentedit.benchmark.suite import StatisticsPlan

PLAN = StatisticsPlan(resamples=500)
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
    rows = comparisons(tables, [("a", "b")], tasks or ["age"], plan, by_seed)
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
        plan = StatisticsPlan(resamples=2000, confidence=confidence)
        row = compared(gap, np.zeros(N), plan=plan)["age"]
        low, high = stats.t.interval(confidence, N - 1, gap.mean(), stats.sem(gap))
        assert row.low == pytest.approx(low, abs=0.1)
        assert row.high == pytest.approx(high, abs=0.1)
        assert row.low <= low + 1e-9 < high - 1e-9 <= row.high


def test_p_cannot_be_below_one_in_the_number_of_resamples() -> None:
    """No sign flip of a constant difference reaches it, but the identity's own: p = 1 / 501."""
    row = compared(np.ones(N), np.zeros(N))["age"]
    assert row.p == pytest.approx(1 / 501)


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


@pytest.mark.parametrize(("faces", "bounded"), [(4, False), (5, True)])
def test_below_five_faces_there_are_no_bounds_and_nobody_is_better(
    faces: int, bounded: bool
) -> None:
    row = compared(
        np.linspace(1, 1.1, faces),
        np.zeros(faces),
        plan=StatisticsPlan(resamples=500, false_discovery_rate=0.5),
    )["age"]
    assert (row.low is not None, row.high is not None) == (bounded, bounded)
    assert row.better == ("a" if bounded else None)
    assert (row.q == 1.0) == (not bounded)


@pytest.mark.parametrize(
    ("metric", "better"),
    [
        ("identity similarity · eye", "a"),
        ("reach", "a"),
        ("edit–identity area · eye", "a"),
        ("attribute leakage", "b"),
        ("target error", "b"),
        ("drift · 2 edits", "b"),
        ("drift in identity · 1 edit · eye", "b"),
        ("Mahalanobis distance", None),
        ("log-likelihood", None),
    ],
)
def test_the_metric_says_whether_more_is_better(metric: str, better: str | None) -> None:
    high, low = 1 + 0.1 * noise(4), 0.1 * noise(5)
    assert compared(high, low, metric)["age"].better == better
    other = {"a": "b", "b": "a", None: None}[better]
    assert compared(low, high, metric)["age"].better == other


def test_an_interval_over_faces_that_holds_zero_makes_nobody_better() -> None:
    row = compared(
        noise(6) + 0.05, np.zeros(N), plan=StatisticsPlan(resamples=500, false_discovery_rate=0.99)
    )["age"]
    assert row.low < 0 < row.high
    assert row.q < 0.99
    assert row.better is None


def test_q_is_controlled_over_all_rows_and_decides_with_the_rate_of_the_plan() -> None:
    """Twenty pairs without a difference beside one with p of about 0.01."""
    gaps = [noise(10 + i) for i in range(20)]
    gaps = [gap - gap.mean() + 0.02 for gap in gaps]
    real = noise(50)
    real = (real - real.mean()) / real.std(ddof=1) + 2.5 / N**0.5
    reach = MetricKey("reach")
    scores = {("z", reach, 0.8): np.zeros((1, N)), ("real", reach, 0.8): real[None]}
    scores |= {(f"e{i}", reach, 0.8): gap[None] for i, gap in enumerate(gaps)}
    pairs = [("real", "z"), *((f"e{i}", "z") for i in range(20))]

    def found(rate: float, pairs: list[tuple[str, str]]) -> list[Comparison]:
        plan = StatisticsPlan(resamples=2000, false_discovery_rate=rate)
        return [row for row in comparisons(scores, pairs, ["t"], plan) if row.task == "t"]

    rows = found(0.05, pairs)
    # one task: its rows and those of all tasks hold the same numbers, so 42 tests
    p = np.array([row.p for row in rows for _ in range(2)])
    order = np.argsort(p)
    q = np.minimum.accumulate((p[order] * 42 / np.arange(1, 43))[::-1])[::-1]
    wanted = dict(zip(order.tolist(), np.minimum(q, 1.0), strict=True))
    for i, row in enumerate(rows):
        assert row.q == pytest.approx(wanted[2 * i], rel=1e-9)
    assert 0.001 < rows[0].p < 0.03
    assert rows[0].q > 0.1
    assert rows[0].low > 0
    assert rows[0].better is None
    assert found(0.05, pairs[:1])[0].better == "real"
    assert found(rows[0].q + 0.01, pairs)[0].better == "real"
    assert found(rows[0].q - 0.01, pairs)[0].better is None


def welch(first: Any, second: Any, confidence: float) -> tuple[float, float]:
    test = stats.ttest_ind(first, second, equal_var=False)
    found = test.confidence_interval(confidence)
    return float(found.low), float(found.high)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_interval_over_seeds_is_welchs_of_the_means_of_each_fit(confidence: float) -> None:
    plan = StatisticsPlan(resamples=500, confidence=confidence)
    first = [1.0 + noise(20 + i) * 0.1 + 0.05 * i for i in range(3)]
    second = [0.5 + noise(30 + i) * 0.1 + 0.2 * i for i in range(2)]
    row = compared(np.mean(first, 0), np.mean(second, 0), plan=plan, seeds=(first, second))["age"]
    low, high = welch([x.mean() for x in first], [x.mean() for x in second], confidence)
    assert (row.seed_low, row.seed_high) == pytest.approx((low, high))
    assert row.seeds == 2


def test_nobody_is_better_where_another_fit_may_turn_it_round() -> None:
    """Both intervals over faces leave zero out; the fits of b differ by twice the gap."""
    first = [np.full(N, 1.0) + 0.01 * noise(1), np.full(N, 1.1) + 0.01 * noise(2)]
    wide = [np.full(N, 0.0) + 0.01 * noise(3), np.full(N, 1.0) + 0.01 * noise(4)]
    narrow = [np.full(N, 0.49) + 0.01 * noise(3), np.full(N, 0.51) + 0.01 * noise(4)]
    row = compared(np.mean(first, 0), np.mean(wide, 0), seeds=(first, wide))["age"]
    assert row.low > 0.5
    assert row.seed_low < 0 < row.seed_high
    assert row.better is None
    sure = compared(np.mean(first, 0), np.mean(narrow, 0), seeds=(first, narrow))["age"]
    assert sure.seed_low > 0
    assert sure.better == "a"


@pytest.mark.parametrize("fits", [(1, 1), (1, 3), (3, 1), (0, 0)])
def test_one_fit_on_a_side_has_no_interval_over_seeds_and_hinders_nobody(
    fits: tuple[int, int],
) -> None:
    values = np.linspace(1, 1.2, N)
    seeds = ([values] * fits[0], [values - 1] * fits[1])
    row = compared(values, values - 1, seeds=seeds)["age"]
    assert (row.seeds, row.seed_low, row.seed_high) == (min(fits), None, None)
    assert row.better == "a"


def test_seeds_are_compared_on_the_faces_that_every_fit_has() -> None:
    """Face 0, far away, is missing in one fit of b: it may move no mean."""
    first = [np.array([100.0, 1, 2, 3, 4, 5]), np.array([100.0, 2, 3, 4, 5, 7])]
    second = [np.array([50.0, 0, 0, 0, 0, 0]), np.array([NAN, 1, 1, 1, 1, 2])]
    row = compared(np.mean(first, 0), mean_known(np.array(second)), seeds=(first, second))["age"]
    low, high = welch([3.0, 4.2], [0.0, 1.2], 0.95)
    assert (row.seed_low, row.seed_high) == pytest.approx((low, high))


def test_a_fit_without_any_number_is_no_fit() -> None:
    fits = [np.linspace(1, 2, N), np.full(N, NAN), np.linspace(1.1, 2.2, N)]
    others = [np.linspace(0, 1, N), np.linspace(0.1, 1.2, N)]
    row = compared(mean_known(np.array(fits)), np.mean(others, 0), seeds=(fits, others))["age"]
    low, high = welch([1.5, 1.65], [0.5, 0.65], 0.95)
    assert row.seeds == 2
    assert (row.seed_low, row.seed_high) == pytest.approx((low, high))


def test_each_task_has_its_own_interval_over_seeds_and_all_tasks_that_of_face_means() -> None:
    first = [np.array([[1.0] * 6, [3.0] * 6]), np.array([[1.2] * 6, [3.6] * 6])]
    second = [np.zeros((2, 6)), np.array([[0.2] * 6, [0.0] * 6])]
    rows = compared(
        np.mean(first, 0), np.mean(second, 0), seeds=(first, second), tasks=["age", "yaw"]
    )
    for task, mine, theirs in (
        ("age", [1, 1.2], [0, 0.2]),
        ("yaw", [3, 3.6], [0, 0]),
        (ALL_TASKS, [2, 2.4], [0, 0.1]),
    ):
        bounds = (rows[task].seed_low, rows[task].seed_high)
        assert bounds == pytest.approx(welch(mine, theirs, 0.95)), task


def test_metrics_and_effects_are_compared_with_their_own_kind_only() -> None:
    scores = {
        ("a", MetricKey("reach"), 0.5): np.full((1, 6), 1.0),
        ("a", MetricKey("reach"), 0.8): np.full((1, 6), 0.5),
        ("a", MetricKey("target error"), 0.0): np.full((1, 6), 4.0),
        ("b", MetricKey("reach"), 0.8): np.full((1, 6), 0.2),
        ("b", MetricKey("reach"), 0.5): np.full((1, 6), 0.1),
        ("c", MetricKey("reach"), 0.8): np.full((1, 6), 0.9),
    }
    rows = comparisons(scores, [("a", "b"), ("a", "c")], ["age"], PLAN)
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
    row = comparison(
        difference=0.25, low=0.125, high=0.5, seed_low=-0.1, seed_high=0.6, q=0.01, better="a"
    )
    assert row.turned() == comparison(
        first="b",
        second="a",
        difference=-0.25,
        low=-0.5,
        high=-0.125,
        seed_low=-0.6,
        seed_high=0.1,
        q=0.01,
        better="a",
    )
    assert row.turned().turned() == row
    few = comparison(difference=0.25).turned()
    assert (few.low, few.high, few.seed_low, few.seed_high) == (None, None, None, None)


def test_words_give_the_difference_and_its_bounds_or_the_faces() -> None:
    row = comparison(difference=-0.2, low=-0.3, high=0.1)
    assert row.in_words() == "-0.200 (-0.300 to +0.100)"
    assert comparison(difference=-0.2, faces=3).in_words() == "-0.200 (of 3 faces)"


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
        comparison(first=first, second=second, better=b)
        for (first, second), b in zip(("ab", "ac", "bc"), better, strict=True)
    ]
    assert winner(rows, names) == wins


def test_who_has_not_met_every_other_has_not_won() -> None:
    assert winner([comparison(first="a", second="b", better="a")], "abc") is None


def test_rows_keep_the_order_of_pairs_and_tasks() -> None:
    scores = {(name, MetricKey("reach"), 0.8): noise(i)[None] for i, name in enumerate("abc")}
    rows = comparisons(scores, pairwise("abc"), ["age"], PLAN)
    found = [(row.first, row.second, row.task) for row in rows]
    assert found == [
        ("a", "b", "age"),
        ("a", "b", ALL_TASKS),
        ("b", "c", "age"),
        ("b", "c", ALL_TASKS),
    ]
