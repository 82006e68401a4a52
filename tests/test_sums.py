"""Sums over images in parts are those over all of them."""

from __future__ import annotations

from dataclasses import astuple
from functools import reduce
from operator import add

import numpy as np
import pytest

from latentedit.benchmark.results.curves import Band
from latentedit.measures.realism import Gaussian, frechet_distance, frechet_of
from latentedit.measures.statistics import (
    difference_of,
    fit_spread,
    interval,
    interval_of,
    paired_difference,
    spread_of,
)
from latentedit.measures.sums import FaceSums, FitSums

RNG = np.random.default_rng(0)
PARTS = ((0, 30), (30, 30), (30, 31), (31, 200))
"""Of 200 images: one part has none, one has one."""


@pytest.mark.parametrize(
    "values",
    [
        RNG.exponential(size=200) + 5,
        (RNG.random(200) > 0.9).astype(float),
        np.where(RNG.random(200) > 0.3, RNG.normal(size=200), np.nan),
        np.full(200, np.nan),
    ],
    ids=["skewed", "shares", "holes", "nothing"],
)
@pytest.mark.parametrize("share", [False, True])
def test_intervals_and_tests_of_parts_are_those_of_the_whole(
    values: np.ndarray, share: bool
) -> None:
    merged = reduce(add, (FaceSums.of(values[a:b]) for a, b in PARTS))
    assert astuple(merged) == pytest.approx(astuple(FaceSums.of(values)), rel=1e-9)
    found, wanted = interval_of(merged, share=share), interval(values, share=share)
    assert astuple(found) == pytest.approx(astuple(wanted), rel=1e-9, nan_ok=True)
    gap = difference_of(merged, share=share)
    whole = paired_difference(values, np.zeros(200), share=share)
    assert astuple(gap) == pytest.approx(astuple(whole), rel=1e-9, nan_ok=True)


def test_signs_in_one_part_alone_are_no_shares() -> None:
    both = FaceSums.of(np.array([1.0, 0.0])) + FaceSums.of(np.array([-1.0, 0.0]))
    assert (both.shares, both.signs) == (False, True)
    assert not (both + FaceSums.of(np.array([0.5]))).signs


def test_the_spread_of_fits_over_parts_is_that_of_the_whole() -> None:
    fits = RNG.normal(size=(5, 200)) + RNG.normal(size=(5, 1)) + RNG.normal(size=200)
    fits[2, ::7] = np.nan
    merged = reduce(add, (FitSums.of(fits[:, a:b]) for a, b in PARTS))
    found, wanted = spread_of(merged), fit_spread(fits)
    assert found is not None
    assert wanted is not None
    assert found.between == pytest.approx(wanted.between, rel=1e-9)
    assert found.noise == pytest.approx(wanted.noise, rel=1e-9)
    assert spread_of(merged + FitSums.of(fits[:3])) is None


def test_the_distance_between_gaussians_of_parts_is_that_of_the_whole() -> None:
    x, y = RNG.normal(size=(200, 3)), RNG.normal(size=(200, 3)) * [1, 2, 3] + 1
    first, second = (reduce(add, (Gaussian.of(of[a:b]) for a, b in PARTS)) for of in (x, y))
    assert frechet_of(first, second) == pytest.approx(frechet_distance(x, y), rel=1e-9)


def test_the_bands_of_parts_make_the_band_of_the_whole() -> None:
    values = np.where(RNG.random((5, 200)) > 0.3, RNG.normal(size=(5, 200)) + 3, np.nan)
    values[0] = np.nan
    parts = reduce(add, (Band.of(values[:, slice(*part)]) for part in PARTS))
    for found in (parts, Band.of(values)):
        known = [row[~np.isnan(row)] for row in values]
        assert found.images == 200
        assert list(found.n) == [len(row) for row in known]
        assert np.isnan(found.mean[0])
        assert list(found.mean[1:]) == pytest.approx([row.mean() for row in known[1:]])
        assert list(found.square) == pytest.approx(
            [row.var() * len(row) if len(row) else 0 for row in known]
        )
