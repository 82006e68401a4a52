"""Ranks, tests and critical differences equal other implementations and published values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from latentedit.measures.ranking import block_ranks, critical_difference, friedman, indistinct

Q_05 = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}
Q_10 = {2: 1.645, 3: 2.052, 4: 2.291, 5: 2.459, 6: 2.589, 7: 2.693, 8: 2.780, 9: 2.855, 10: 2.920}
"""Critical values of Nemenyi's test, table 5a of Demšar (2006)."""


@pytest.mark.parametrize(("table", "alpha"), [(Q_05, 0.05), (Q_10, 0.1)])
def test_critical_differences_have_the_published_quantiles(
    table: dict[int, float], alpha: float
) -> None:
    for methods, quantile in table.items():
        for blocks in (2, 14, 300):
            wanted = quantile * math.sqrt(methods * (methods + 1) / (6 * blocks))
            assert critical_difference(methods, blocks, alpha) == pytest.approx(wanted, rel=3e-4)


def test_the_examples_of_the_paper_come_to_its_figures() -> None:
    """Four classifiers on 14 data sets."""
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(4, 14, 0.1) == pytest.approx(1.12, abs=0.005)


VALUES = arrays.arrays(
    np.float64,
    st.tuples(st.integers(2, 12), st.integers(3, 7)),
    elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
)


@given(VALUES)
def test_friedmans_test_is_that_of_scipy(values: np.ndarray) -> None:
    ours = friedman(block_ranks(values, higher_is_better=True))
    if (values == values[:, :1]).all():
        assert ours == (0.0, 1.0)
        return
    theirs = stats.friedmanchisquare(*values.T)
    assert ours.statistic == pytest.approx(theirs.statistic, abs=1e-9)
    assert ours.p == pytest.approx(theirs.pvalue, abs=1e-9)


@given(VALUES, st.booleans())
def test_ranks_count_those_that_are_better(values: np.ndarray, higher: bool) -> None:
    ranks = block_ranks(values, higher)
    for row, ranked in zip(values, ranks, strict=True):
        for value, rank in zip(row, ranked, strict=True):
            better = int((row > value).sum() if higher else (row < value).sum())
            assert rank == better + (int((row == value).sum()) + 1) / 2


@given(st.lists(st.floats(1, 8), min_size=2, max_size=8), st.floats(0, 7))
def test_groups_are_every_largest_run_within_the_difference(
    means: list[float], difference: float
) -> None:
    """Compared with all subsets that are contiguous in rank."""
    order = sorted(range(len(means)), key=lambda i: means[i])
    runs = [
        tuple(order[a:b])
        for a in range(len(order))
        for b in range(a + 2, len(order) + 1)
        if means[order[b - 1]] <= means[order[a]] + difference
    ]
    largest = [run for run in runs if not any(set(run) < set(other) for other in runs)]
    assert indistinct(np.array(means), difference) == largest
