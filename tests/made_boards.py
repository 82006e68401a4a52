"""Runs written by hand that are on a leaderboard together, and what it must show of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from click.testing import CliRunner
from made_runs import measures, write_run
from made_world import RECOGNISERS, by_recogniser

from latentedit.cli.main import cli

FIRST = ["alpha", "beta", "gamma", "still", "stray"]
SECOND = ["alpha", "omega", "still"]
ENTRIES = {
    "alpha (first)": ("alpha", 0),
    "beta": ("beta", 0),
    "gamma": ("gamma", 0),
    "alpha (second)": ("alpha", 1),
    "omega": ("omega", 1),
    "still": ("still", 0),
    "stray": ("stray", 0),
}
"""On the board: the editor and the number of its run."""
CONTROLS = ("still", "stray")
COLOURS = dict(
    zip(
        ENTRIES,
        ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#8a8f98", "#b0a89a"),
        strict=True,
    )
)
SORTED = sorted(RECOGNISERS)
COLUMNS = [
    "reach",
    *(f"identity similarity · {name}" for name in SORTED),
    *(f"identity accuracy · {name}" for name in SORTED),
    "attribute leakage",
    "true leakage",
    "true identity drift",
    "target error",
    *(f"edit–identity area · {name}" for name in SORTED),
]
LOWER = ("attribute leakage", "true leakage", "true identity drift", "target error")
UNMATCHED = ("target error", *by_recogniser("edit–identity area"))


def listing(*arguments: str) -> Any:
    found = CliRunner().invoke(cli, ["bench", "list", *arguments])
    assert found.exit_code == 0, found.output
    return found


def entry_of(name: str) -> dict[tuple[str, str], dict[str, Any]]:
    """By metric and task the measures of an entry at the first effect, or unmatched."""
    editor, number = ENTRIES[name]
    names = FIRST if number == 0 else SECOND
    return {
        (m["metric"], m["task"]): m
        for m in measures(names, number)
        if m["editor"] == editor and m["effect"] in (0.0, 0.8)
    }


def write_runs(folder: Path) -> None:
    """Two runs of one bank, one of another, and one without results."""
    often: dict[str, Any] = {"statistics": {"confidence": 0.9, "error_rate": 0.5}}
    write_run(folder / "first", **often)
    two = {"editors": {n: {"plugin": n} for n in SECOND[:2]}, "controls": SECOND[2:]}
    write_run(folder / "second", 1, **two, **often)
    other = {"editors": {"omega": {"plugin": "omega"}}, "controls": []}
    write_run(folder / "another", 2, bank_seed=5, **other)
    write_run(folder / "broken", 3, bank_seed=6, **other)
    (folder / "broken" / "results.json").unlink()
