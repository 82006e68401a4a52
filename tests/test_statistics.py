"""Intervals cover what they claim, and comparisons do not find what is not there."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from latentedit.statistics import discoveries, interval, paired_difference


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(300):
        found = interval(rng.exponential(1.0, 60), resamples=400, seed=trial)
        covered += found.low <= 1.0 <= found.high
    assert 0.90 <= covered / 300 <= 0.98


def test_an_editor_against_itself_is_rarely_different() -> None:
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
    assert false / 300 <= 0.08


def test_pairing_finds_a_small_constant_difference_in_a_wide_spread() -> None:
    rng = np.random.default_rng(2)
    base = rng.normal(scale=10, size=100)
    found = paired_difference(base + 0.5 + 0.1 * rng.normal(size=100), base)
    assert found.low > 0.4
    assert found.high < 0.6
    assert found.p < 0.01


def test_the_p_value_agrees_with_scipy() -> None:
    rng = np.random.default_rng(3)
    differences = rng.normal(0.2, 1, 40)
    reference = stats.permutation_test(
        (differences, np.zeros(40)),
        lambda a, b: np.mean(a - b),
        permutation_type="samples",
        n_resamples=5000,
        rng=np.random.default_rng(0),
    )
    found = paired_difference(differences, np.zeros(40), resamples=5000)
    assert found.p == pytest.approx(reference.pvalue, abs=0.03)


def test_faces_without_a_number_are_left_out_and_counted() -> None:
    values = np.array([1.0, np.nan, 3.0, 2.0])
    assert interval(values).n == 3
    assert paired_difference(values, np.array([0.0, 0.0, np.nan, 0.0])).n == 2
    assert interval(np.full(3, np.nan)).n == 0


def test_constant_values_have_a_point_interval() -> None:
    found = interval(np.ones(10))
    assert (found.mean, found.low, found.high) == (1, 1, 1)


def test_the_interval_of_a_share_stays_between_0_and_1() -> None:
    nearly_all = np.array([1.0] * 9 + [0.5])
    found = interval(nearly_all, share=True)
    assert found.high == 1.0
    assert interval(nearly_all).high > 1.0
    assert interval(1 - nearly_all, share=True).low == 0.0


def test_discoveries_control_the_false_discovery_rate() -> None:
    assert discoveries([]) == []
    assert discoveries([0.01, 0.04, 0.5]) == pytest.approx([0.03, 0.06, 0.5])
