"""Lists read a small record of each run, and never an outdated one; states need no finished run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from flat_results import read_flat, write_flat
from made_boards import listing, write_runs

from latentedit.benchmark.cells.store import Cell, CellStore, Outcome
from latentedit.benchmark.results.listed import write_listed
from latentedit.benchmark.results.records import read_results
from latentedit.benchmark.suite import load_suite
from latentedit.cli.main import cli


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """As those of `made_boards`, each with its record for lists."""
    write_runs(tmp_path)
    for name in ("first", "second", "another"):
        write_listed(tmp_path / name, read_results(tmp_path / name))
    return tmp_path


def test_a_list_is_the_same_with_and_without_records_and_reads_no_results(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> None:
        raise AssertionError(f"{folder} was read whole")

    with monkeypatch.context() as patched:
        patched.setattr("latentedit.benchmark.results.records.read_results", refuse)
        fast = listing(str(runs)).stdout
    for name in ("first", "second", "another"):
        (runs / name / "listed.json").unlink()
    assert listing(str(runs)).stdout == fast


@pytest.mark.parametrize("change", ["results", "record", "suite"])
def test_an_outdated_or_changed_record_is_not_shown(runs: Path, change: str) -> None:
    folder = runs / "another"
    before = listing(str(folder)).stdout
    if change == "results":
        results = read_flat(folder)
        for row in results["measures"]:
            row["mean"] += 5000
        write_flat(folder, results)
        assert listing(str(folder)).stdout != before
        assert "50" in listing(str(folder)).stdout
    elif change == "record":
        text = (folder / "listed.json").read_text()
        mean = json.loads(text)["listed"]["measures"][0]["mean"]
        (folder / "listed.json").write_text(text.replace(str(mean), "777.0", 1))
        assert listing(str(folder)).stdout == before
    else:
        suite = json.loads((folder / "suite.json").read_text()) | {"summary": "another"}
        (folder / "suite.json").write_text(json.dumps(suite))
        found = CliRunner().invoke(cli, ["bench", "list", str(folder)])
        assert "before the run changed" in str(found.exception)


def status(folder: Path) -> list[str]:
    found = CliRunner().invoke(cli, ["bench", "status", str(folder)])
    assert found.exit_code == 0, found.output
    return found.stdout.splitlines()


def test_the_state_of_a_run_is_told_before_its_bank_and_its_faces_are_there(runs: Path) -> None:
    folder = runs / "another"
    *_, counted, step = status(folder)
    assert counted == "6 cells: 4 ok, 2 missing"
    resume = f"latentedit bench run {folder / 'suite.json'} --out {folder}"
    assert step == f"next: {resume}"
    assert load_suite(str(folder / "suite.json")).name == "made"
    store = CellStore(folder)
    store.commit(Cell("faces", {}), Outcome("failed", 1.0, "Traceback\nit was not to be"))
    assert any(line.startswith("faces ") and "not to be" in line for line in status(folder))
    shutil.rmtree(folder / "bank")
    shutil.rmtree(folder / "cells")
    *_, counted, step = status(folder)
    assert counted == "6 cells: 6 missing"
    assert step == f"next: {resume}"
