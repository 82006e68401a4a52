"""Evaluations in memory have the figures of a run, and leave nothing behind."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
import toy_editors
from test_benchmark import SUITE, Silent

from latentedit import (
    Edited,
    EnvironmentFault,
    InputError,
    LatentBank,
    ModelReference,
    Results,
    Runtime,
    SuiteError,
    UnknownName,
    edit_at_effect,
    evaluate,
    fit_editor,
    load_results,
    make_bank,
    pictures,
)
from latentedit.benchmark.results.summary import summarise
from latentedit.benchmark.run import run_suite
from latentedit.benchmark.suite import Suite, load_suite

TASKS = {"age": 10, "glasses": "flip"}
SEQUENCES = [{"name": "both", "edits": ["age", "glasses"]}]
EDITORS = ("exact", "leaky", "raises")


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> LatentBank:
    return make_bank(
        toy_editors.registry(), tmp_path_factory.mktemp("banks") / "toy",
        generator="toy", labeller="toy-labeller", n_fit=100, n_test=24,
    )  # fmt: skip


def evaluated(bank: LatentBank, **changed: Any) -> Any:
    given: dict[str, Any] = {"judge": "toy-judge", "identity": ["toy-identity"], "controls": []}
    given |= {"sequences": SEQUENCES, "registry": toy_editors.registry()}
    given |= {"editors": EDITORS, "tasks": TASKS}
    given |= changed
    return evaluate(bank, given.pop("editors"), given.pop("tasks"), **given)


@pytest.fixture(scope="module")
def results(bank: LatentBank) -> Any:
    return evaluated(bank)


@pytest.fixture(scope="module")
def run(bank: LatentBank, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the same comparison, whose suite names the bank by folder and hash."""
    folder = tmp_path_factory.mktemp("runs")
    text = f"""
name: evaluation
bank: {{path: bank, hash: {bank.hash[:16]}}}
judge: toy-judge
identity: [toy-identity]
editors: {{exact: {{plugin: exact}}, leaky: {{plugin: leaky}}, raises: {{plugin: raises}}}}
controls: []
tasks: [{{attribute: age, change: 10}}, {{attribute: glasses, change: flip}}]
sequences: [{{name: both, edits: [age, glasses]}}]
"""
    (folder / "bank").symlink_to(bank.folder)
    (folder / "suite.yaml").write_text(text)
    suite = load_suite(str(folder / "suite.yaml"))
    outcome = run_suite(suite, folder / "run", Silent(), registry=toy_editors.registry)
    assert {record.id.split("--")[1] for record in outcome.failed} == {"raises"}
    summarise(folder / "run")
    return folder / "run"


def test_an_evaluation_has_every_figure_of_the_run_of_its_suite(results: Any, run: Path) -> None:
    same = {entry.name for entry in fields(Results)} - {"cells"}
    found = load_results(run)
    assert {n for n in same if getattr(found, n) != getattr(results, n)} == set()
    assert results.cells.ok == found.cells.ok
    failed = {cell.id for cell in results.cells.failed}
    assert failed == {cell.id for cell in found.cells.failed}
    assert {"fit--raises--seed0", "edit--raises--seed0--age"} <= failed


def test_frames_hold_means_and_the_values_that_they_are_of(results: Any, run: Path) -> None:
    pd = pytest.importorskip("pandas")
    means, values = results.to_frame(), results.to_frame(per_image=True)
    assert len(means) == len(results.measures)
    assert set(means["images"]) == {measure.faces for measure in results.measures}
    one = {"editor": "leaky", "task": "age", "metric": "attribute leakage", "effect": 0.8}
    mean = means.loc[(means[list(one)] == pd.Series(one)).all(axis=1), "mean"]
    of = values.loc[(values[list(one)] == pd.Series(one)).all(axis=1)]
    assert mean.item() == pytest.approx(of["value"].mean())
    assert set(of["image"]) == set(range(24))
    from_folder = load_results(run).to_frame(per_image=True)
    pd.testing.assert_frame_equal(values, from_folder)


