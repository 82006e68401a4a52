"""Bounds and comparisons of a run, from its numbers by face and statistics written anew."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import telling_world as world
from statsmodels.stats.multitest import multipletests
from telling_runs import Told, assert_near
from telling_statistics import difference, interval

HIGHER = ("reach", "identity similarity", "identity accuracy", "edit–identity area")
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


def assert_same(row: dict[str, Any], faces: Any, where: Where) -> None:
    """Bounds and p; where nothing but rounding differs, any p is as good as another."""
    bounds, p = difference(faces, where[0] == "reach" or where[0].startswith("identity accuracy"))
    assert_near([row["low"], row["high"]], bounds or [None] * 2, where)
    if np.nanmax(np.abs(faces)) > 1e-4:
        assert row["p"] == pytest.approx(p, rel=1e-3, abs=1e-12), where


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
            assert_same(row, faces, where)


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
            assert_same(row, faces, where)
    assert seen > 100


def primary(row: dict[str, Any]) -> bool:
    """True leakage is known here, so the judged one is exploratory."""
    endpoints = ("reach", "identity similarity", "true leakage", "target error")
    return (
        row["metric"].split(" · ")[0] in endpoints
        and row["task"] == "all tasks"
        and row["effect"] in (0.0, world.EFFECTS[0])
        and "no-edit" not in (row["first"], row["second"])
    )


def test_holms_rule_is_over_the_primary_endpoints_of_all_editors(
    rows: list[dict[str, Any]],
) -> None:
    tested = [row for row in rows if primary(row) and row["faces"] >= 20]
    assert len(tested) >= 20
    adjusted = multipletests([row["p"] for row in tested], method="holm")[1]
    assert_near([row["holm"] for row in tested], adjusted)
    assert all(row["holm"] is None for row in rows if not primary(row))


def test_a_verdict_is_by_holm_by_what_matters_and_of_these_fits(
    rows: list[dict[str, Any]],
) -> None:
    margins = {"reach": 0.02, "identity similarity": 0.01, "true leakage": 0.02}
    seen = set()
    for row in rows:
        metric = row["metric"].split(" · ")[0]
        margin = margins.get(metric, 0.05)
        expected = "undecided"
        if not primary(row):
            expected = "exploratory"
        elif row["faces"] < 20:
            pass
        elif max(-row["low"], row["high"]) < margin:
            expected = "equivalent"
        elif row["holm"] <= 0.05 and abs(row["difference"]) >= margin:
            ahead = (row["difference"] > 0) == metric.startswith(HIGHER)
            expected = "ahead" if ahead else "behind"
        assert row["verdict"] == expected, row
        assert row["fits"] in (2, 3)
        seen.add(expected)
    assert {"ahead", "behind", "exploratory"} <= seen
