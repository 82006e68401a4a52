"""The leaderboard sets runs of one bank side by side, keeps banks apart, and works in a browser."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flat_results import flat, leader
from test_benchmark import SUITE, carry_out
from test_report import Tags

from latentedit.benchmark.results.summary import summarise
from latentedit.cli.main import cli


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one bank, one of another, and one that nobody finished."""
    folder = tmp_path_factory.mktemp("leaderboard")
    both = {"exact": {"plugin": "exact"}, "leaky": {"plugin": "leaky"}}
    carry_out(folder / "first", editors=both)
    carry_out(folder / "second", editors={n: {"plugin": n} for n in ("leaky", "timid")})
    other = SUITE["bank"] | {"seed": 5}
    carry_out(folder / "third", editors={"timid": {"plugin": "timid"}}, bank=other)
    for name in ("first", "second", "third"):
        summarise(folder / name)
    shutil.copytree(folder / "first", folder / "unfinished")
    (folder / "unfinished" / "results.json").unlink()
    return folder


def listing(*arguments: str) -> Any:
    found = CliRunner().invoke(cli, ["bench", "list", *arguments])
    assert found.exit_code == 0, found.output
    return found


@pytest.fixture(scope="module")
def boards(runs: Path) -> list[dict[str, Any]]:
    return list(flat(json.loads(listing(str(runs), "--json").stdout)))


@pytest.fixture(scope="module")
def page(runs: Path) -> Path:
    listing(str(runs), "--html", str(runs / "board.html"))
    return runs / "board.html"


def test_banks_are_never_mixed(boards: list[dict[str, Any]]) -> None:
    names = [[entry["name"] for entry in board["entries"]] for board in boards]
    assert names == [
        ["exact", "leaky (first)", "leaky (second)", "timid", "no-edit"],
        ["timid", "no-edit"],
    ]
    assert boards[0]["bank_hash"] != boards[1]["bank_hash"]


def test_editors_of_different_runs_are_paired_by_face(boards: list[dict[str, Any]]) -> None:
    met = {
        (row["first"], row["second"]): row
        for row in boards[0]["comparisons"]
        if row["task"] == "all tasks" and row["metric"] == "identity similarity · toy-identity"
    }
    found = met["exact", "leaky (second)"]
    assert leader(found) == "exact"
    assert found["low"] > 0
    assert met["leaky (first)", "leaky (second)"]["verdict"] == "equivalent"


def test_csv_has_a_row_for_each_measure(runs: Path, boards: list[dict[str, Any]]) -> None:
    rows = list(csv.DictReader(io.StringIO(listing(str(runs), "--csv").stdout)))
    assert len(rows) == sum(len(board["measures"]) for board in boards)
    assert {row["bank"] for row in rows} == {board["bank_hash"] for board in boards}


def test_unfinished_runs_are_named(runs: Path) -> None:
    assert "unfinished" in listing(str(runs)).stderr


def test_no_run_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    found = CliRunner().invoke(cli, ["bench", "list", str(tmp_path)])
    assert found.exit_code != 0
    assert "latentedit bench run" in str(found.exception)


def test_the_page_is_well_formed_and_needs_nothing_else(page: Path) -> None:
    tags = Tags()
    tags.feed(page.read_text())
    assert tags.open == []
    assert any(load.startswith("data:image/png;base64,") for load in tags.loads)
    assert all(load.startswith(("data:image/png;base64,", "#")) for load in tags.loads)