def test_frames_without_pandas_say_what_to_install(
    results: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(EnvironmentFault, match=r"pip install 'latentedit\[frame\]'"):
        results.to_frame()


def test_a_fitted_editor_takes_part_and_no_file_is_written(bank: LatentBank) -> None:
    before = sorted(path.name for path in bank.folder.iterdir())
    fitted = fit_editor(toy_editors.registry(), "leaky", bank, seed=3)
    told: list[tuple[float, str]] = []
    found = evaluated(
        bank, editors={"mine": fitted, "other": {"plugin": "exact"}}, tasks={"age": 5},
        sequences=[], progress=lambda share, said: told.append((share, said)),
    )  # fmt: skip
    assert found.suite.seeds == [3]
    assert {row.editor for row in found.measures} == {"mine", "other"}
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert told[-1][0] == 1
    assert sorted(path.name for path in bank.folder.iterdir()) == before


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        ({"judge": None}, InputError, "toy recommends no judge; give judge=NAME, one of toy-"),
        ({"editors": ["exakt"]}, UnknownName, "did you mean 'exact'"),
        ({"editors": "exact"}, InputError, r"write \[editor\]"),
        ({"tasks": {"agee": 5}, "sequences": []}, UnknownName, "did you mean 'age'"),
        ({"tasks": {"age": "much"}}, SuiteError, "tasks.0.change: is 'flip', an amount"),
        ({"efects": [0.5]}, SuiteError, "efects: no such key; did you mean 'effects'"),
        ({"judge": "toy-labeller"}, SuiteError, "toy-labeller labels the bank too"),
        ({"sequences": [{"name": "one", "edits": ["age"]}]}, SuiteError, "at least 2 items"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(
    changed: dict[str, Any], error: type[Exception], said: str, bank: LatentBank
) -> None:
    with pytest.raises(error, match=said):
        evaluated(bank, **changed)


def test_a_fitted_editor_of_another_seed_is_refused(bank: LatentBank) -> None:
    fitted = fit_editor(toy_editors.registry(), "leaky", bank, seed=3)
    with pytest.raises(InputError, match="fitted with seed 3, and the evaluation has the seeds"):
        evaluated(bank, editors=[fitted], seeds=[0, 1])


def test_views_are_short_and_notebooks_show_tables_and_pictures(
    bank: LatentBank, results: Any
) -> None:
    assert len(bank) == 124
    assert "100 fit and 24 test codes of toy in w, labelled by toy-labeller>" in repr(bank)
    assert bank.hash[:12] in bank._repr_html_()
    assert repr(results).startswith("<Evaluation of evaluation: exact, leaky, raises; 2 tasks")
    assert "cells failed" in repr(results)
    assert results._repr_html_().count("<tr>") == 1 + 3
    edits = edit_at_effect(
        fit_editor(toy_editors.registry(), "exact", bank), bank, "toy-judge", "age", 5, rows=[0, 1]
    )
    assert repr(edits) == "<EditsAtEffect: age of 2 images, 2 reach the effect>"
    assert edits._repr_html_().count("data:image/png") == 4
    assert [picture.size for picture in edits.pictures()] == [(8, 8)] * 2
    assert edits.pictures()[0].tobytes() == pictures(edits.images)[0].tobytes()
    refused = Edited(torch.zeros(2, 3), torch.tensor([True, False]), reason="too far")
    assert repr(refused) == "<Edited: codes (2, 3), 1 refused: too far>"
    assert "<td>edited</td><td>1</td>" in refused._repr_html_()


def test_random_streams_have_names() -> None:
    def drawn(seed: int, stream: int | str) -> float:
        return float(torch.rand(1, generator=Runtime(seed=seed).rng(stream)))

    assert drawn(1, "noise") == drawn(1, "noise")
    others = [drawn(1, "order"), drawn(2, "noise"), drawn(1, 0), drawn(1, 1)]
    assert len({drawn(1, "noise"), *others}) == 5


def test_a_bank_with_another_hash_is_refused(bank: LatentBank, tmp_path: Path) -> None:
    given = SUITE | {"bank": {"path": str(bank.folder), "hash": "0" * 12}}
    with pytest.raises(SuiteError, match=f"has the hash {bank.hash}, received 000000000000"):
        Suite.model_validate(given)
    with pytest.raises(SuiteError, match="12 characters or more"):
        Suite.model_validate(SUITE | {"bank": {"path": str(bank.folder), "hash": bank.hash[:8]}})
    with pytest.raises(InputError, match="is not a bank"):
        Suite.model_validate(SUITE | {"bank": {"path": str(tmp_path / "none")}})
    with pytest.raises(ValueError, match="leave out n_fit"):
        Suite.model_validate(SUITE | {"bank": {"path": str(bank.folder), "n_fit": 10}})


def test_a_run_keeps_no_path_and_resumes_on_the_same_bank(
    bank: LatentBank, run: Path, tmp_path: Path
) -> None:
    assert str(bank.folder) not in (run / "suite.json").read_text()
    assert LatentBank.open(run / "bank").hash == bank.hash
    given = SUITE | {"bank": {"path": str(bank.folder)}, "editors": {"exact": {"plugin": "exact"}}}
    given |= {"sequences": [], "controls": [], "tasks": SUITE["tasks"][:1]}
    suite = Suite.model_validate(given)
    again = (run_suite(suite, tmp_path / "r", Silent(), registry=toy_editors.registry),)
    again += (run_suite(suite, tmp_path / "r", Silent(), registry=toy_editors.registry),)
    assert [(outcome.computed, outcome.kept) for outcome in again] == [(3, 0), (0, 3)]
    with pytest.raises(InputError, match="leave out the photographs"):
        run_suite(
            suite, tmp_path / "p", Silent(), registry=toy_editors.registry, photographs=bank.folder
        )


def test_imported_codes_take_part_though_nothing_installed_labels_them(
    bank: LatentBank, tmp_path: Path
) -> None:
    splits = {name: bank.split(name) for name in ("fit", "test")}
    labeller = ModelReference("a-table-of-others", {}, "0" * 64)
    sampling = {"seed": 0, "fit": 100, "test": 24, "origin": "a-table-of-others"}
    imported = LatentBank.write(tmp_path / "b", splits, bank.generator, labeller, sampling)
    found = evaluated(imported, editors=["exact"], tasks={"age": 10}, sequences=[])
    assert not found.cells.failed
    assert found.provenance.bank.truncation_psi is None
    assert found.provenance.bank.origin == "a-table-of-others"
    with pytest.raises(SuiteError, match="a-table-of-others labels no other images"):
        evaluated(imported, editors=["exact"], tasks={"age": 10}, sequences=[], tune={"trials": 2})
