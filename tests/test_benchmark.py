"""A run from suite to results in the toy world, where every answer is known."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import toy_editors
from click.testing import CliRunner
from flat_results import read_flat, summarise

from latentedit import EnvironmentFault, FingerprintMismatch, InputError, UnknownName
from latentedit.benchmark.cells.store import CellStore
from latentedit.benchmark.folder import RunFolder
from latentedit.benchmark.results.compare import compare_runs
from latentedit.benchmark.results.keys import ALL_TASKS
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.run import RunOutcome, explain, run_suite
from latentedit.benchmark.suite import Suite
from latentedit.cli.main import cli

SUITE: dict[str, Any] = {
    "name": "toy",
    "bank": {
        "generator": {"plugin": "toy"},
        "labeller": "toy-labeller",
        "n_fit": 100,
        "n_test": 40,
    },
    "judge": "toy-judge",
    "identity": ["toy-identity"],
    "editors": {name: {"plugin": name} for name in ("exact", "leaky", "timid")},
    "controls": ["no-edit"],
    "tasks": [{"attribute": "age", "change": 10}, {"attribute": "glasses", "change": "flip"}],
    "sequences": [{"name": "both", "edits": ["age", "glasses"]}],
    "effects": [0.8],
    "show_images": 3,
}


class Silent:
    """An observer that remembers what ended."""

    def __init__(self) -> None:
        self.ended: dict[str, str] = {}

    def progressed(self, cell_id: str, fraction: float, message: str) -> None:
        assert 0 <= fraction <= 1

    def finished(self, cell_id: str, status: str, error: str) -> None:
        self.ended[cell_id] = status


def carry_out(folder: Path, **changes: Any) -> RunOutcome:
    suite = Suite.model_validate(SUITE | changes)
    return run_suite(suite, folder, Silent(), registry=toy_editors.registry, workers=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "toy"
    outcome = carry_out(folder)
    assert outcome.computed == 1 + 4 + 8 + 4
    assert not outcome.failed
    summarise(folder)
    return folder


def measure(results: dict[str, Any], editor: str, metric: str, task: str = ALL_TASKS) -> float:
    found = [
        m["mean"]
        for m in results["measures"]
        if m["editor"] == editor and m["metric"].startswith(metric) and m["task"] == task
    ]
    return float(found[0])


def test_what_is_undone_comes_back_where_the_editor_is_exact(run: Path) -> None:
    results = summarise(run)
    for metric in ("round-trip error", "round-trip error in identity", "edit consistency", "drift"):
        assert measure(results, "exact", metric) == pytest.approx(0, abs=1e-4), metric
        assert measure(results, "no-edit", metric) == pytest.approx(0, abs=1e-4), metric
    assert measure(results, "exact", "round-trip error in pixels") < 0.01
    assert measure(results, "leaky", "round-trip error") > 0.01
    once = measure(results, "leaky", "drift · 1 edit", "both")
    assert measure(results, "leaky", "drift · 2 edits", "both") > once > 0.01


def test_the_known_answers_come_out(run: Path) -> None:
    results = summarise(run)
    assert measure(results, "exact", "reach") == 1
    assert measure(results, "exact", "identity similarity") == pytest.approx(1, abs=1e-4)
    assert measure(results, "exact", "attribute leakage") == pytest.approx(0, abs=1e-3)
    assert measure(results, "exact", "true identity drift") == pytest.approx(0, abs=1e-3)
    assert measure(results, "exact", "target error") == pytest.approx(0, abs=1e-2)
    assert measure(results, "exact", "edit–identity area") == pytest.approx(1, abs=1e-3)
    assert measure(results, "leaky", "identity similarity") < 0.99
    assert measure(results, "leaky", "true identity drift") > 0.1


def test_doing_nothing_reaches_nothing_and_is_not_compared_as_if_it_had(run: Path) -> None:
    results = summarise(run)
    assert measure(results, "no-edit", "reach") == 0
    assert measure(results, "no-edit", "edit–identity area") < 0.05
    assert not [
        m
        for m in results["measures"]
        if m["editor"] == "no-edit" and m["metric"].startswith("identity similarity")
    ]


def test_faces_that_an_editor_does_not_serve_count_as_failures(run: Path) -> None:
    results = summarise(run)
    served = measure(results, "timid", "reach")
    assert 0.1 < served < 0.9
    identity = next(
        m
        for m in results["measures"]
        if m["editor"] == "timid"
        and m["metric"].startswith("identity similarity")
        and m["task"] == ALL_TASKS
    )
    assert identity["faces"] == round(served * 40)


def test_comparisons_find_the_difference_that_is_there_and_no_other(run: Path) -> None:
    rows = {
        (c["first"], c["second"], c["metric"].split(" · ")[0]): c["verdict"]
        for c in summarise(run)["comparisons"]
        if c["task"] == ALL_TASKS
    }
    assert rows["exact", "leaky", "identity similarity"] == "ahead"
    assert rows["exact", "leaky", "true identity drift"] == "exploratory"
    assert rows["exact", "leaky", "reach"] == "undecided"  # of 40 faces, alike in all
    assert rows["exact", "timid", "reach"] == "ahead"
    assert rows["exact", "timid", "true leakage"] in ("equivalent", "undecided")
    assert rows["exact", "no-edit", "reach"] == "exploratory"


def test_matched_effects_are_the_wanted_ones(run: Path) -> None:
    arrays = CellStore(run).arrays("edit--leaky--seed0--age")
    assert arrays["matched_effect"][0].sub(0.8).abs().max() < 0.06
    assert arrays["matched_images"].shape == (1, 3, 3, 8, 8)


def test_the_same_command_again_computes_nothing(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    again = carry_out(copy)
    assert (again.computed, again.kept) == (0, 17)


def test_an_added_editor_computes_only_itself(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    editors = SUITE["editors"] | {"second": {"plugin": "exact"}}
    assert carry_out(copy, editors=editors).computed == 4


def test_a_damaged_cell_is_computed_again_and_results_are_the_same(
    run: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    path = copy / "cells" / "edit--leaky--seed0--age" / "arrays.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    assert carry_out(copy).computed == 1
    summarise(copy)
    assert (copy / "results.json").read_bytes() == (run / "results.json").read_bytes()


def test_a_damaged_bank_is_made_again(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (copy / "bank" / "fit-00000.safetensors").write_bytes(b"nonsense")
    assert carry_out(copy).computed == 0
    summarise(copy)
    assert (copy / "results.json").read_bytes() == (run / "results.json").read_bytes()


def test_a_folder_in_use_is_refused_naming_the_process(tmp_path: Path) -> None:
    with RunFolder.claim(tmp_path).locked():
        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            told = pool.apply(_try_to_lock, (tmp_path,))
    assert "is in use by process" in told


def _try_to_lock(folder: Path) -> str:
    try:
        with RunFolder.open(folder).locked():
            return "locked twice"
    except EnvironmentFault as error:
        return str(error)


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"judge": "toy-jugde"}, UnknownName, "did you mean 'toy-judge'"),
        ({"identity": ["nobody"]}, UnknownName, "unknown identity 'nobody'"),
        ({"editors": {"a": {"plugin": "exct"}}}, UnknownName, "did you mean 'exact'"),
        (
            {"editors": {"a": {"plugin": "exact", "options": {"x": 1}}}},
            UnknownName,
            "option of exact",
        ),
        (
            {"sequences": [], "tasks": [{"attribute": "agee", "change": 5}]},
            UnknownName,
            "did you mean 'age'",
        ),
        (
            {
                "sequences": [],
                "tasks": [{"attribute": "age", "change": 5, "among": {"yaww": [0, 1]}}],
            },
            UnknownName,
            "did you mean 'yaw'",
        ),
    ],
)
def test_a_suite_that_names_what_is_not_there_computes_nothing(
    tmp_path: Path, changes: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        carry_out(tmp_path / "run", **changes)
    assert not (tmp_path / "run" / "cells").exists()


def test_a_folder_that_is_no_run_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="latentedit bench run SUITE"):
        Run(tmp_path)


def test_results_hold_the_provenance(run: Path) -> None:
    results = read_flat(run)
    assert results["bank_hash"] == results["provenance"]["bank"]["hash"]
    assert set(results["provenance"]["packages"]) >= {"torch", "numpy"}
    assert results["estimators"]["judge"]["attributes"]["age"]["r2"] == pytest.approx(1, abs=1e-3)
    costs = json.loads((run / "costs.json").read_text())
    assert {row["editor"] for row in costs} == {"exact", "leaky", "timid", "no-edit"}
    assert all(row["peak_memory_mb"] > 10 for row in costs)
    assert [row["text"] for row in results["noise"] if row["metric"] == "true leakage"] == ["exact"]
    assert results["recognisers"][0]["agreement"] > 0.5


def test_sets_of_faces_are_compared_where_there_are_enough(run: Path, tmp_path: Path) -> None:
    few = summarise(run)["realism"]
    assert few["minimum_faces"] == 50
    assert {row["frechet"] for row in few["distances"]} == {None}
    assert {row["kernel"] for row in few["distances"]} == {None}
    bank = SUITE["bank"] | {"n_test": 60}
    carry_out(tmp_path / "run", bank=bank, sequences=[], editors={"exact": {"plugin": "exact"}})
    rows = {
        (row["editor"], row["task"]): row
        for row in summarise(tmp_path / "run")["realism"]["distances"]
    }
    moved = rows["exact", "age"]
    assert (moved["faces"], moved["features"]) == (60, 6)
    assert moved["frechet"] > 0.01
    assert moved["kernel"] > 0
    assert rows["no-edit", "age"]["frechet"] is None


def test_angles_and_likelihood_are_measured_at_the_matched_effect(run: Path) -> None:
    results = summarise(run)
    assert measure(results, "exact", "pose error") == pytest.approx(0, abs=0.05)
    assert measure(results, "exact", "lighting error") == pytest.approx(0, abs=0.5)
    assert 0.5 < measure(results, "exact", "Mahalanobis distance") < 2
    verdicts = {
        row["verdict"] for row in results["comparisons"] if row["metric"] == "Mahalanobis distance"
    }
    assert verdicts == {"exploratory"}


def test_outcomes_are_plain_data(run: Path) -> None:
    record = CellStore(run).record("faces")
    assert record is not None
    assert dataclasses.asdict(record)["status"] == "ok"


def test_two_runs_of_one_bank_compare_and_equal_editors_do_not_differ(
    run: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    carry_out(other, editors={"exact": {"plugin": "leaky"}, "timid": {"plugin": "timid"}})
    rows = {
        (row.first.split(" ")[0], row.metric.name): row
        for row in compare_runs(run, other)
        if row.task == ALL_TASKS
    }
    assert rows["exact", "identity similarity"].leader == f"exact @ {run}"
    assert rows["exact", "identity similarity"].low > 0
    assert all(row.difference == 0 for (name, _), row in rows.items() if name == "timid")
    assert all(row.leader is None for (name, _), row in rows.items() if name == "timid")
    shown = CliRunner().invoke(cli, ["bench", "compare", str(run), str(other)])
    assert shown.exit_code == 0, shown.output
    assert f"A is {run}, B is {other}" in shown.output.replace("\n", "")
    assert re.search(r"exact \(A\) +exact \(B\) +all tasks", shown.output)


def test_editors_of_one_run_compare(run: Path) -> None:
    rows = compare_runs(run, run, ("leaky", "exact"))
    assert {row.first for row in rows} == {f"leaky @ {run}"}
    with pytest.raises(UnknownName, match="did you mean 'leaky'"):
        compare_runs(run, run, ("leak", "exact"))


def test_runs_of_different_banks_are_refused_with_both_hashes(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    carry_out(
        other, bank=SUITE["bank"] | {"seed": 1}, editors={"exact": {"plugin": "exact"}}, controls=[]
    )
    with pytest.raises(FingerprintMismatch) as caught:
        compare_runs(run, other)
    for folder in (run, other):
        assert Run(folder).bank.hash[:12] in str(caught.value)


def test_explain_names_the_field_that_differs(run: Path, tmp_path: Path) -> None:
    cell = "edit--exact--seed0--age"
    assert explain(run, cell, registry=toy_editors.registry) == []
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    suite = json.loads((copy / "suite.json").read_text())
    suite["tasks"][0]["change"] = 12
    (copy / "suite.json").write_text(json.dumps(suite))
    told = explain(copy, cell, registry=toy_editors.registry)
    assert told == ["task.change was 10.0, is 12.0"]
    with pytest.raises(UnknownName, match="did you mean 'edit--exact--seed0--age'"):
        explain(run, "edit--exact--seed0--agee", registry=toy_editors.registry)
