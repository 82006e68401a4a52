"""A verified run is what it says: a changed file, figure or cell is found."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import toy_editors
from flat_results import read_flat, write_flat
from in_process import CommandLine
from test_benchmark import Silent, carry_out

from latentedit import UnknownName
from latentedit.benchmark.cells.store import Cell, CellStore, Outcome
from latentedit.benchmark.results.summary import summarise
from latentedit.benchmark.verify import recompute, verify_run

CELL = "edit--exact--seed0--age"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "toy"
    editors = {"exact": {"plugin": "exact"}}
    carry_out(folder, editors=editors, sequences=[], controls=[], keep_images=True)
    summarise(folder)
    return folder


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    shutil.copytree(run, tmp_path / "copy")
    return tmp_path / "copy"


def test_a_run_is_what_it_says(run: Path) -> None:
    assert verify_run(run) == []


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("bank/test-00000.safetensors", "was changed or cut"),
        (f"cells/{CELL}/arrays.safetensors", "is not what cell.json records"),
        (f"cells/{CELL}/codes.safetensors", "is not what cell.json records"),
        (f"cells/{CELL}/pictures.safetensors", "is not what cell.json records"),
        ("cells/fit--exact--seed0/editor/model.safetensors", "is not what cell.json records"),
    ],
)
def test_a_changed_file_is_named(copy: Path, file: str, said: str) -> None:
    data = bytearray((copy / file).read_bytes())
    data[-1] ^= 1
    (copy / file).write_bytes(bytes(data))
    (line,) = verify_run(copy)
    assert f"{copy / file}" in line
    assert said in line


def test_a_figure_that_does_not_follow_from_the_cells_is_found(copy: Path) -> None:
    results = read_flat(copy)
    results["measures"][0]["mean"] += 0.001
    write_flat(copy, results)
    (line,) = verify_run(copy)
    assert line.startswith("results.json has other measures than the cells give")


def test_a_missing_cell_is_found(copy: Path) -> None:
    shutil.rmtree(copy / "cells" / CELL)
    assert f"{CELL} has no result: missing" in verify_run(copy)


def test_a_cell_computed_anew_is_the_same_and_a_made_up_one_is_not(copy: Path) -> None:
    assert recompute(copy, [CELL], Silent(), registry=toy_editors.registry) == []
    store = CellStore(copy)
    arrays = store.arrays(CELL)
    arrays["matched_effect"] = arrays["matched_effect"] + 0.01
    cell = Cell("edit", store.key(CELL), "exact", 0, "age")
    store.commit(cell, Outcome("ok", 1.0, arrays=arrays, timings=store.timings(CELL)))
    assert recompute(copy, [CELL], Silent(), registry=toy_editors.registry) == [
        f"{CELL}: computed anew it has other matched_effect"
    ]
    with pytest.raises(UnknownName):
        recompute(copy, ["edit--nobody--seed0--age"], Silent(), registry=toy_editors.registry)


def test_the_command_says_so_and_exits_with_one_where_something_is_wrong(
    copy: Path, tmp_path: Path
) -> None:
    command = CommandLine(tmp_path, toy_editors.registry)
    assert "every file is the one that was recorded" in command.ok("bench", "verify", "copy")
    shutil.rmtree(copy / "cells" / CELL)
    found = command("bench", "verify", "copy")
    assert found.returncode == 1
    assert "missing" in found.stderr
