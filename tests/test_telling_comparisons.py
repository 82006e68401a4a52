"""Bounds and comparisons of a run, from its numbers by face and statistics written anew."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests
from telling_runs import Told, assert_near
from telling_statistics import interval, p_value, seed_interval

HIGHER = ("reach", "identity similarity", "identity accuracy", "edit–identity area")
NEITHER = ("log-likelihood", "Mahalanobis distance")
Where = tuple[str, float, str]


@pytest.fixture(scope="module")
def rows(telling: Told) -> list[dict[str, Any]]:
    return list(telling.results["comparisons"])


def each(telling: Told, rows: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], Any, Where]]:
    """A row, the differences of its faces, and where it stands."""
    for row in rows:
        where = (row["metric"], row["effect"], row["task"])
        first, second = (telling.faces_of(row[name], *where) for name in ("first", "second"))
        yield row, first - second, where


def assert_same_p(p: float, faces: Any, where: Where) -> None:
    """Where nothing but rounding differs, any p is as good as another."""
    if np.nanmax(np.abs(faces)) > 1e-4:
        assert p == pytest.approx(p_value(faces)), where
    else:
        assert p > 1 / 300, where


def test_figures_have_the_bounds_of_their_faces(telling: Told) -> None:
    few = 0
    for row in telling.results["measures"]:
        where = (row["editor"], row["metric"], row["effect"], row["task"])
        share = row["metric"] == "reach" or row["metric"].startswith("identity accuracy")
        bounds = interval(telling.faces_of(*where), share)
        few += bounds is None
        assert_near([row["low"], row["high"]], bounds or [None, None], where)
    assert few == 0


def test_pairs_are_compared_where_both_have_a_face_and_controls_come_last(
    telling: Told, rows: list[dict[str, Any]]
) -> None:
    keys = [(r["first"], r["second"], r["metric"], r["effect"], r["task"]) for r in rows]
    names, known = ["straight", "leaky", "seedy", "wary", "no-edit"], telling.oracle
    tables = {(m, r) for _, _, m, r in known.tables}
    wanted = {
        (a, b, metric, effect, task)
        for a, b in itertools.combinations(names, 2)
        for metric, effect in tables
        for task in [*known.tasks, "all tasks"]
        if not np.isnan(
            known.faces_of(a, metric, effect, task) - known.faces_of(b, metric, effect, task)
        ).all()
    }
    assert len(keys) == len(set(keys))
    everywhere = [key for key in wanted if key[4] == "all tasks"]
    assert set(keys) - set(everywhere) == wanted - set(everywhere)


def test_a_difference_is_paired_by_face(telling: Told, rows: list[dict[str, Any]]) -> None:
    for row, faces, where in each(telling, rows):
        if row["task"] != "all tasks":
            assert row["faces"] == (~np.isnan(faces)).sum()
            assert_near(row["difference"], np.nanmean(faces), where)
            assert_near([row["low"], row["high"]], interval(faces, False) or [None] * 2, where)
            assert_same_p(row["p"], faces, where)


def test_over_all_tasks_the_tasks_that_both_do_are_averaged_face_by_face(
    telling: Told, rows: list[dict[str, Any]]
) -> None:
    seen = 0
    for row in rows:
        if row["task"] == "all tasks":
            where = (row["metric"], row["effect"], "all tasks")
            first, second = (telling.per_face[0][row[n], *where[:2]] for n in ("first", "second"))
            gaps = first - second
            known = ~np.isnan(gaps)
            faces = np.array(
                [gaps[k, i].mean() if (k := known[:, i]).any() else np.nan for i in range(70)]
            )
            seen += 1
            assert row["faces"] == known.any(0).sum()
            assert_near(row["difference"], np.nanmean(faces), where)
            assert_near([row["low"], row["high"]], interval(faces, False) or [None] * 2, where)
            assert_same_p(row["p"], faces, where)
    assert seen > 100


@pytest.mark.filterwarnings("ignore:Precision loss")
def test_seeds_have_an_interval_of_their_own(telling: Told, rows: list[dict[str, Any]]) -> None:
    wide = 0
    for row in rows:
        where = (row["metric"], row["effect"], row["task"])
        fits = [telling.seeds_of(row[name], *where) for name in ("first", "second")]
        seeds, bounds = seed_interval(*fits)
        assert row["seeds"] == seeds, where
        assert_near([row["seed_low"], row["seed_high"]], bounds or [None] * 2, where)
        wide += bounds is not None and bounds.high - bounds.low > 0.01
    assert wide > 100
    assert {row["seeds"] for row in rows} == {2, 3}


def test_false_discoveries_are_held_over_all_rows_with_bounds(rows: list[dict[str, Any]]) -> None:
    tested = [row for row in rows if row["low"] is not None]
    q = multipletests([row["p"] for row in tested], method="fdr_bh")[1]
    assert_near([row["q"] for row in tested], q)
    assert all(row["q"] == 1 for row in rows if row["low"] is None)


def test_better_is_who_is_better_by_faces_by_seeds_and_by_q(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        apart = row["low"] is not None and not row["low"] <= 0 <= row["high"]
        steady = row["seed_low"] is None or not row["seed_low"] <= 0 <= row["seed_high"]
        metric = row["metric"].split(" · ")[0]
        ahead = (row["difference"] > 0) == metric.startswith(HIGHER)
        expected = row["first"] if ahead else row["second"]
        if not (apart and steady and row["q"] <= 0.05) or metric in NEITHER:
            expected = None
        assert row["better"] == expected, row
    blocked = [
        row
        for row in rows
        if row["seed_low"] is not None
        and row["seed_low"] <= 0 <= row["seed_high"]
        and (row["low"] > 0 or row["high"] < 0)
    ]
    assert blocked
