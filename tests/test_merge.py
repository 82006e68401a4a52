"""Merged runs are what one run of all their editors and fit seeds would have been."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import harness_plugins
import pytest
import torch
from click.testing import CliRunner
from flat_results import read_flat
from harness_plugins import Silent

from latentedit import FingerprintMismatch, InputError, make_bank
from latentedit.benchmark.cells.store import Cell, CellStore, Outcome
from latentedit.benchmark.folder import RunFolder
from latentedit.benchmark.merge import merge_runs
from latentedit.benchmark.provenance import read_provenance
from latentedit.benchmark.results.summary import summarise
from latentedit.benchmark.run import run_suite
from latentedit.benchmark.suite import Suite
from latentedit.benchmark.verify import verify_run
from latentedit.cli.main import cli
from latentedit.errors import CorruptArtefact, SuiteError, UnknownName

SUITE: dict[str, Any] = {
    "name": "parts",
    "bank": {"generator": {"plugin": "toy"}, "labeller": "labeller", "n_fit": 30, "n_test": 8},
    "judge": "judge",
    "identity": ["eye"],
    "controls": ["no-edit"],
    "tasks": [{"attribute": "age", "change": 10}],
    "strengths": [0.5, 1.0, 2.0],
    "effects": [0.8],
    "show_images": 0,
    "seeds": [0, 1],
}
SMALL, LARGE = ({"plugin": "push", "options": {"leak": leak}} for leak in (0.1, 0.9))
BOTH = {"small": SMALL, "large": LARGE}
RUNS: dict[str, dict[str, Any]] = {
    "whole": {"editors": BOTH},
    "small": {"editors": {"small": SMALL}},
    "large": {"editors": {"large": LARGE}},
    "seed-0": {"editors": BOTH, "seeds": [0]},
    "seed-1": {"editors": BOTH, "seeds": [1]},
    "other-small": {"editors": {"small": LARGE}},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("merge")
    for name, changes in RUNS.items():
        make_toy_bank(RunFolder.claim(folder / name).bank)
        suite = Suite.model_validate(SUITE | changes)
        place = {"registry": harness_plugins.registry, "executor": "here"}
        assert not run_suite(suite, folder / name, Silent(), **place).failed
    summarise(folder / "whole")
    return folder


def make_toy_bank(folder: Path, seed: int = 0) -> None:
    models = {"generator": "toy", "labeller": "labeller"}
    make_bank(harness_plugins.registry(), folder, **models, n_fit=30, n_test=8, seed=seed)


@pytest.mark.parametrize("parts", [("small", "large"), ("seed-0", "seed-1")])
def test_parts_come_to_the_figures_of_the_whole(
    runs: Path, tmp_path: Path, parts: tuple[str, str]
) -> None:
    merged = merge_runs([runs / part for part in parts], tmp_path / "merged")
    assert merged.missing == []
    assert sum(merged.cells.values()) == 1 + 3 * 2 * 2
    summarise(tmp_path / "merged")
    whole, found = read_flat(runs / "whole"), read_flat(tmp_path / "merged")
    for figures in ("measures", "comparisons", "curves", "leakage", "cells", "controls", "faces"):
        assert found[figures] == whole[figures], figures
    assert found["suite"] == whole["suite"]
    assert read_provenance(tmp_path / "merged").merged == merged.cells
    assert verify_run(tmp_path / "merged") == []


def test_cells_of_no_run_are_named_and_the_rest_is_read(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "small", tmp_path / "small")
    missing = ["fit--small--seed1", "edit--small--seed1--age"]
    for cell in missing:
        shutil.rmtree(tmp_path / "small" / "cells" / cell)
    merged = merge_runs([tmp_path / "small", runs / "large"], tmp_path / "merged")
    assert merged.missing == missing
    results = summarise(tmp_path / "merged")
    seeds = {row.editor: row.seeds for row in results.measures if row.metric.name == "reach"}
    assert seeds == {"small": 1, "large": 2, "no-edit": 2}


def of_another(what: str, run: Path, folder: Path) -> Path:
    """A copy of a run that differs in one thing."""
    shutil.copytree(run, folder)
    if what == "bank":
        shutil.rmtree(folder / "bank")
        make_toy_bank(folder / "bank", seed=1)
        return folder
    path = folder / ("suite.json" if what == "protocol" else "provenance.json")
    record = json.loads(path.read_text())
    if what == "protocol":
        record["effects"] = [0.5]
    else:
        (record["judge"] if what == "judge" else record["identity"][0])["fingerprint"] = "f" * 64
    path.write_text(json.dumps(record))
    return folder


@pytest.mark.parametrize("other", ["bank", "judge", "recogniser", "protocol"])
def test_runs_that_differ_are_refused_with_both_named(
    runs: Path, tmp_path: Path, other: str
) -> None:
    changed = of_another(other, runs / "large", tmp_path / "changed")
    for order in ((runs / "small", changed), (changed, runs / "small")):
        with pytest.raises(FingerprintMismatch, match=f"different {other}s") as refused:
            merge_runs(order, tmp_path / "merged")
        assert all(str(folder) in str(refused.value) for folder in order)
    assert not (tmp_path / "merged").exists()


def changed_key(run: Path, cell: Cell, folder: Path, **fields: Any) -> Path:
    """A copy of a run in which a cell, named by `cell`, answers another key."""
    shutil.copytree(run, folder)
    store = CellStore(folder)
    key = store.key(cell.id) | fields
    outcome = Outcome("ok", 1.0, arrays=store.arrays(cell.id), timings=store.timings(cell.id))
    changed = Cell(cell.kind, key, cell.entrant, cell.seed, cell.task)
    store.commit(changed, outcome)
    store.plan([changed])
    return folder


@pytest.mark.parametrize(
    ("cell", "fields"),
    [
        (Cell("faces", {}), {"protocol": 1}),
        (Cell("fit", {}, "large", 1), {"versions": {"torch": "1.0"}}),
        (Cell("edit", {}, "no-edit", 0, "age"), {"layers": {"some": [1]}}),
    ],
    ids=lambda value: value.kind if isinstance(value, Cell) else "",
)
def test_cells_of_other_keys_are_refused_with_both_named(
    runs: Path, tmp_path: Path, cell: Cell, fields: dict[str, Any]
) -> None:
    other = changed_key(runs / "seed-0", Cell("faces", {}), tmp_path / "same")
    assert merge_runs([runs / "small", other], tmp_path / "fine").missing == [
        *("fit--large--seed1", "edit--large--seed1--age")
    ]
    run = "large" if cell.entrant == "large" else "seed-0"
    other = changed_key(runs / run, cell, tmp_path / "changed", **fields)
    with pytest.raises(FingerprintMismatch, match="different keys") as refused:
        merge_runs([runs / "small", other], tmp_path / "merged")
    (field,) = fields
    assert f"{other} ({cell.id}) has {field}" in str(refused.value)
    assert str(runs / "small") in str(refused.value)


def test_two_editors_of_one_name_are_refused_unless_one_is_renamed(
    runs: Path, tmp_path: Path
) -> None:
    ours, theirs = runs / "small", runs / "other-small"
    with pytest.raises(InputError, match="--rename") as refused:
        merge_runs([ours, theirs], tmp_path / "merged")
    assert str(ours) in str(refused.value)
    merge_runs([ours, theirs], tmp_path / "merged", {(theirs, "small"): "large"})
    summarise(tmp_path / "merged")
    assert read_flat(tmp_path / "merged")["measures"] == read_flat(runs / "whole")["measures"]
    with pytest.raises(UnknownName, match="smal"):
        merge_runs([ours, theirs], tmp_path / "x", {(theirs, "smal"): "large"})
    with pytest.raises(InputError, match="none of the runs"):
        merge_runs([ours, theirs], tmp_path / "x", {(runs / "whole", "small"): "large"})
    with pytest.raises(SuiteError, match="no-edit is both"):
        merge_runs([ours, theirs], tmp_path / "x", {(theirs, "small"): "no-edit"})


def test_a_changed_file_stops_the_merge(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "large", tmp_path / "large")
    path = tmp_path / "large" / "cells" / "edit--large--seed1--age" / "arrays.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(CorruptArtefact, match="edit--large--seed1--age"):
        merge_runs([runs / "small", tmp_path / "large"], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_the_first_run_that_finished_a_cell_gives_it(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "whole", tmp_path / "first")
    store = CellStore(tmp_path / "first")
    cell = Cell("edit", store.key("edit--large--seed0--age"), "large", 0, "age")
    store.commit(cell, Outcome("failed", 1.0, "it was not to be"))
    merge_runs([tmp_path / "first", runs / "large"], tmp_path / "merged")
    found = CellStore(tmp_path / "merged").arrays(cell.id)
    wanted = CellStore(runs / "large").arrays(cell.id)
    assert torch.equal(found["matched_effect"], wanted["matched_effect"])


def test_the_command_prints_the_table_of_all_editors(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "merged"
    rename = f"{runs / 'other-small'}/small=large"
    folders = [str(runs / name) for name in ("small", "other-small")]
    found = CliRunner().invoke(
        cli, ["bench", "merge", *folders, "--rename", rename, "--out", str(out)]
    )
    assert found.exit_code == 0, found.output
    assert f"{out}: cells 9 of small, 4 of other-small" in found.stdout
    for name in ("small", "large", "no-edit"):
        assert name in found.stdout
    assert (out / "report" / "index.html").is_file()
    alone = CliRunner().invoke(cli, ["bench", "merge", folders[0], "--out", str(tmp_path / "x")])
    assert isinstance(alone.exception, InputError)
