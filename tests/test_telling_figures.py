"""Every figure of a run is the one that the closed form of its world gives."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import numpy as np
import pytest
import telling_oracle as oracle
import telling_world as world
from flat_results import key_of, read_flat
from scipy.spatial.distance import pdist
from scipy.stats import linregress, spearmanr
from sklearn.metrics import mean_absolute_error, r2_score, roc_auc_score
from telling_oracle import ATTRIBUTES, RECOGNISERS
from telling_runs import Told, assert_near

from latentedit.benchmark.results.audit import costs
from latentedit.benchmark.results.costs import read_costs
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.records import read_results
from latentedit.benchmark.results.summary import results_of, summarise

FIGURES = [
    "reach",
    "attribute leakage",
    "true leakage",
    "true identity drift",
    "true effect",
    "distance to the counterfactual",
    "distance inside what may change",
    "distance outside what may change",
    "structural similarity to the counterfactual",
    "target error",
    "round-trip error",
    "round-trip error in pixels",
    "kernel distance",
    "log-likelihood",
    "Mahalanobis distance",
    "pose error",
    "lighting error",
    "edit consistency",
    "drift · 1 edit",
    "drift · 2 edits",
    "drift · 3 edits",
    *(
        f"{metric} · {name}"
        for name in ("narrow", "broad")
        for metric in (
            "identity similarity",
            "identity with failures",
            "identity similarity to the counterfactual",
            "identity accuracy",
            "round-trip error in identity",
            "edit–identity area",
            "drift in identity · 1 edit",
            "drift in identity · 2 edits",
            "drift in identity · 3 edits",
        )
    ),
]


def test_the_suite_tells_apart_what_it_is_there_to_tell_apart(telling: Told) -> None:
    """Were two of these equal, a mix-up of the two could not show."""
    known = telling.oracle
    fit, test = oracle.labels(known.fit), oracle.labels(known.test)
    assert np.median(fit[:, 0]) != np.median(test[:, 0])
    assert (np.abs(known.sigma / test.std(0, ddof=1) - 1) > 0.02).all()
    assert (np.abs(known.sigma / oracle.judged(known.fit).std(0, ddof=1) - 1) > 0.02).all()
    faces, change = known.asked(known.task("older"))
    middle = np.sort(fit[:, 0])[(len(fit) - 1) // 2]
    assert (change[test[faces, 0] == middle] == -12).any()
    turned, _ = known.asked(known.task("turned"))
    assert {29, 42} <= set(test[turned, 0])
    assert len(turned) < len(faces)
    for name in ("wary", "seedy"):
        shares = known.seeds_of(name, "reach", 0.8, "older").mean(1)
        assert (shares < 1).any()
        assert shares.max() > 0
    assert not np.allclose(*(known.tables["seedy", "older", "reach", 0.8][i] for i in (1, 2)))


def test_every_figure_is_there_and_no_other(telling: Told) -> None:
    found = [
        (m["editor"], m["task"], m["metric"], m["effect"]) for m in telling.results["measures"]
    ]
    tables = telling.oracle.tables
    wanted = {key for key, table in tables.items() if not np.isnan(table).all()}
    wanted |= {(name, "all tasks", metric, effect) for name, _, metric, effect in wanted}
    assert len(found) == len(set(found))
    assert set(found) == wanted
    assert {metric for _, _, metric, _ in wanted} == set(FIGURES)


@pytest.mark.parametrize("metric", FIGURES)
def test_a_figure_is_the_mean_over_faces_of_the_mean_over_seeds(telling: Told, metric: str) -> None:
    rows = telling.measures(metric)
    assert rows
    for row in rows:
        where = (row["editor"], metric, row["effect"], row["task"])
        faces = telling.oracle.faces_of(*where)
        assert row["faces"] == (~np.isnan(faces)).sum(), where
        assert_near(row["mean"], np.nanmean(faces), where)


@pytest.mark.parametrize("metric", FIGURES)
def test_a_figure_has_its_spread_over_the_seeds_that_have_one(telling: Told, metric: str) -> None:
    for row in telling.measures(metric):
        where = (row["editor"], metric, row["effect"], row["task"])
        fits = telling.oracle.seeds_of(*where)
        means = [np.nanmean(fit) for fit in fits if not np.isnan(fit).all()]
        assert row["seeds"] == len(means), where
        if len(means) < 2:
            assert row["seed_sd"] is None
        else:
            gaps = np.array(means) - np.mean(means)
            assert_near(row["seed_sd"], np.sqrt((gaps**2).sum() / (len(means) - 1)), where)


@pytest.mark.parametrize("metric", FIGURES)
def test_every_face_has_its_own_number_seed_by_seed(telling: Told, metric: str) -> None:
    for name, what, effect in telling.per_face[1]:
        if what == metric:
            for task in telling.oracle.tasks:
                where = (name, metric, effect, task)
                found = telling.seeds_of(*where)
                known = telling.oracle.tables.get((name, task, metric, effect))
                nothing = np.full((len(world.SEEDS), len(telling.oracle.test)), np.nan)
                assert_near(found, nothing if known is None else known, where)


def test_the_table_holds_the_same_rows(telling: Told) -> None:
    plain = [
        {key: "" if value is None else str(value) for key, value in row.items()}
        for row in telling.results["measures"]
    ]
    for row in plain:
        key = key_of(row["metric"])
        row |= {"metric": key.name, "recogniser": key.recogniser, "edits": str(key.edits)}
        row |= {"judge": "telling-judge", "matched by": "telling-judge"}
    assert telling.csv == plain
    assert list(telling.csv[0])[:6] == ["editor", "task", "metric", "recogniser", "edits", "effect"]


@pytest.mark.parametrize("kind", ["judged", "truth"])
def test_the_leakage_matrix_is_the_mean_change_of_every_attribute_at_the_first_effect(
    telling: Told, kind: str
) -> None:
    read = {"judged": oracle.judged, "truth": oracle.truth}[kind]
    found = {(r["editor"], r["task"]): r for r in telling.results["leakage"] if r["by"] == kind}
    for name in telling.oracle.entrants:
        for task in ("older", "specs", "turned"):
            rows = []
            for seed in world.SEEDS:
                cell = telling.oracle.cell(name, seed, task)
                at = cell.strengths(0.5)
                changes = cell.changes(cell.at(np.nan_to_num(at)), read)
                if not np.isnan(at).all():
                    rows.append([changes[k][~np.isnan(at)].mean() for k in ATTRIBUTES])
            assert ((name, task) in found) == bool(rows)
            if rows:
                row = found.pop((name, task))
                assert row["attributes"] == list(ATTRIBUTES)
                assert row["edited"] == telling.oracle.task(task)["attribute"]
                assert_near(row["change"], np.mean(rows, 0), (name, task))
    assert not found


@pytest.mark.parametrize(
    "metric", ["identity similarity · narrow", "identity similarity · broad", "attribute leakage"]
)
def test_a_curve_follows_its_own_metric_along_the_achieved_effect(
    telling: Told, metric: str
) -> None:
    curves = [c for c in telling.results["curves"] if c["metric"] == metric]
    assert len(curves) == 5 * 3
    for curve in curves:
        cells = [telling.oracle.cell(curve["editor"], s, curve["task"]) for s in world.SEEDS]
        seeds = [
            cell.leakage_along()
            if metric == "attribute leakage"
            else cell.similarities_along(metric.split(" · ")[1])
            for cell in cells
        ]
        faces = oracle.mean(seeds)
        n = (~np.isnan(faces)).sum(1)
        middle = oracle.mean(faces.T)
        squares = oracle.mean((faces.T - middle) ** 2)
        half = 1.96 * np.sqrt(squares / np.maximum(n - 1, 1))
        where = (curve["editor"], curve["task"])
        assert_near(curve["effect"], np.arange(21) / 20)
        assert_near(curve["reach"], n / faces.shape[1], where)
        assert_near(curve["mean"], middle, where)
        assert_near(curve["low"], middle - half, where)
        assert_near(curve["high"], middle + half, where)


def test_an_editor_without_its_first_task_keeps_the_curves_of_the_others(
    telling: Told, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(telling.folder, folder)
    for seed in world.SEEDS:
        shutil.rmtree(folder / "cells" / f"edit--leaky--seed{seed}--older")
    summarise(folder)
    found = read_flat(folder)["curves"]
    wanted = [
        c for c in telling.results["curves"] if (c["editor"], c["task"]) != ("leaky", "older")
    ]
    assert len(wanted) == 3 * 14
    assert found == wanted


@pytest.mark.parametrize(
    ("role", "name", "read"),
    [
        ("judge", "telling-judge", oracle.judged),
        ("labeller", "telling-labeller", oracle.labels),
    ],
)
def test_judge_and_labeller_each_have_their_own_errors(
    telling: Told, role: str, name: str, read: oracle.Reading
) -> None:
    known = telling.oracle
    values, truth = read(known.test), oracle.truth(known.test)
    entry = telling.results["estimators"][role]
    assert entry["name"] == name
    assert list(entry["attributes"]) == list(ATTRIBUTES)
    for attribute, columns in ATTRIBUTES.items():
        found, x, y = entry["attributes"][attribute], truth[:, columns], values[:, columns]
        assert_near(found["r2"], r2_score(x, y), attribute)
        assert_near(found["mae"], mean_absolute_error(x, y), attribute)
        assert_near(found["mae_sigma"], (np.abs(y - x) / known.sigma[columns]).mean(), attribute)
        slopes = [linregress(a, b).slope for a, b in zip(x.T, y.T, strict=True)]
        assert_near(found["slope"], np.mean(slopes), attribute)
        assert found["unit"] == {"age": "years", "yaw": "degrees"}.get(attribute, "")
        if attribute == "glasses":
            assert_near(found["auc"], roc_auc_score(x[:, 0] > 0.5, y[:, 0]))
        else:
            assert found["auc"] is None


def test_each_recogniser_has_its_own_agreement_threshold_and_card(telling: Told) -> None:
    people = oracle.identity(telling.oracle.test)
    cards = {"narrow": {"auc": 0.875, "true_accept_rate": 0.62}, "broad": {}}
    found = telling.results["recognisers"]
    assert [entry["name"] for entry in found] == ["narrow", "broad"]
    for entry in found:
        which, threshold = RECOGNISERS[entry["name"]]
        rank = spearmanr(pdist(people[:, which], "cosine"), pdist(people)).statistic
        assert entry["agreement"] == pytest.approx(rank, abs=1e-4)
        assert (entry["threshold"], entry["card"]) == (threshold, cards[entry["name"]])


def test_the_noise_of_a_figure_is_the_error_of_what_it_is_read_off(telling: Told) -> None:
    known = telling.oracle
    errors = np.abs(oracle.judged(known.test) - oracle.truth(known.test)) / known.sigma
    mean = np.mean([errors[:, columns].mean() for columns in ATTRIBUTES.values()])
    noise = {row.pop("metric"): row for row in copy.deepcopy(telling.results["noise"])}
    for metric in ("attribute leakage", "target error", "edit consistency"):
        assert_near(noise[metric]["value"], mean)
        assert noise[metric]["text"] == f"judge errs by {mean:.2f} σ on one face"
    assert noise["reach"] == {"value": None, "text": f"judge errs by {mean:.2f} σ on one face"}
    for metric in ("true leakage", "true identity drift"):
        assert noise[metric] == {"value": 0.0, "text": "exact"}
    agreement = {e["name"]: e["agreement"] for e in telling.results["recognisers"]}
    for metric in ("identity similarity", "identity accuracy", "edit–identity area"):
        assert noise[f"{metric} · narrow"]["text"] == (
            "knows 62% of people again, AUC 0.875, "
            f"rank correlation with the truth {agreement['narrow']:.2f}"
        )
        assert noise[f"{metric} · broad"]["text"] == (
            f"rank correlation with the truth {agreement['broad']:.2f}"
        )
    assert len(noise) == 6 + 6


def test_distances_of_sets_are_of_the_faces_that_reach_and_none_under_fifty(
    telling: Told,
) -> None:
    realism = telling.results["realism"]
    assert realism["minimum_faces"] == 50
    assert realism["features"].startswith("telling-judge")
    rows = {(r["editor"], r["task"], r["effect"]): r for r in realism["distances"]}
    assert len(rows) == len(realism["distances"]) == 5 * 3 * 2
    for (name, task, effect), row in rows.items():
        cells = [telling.oracle.cell(name, seed, task) for seed in world.SEEDS]
        found = [cell.distances(effect) for cell in cells]
        assert row["faces"] == min(f["faces"] for f in found), (name, task)
        assert row["features"] == 4
        if row["faces"] < 50:
            assert (row["frechet"], row["kernel"]) == (None, None)
        else:
            assert_near(row["frechet"], np.mean([f["frechet"] for f in found]), (name, task))
            kernels = [np.nanmean(f["kernel"]) for f in found]
            assert_near(row["kernel"], np.mean(kernels), (name, task))
    known = [row["frechet"] is not None for row in rows.values()]
    assert 0 < sum(known) < len(known)


def test_results_that_are_read_back_are_those_that_were_computed(telling: Told) -> None:
    """Every number to the last bit, in the types that hold them."""
    run = Run(telling.folder)
    assert read_results(telling.folder) == results_of(run)
    assert read_costs(telling.folder) == tuple(costs(run))
