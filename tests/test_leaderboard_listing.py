"""What `bench list` prints and writes as CSV are each run's own numbers."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from made_boards import (
    COLUMNS,
    ENTRIES,
    FIRST,
    entry_of,
    listing,
    write_runs,
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one bank, one of another, and one without results."""
    folder = tmp_path_factory.mktemp("runs")
    write_runs(folder)
    return folder


def test_the_csv_has_every_measure_of_every_entry(runs: Path) -> None:
    found = list(csv.DictReader(io.StringIO(listing(str(runs), "--csv").stdout)))
    digest = json.loads((runs / "first" / "results.json").read_text())["bank_hash"]
    mine = [row for row in found if row["bank"] == digest]
    assert len(mine) == len(ENTRIES) * len(COLUMNS) * 4
    for row in mine:
        metric = " · ".join(part for part in (row["metric"], row["recogniser"]) if part)
        m = entry_of(row["editor"])[metric, row["task"]]
        number = ENTRIES[row["editor"]][1]
        assert row["run"] == str(runs / ("first", "second")[number])
        numbers = [float(row[key]) for key in ("effect", "mean", "low", "high", "images")]
        assert numbers == [m[key] for key in ("effect", "mean", "low", "high", "faces")]


def test_the_terminal_has_a_row_an_entry_with_run_and_means(runs: Path) -> None:
    digests = [
        json.loads((runs / name / "results.json").read_text())["bank_hash"][:8]
        for name in ("first", "another")
    ]
    lines = listing(str(runs)).stdout.splitlines()
    titles = [i for i, line in enumerate(lines) if line.startswith("bank ")]
    assert [lines[i].rstrip() for i in titles] == [
        f"bank {digest}, 24 faces, age, glasses, turn, at 80% of the requested change"
        for digest in digests
    ]
    shown = [line.split() for line in lines[titles[0] : titles[1]] if line.strip()]
    columns = [c for c in COLUMNS if c.split(" ")[0] != "edit–identity"]
    columns = [c for c in columns if "accuracy" not in c and "drift" not in c]
    body = [
        words for words in shown if words[0].split(" (")[0] in ("alpha", "beta", *FIRST, "omega")
    ]
    assert len(body) == len(ENTRIES)
    for words, name in zip(body, ENTRIES, strict=True):
        number = ENTRIES[name][1]
        means = [f"{entry_of(name)[metric, 'all tasks']['mean']:.3f}" for metric in columns]
        assert words == [*name.split(), ("first", "second")[number], *means]
    heads = " ".join(" ".join(words) for words in shown[1:3])
    assert heads.index("reach ↑") < heads.index("leakage ↓") < heads.index("error ↓")
    assert heads.count("eta") == heads.count("zeta") + 1 == 2
