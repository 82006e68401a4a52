"""Ranks of several methods over several blocks: Friedman's test and Nemenyi's critical difference.

J. Demšar, *Statistical Comparisons of Classifiers over Multiple Data Sets*, JMLR 7 (2006), section
3.2.2.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]


class Friedman(NamedTuple):
    """Friedman's χ² over N blocks of k methods, and its p-value."""

    statistic: float
    p: float


def block_ranks(values: Values, higher_is_better: bool) -> Values:
    """(N, k) ranks within each block of `values` (N, k): 1 is best, equal values share their mean.

    >>> block_ranks(np.array([[0.9, 0.5, 0.9]]), higher_is_better=True).tolist()
    [[1.5, 3.0, 1.5]]
    """
    ranks: Values = stats.rankdata(-values if higher_is_better else values, axis=1)
    return ranks


def friedman(ranks: Values) -> Friedman:
    """Whether the methods of `ranks` (N, k) differ at all, with the correction for equal ranks.

        χ² = 12 / (N k (k + 1)) Σ_j (Σ_i r_ij − N (k + 1) / 2)² / C
        C  = 1 − Σ_ties (t³ − t) / (N (k³ − k))

    χ² has k − 1 degrees of freedom. Where all values of every block are equal, p is 1.

    >>> test = friedman(np.array([[1.0, 2.0, 3.0]] * 4))
    >>> round(test.statistic, 3), round(test.p, 3)
    (8.0, 0.018)
    """
    n, k = ranks.shape
    counts = [np.unique(row, return_counts=True)[1] for row in ranks]
    tied = sum(float((count**3 - count).sum()) for count in counts)
    correction = 1 - tied / (n * (k**3 - k))
    if correction <= 0:
        return Friedman(0.0, 1.0)
    spread = float(((ranks.sum(0) - n * (k + 1) / 2) ** 2).sum())
    statistic = 12 / (n * k * (k + 1)) * spread / correction
    return Friedman(statistic, float(stats.chi2.sf(statistic, k - 1)))


def critical_difference(methods: int, blocks: int, error_rate: float = 0.05) -> float:
    """The smallest difference of mean ranks that Nemenyi's test tells from none.

        CD = q_α √(k (k + 1) / (6 N)),   q_α of the studentised range of k and ∞, over √2

    >>> round(critical_difference(methods=4, blocks=14), 2)
    1.25
    """
    quantile = float(stats.studentized_range.ppf(1 - error_rate, methods, np.inf)) / math.sqrt(2)
    return quantile * math.sqrt(methods * (methods + 1) / (6 * blocks))


def indistinct(means: Values, difference: float) -> list[tuple[int, ...]]:
    """The largest groups of methods whose mean ranks (k,) lie within `difference`, best first.

    A group has at least two methods. Groups may overlap, and none lies within another.

    >>> indistinct(np.array([3.0, 1.0, 1.5, 2.2]), 1.0)
    [(1, 2), (2, 3), (3, 0)]
    """
    order = np.argsort(means, kind="stable")
    groups, last = [], 0
    for start in range(len(order)):
        within = means[order] <= means[order[start]] + difference
        end = int(np.flatnonzero(within)[-1]) + 1
        if end > max(last, start + 1):
            groups.append(tuple(int(i) for i in order[start:end]))
            last = end
    return groups
