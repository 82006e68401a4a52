"""Findings name the better editor of the first effect, by how much, and leave controls out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_runs import measures, write_run
from made_world import CONTROLS, EDITORS

from latentedit.report.findings import best_editor, findings

CONTESTANTS = [*EDITORS, *CONTROLS]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = write_run(tmp_path_factory.mktemp("made") / "run")
    results: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return results


def test_findings_of_another_first_effect_are_about_that_effect(made: dict[str, Any]) -> None:
    """At the second effect beta beats alpha everywhere, and gamma everybody."""
    results = json.loads(json.dumps(made))
    results["suite"]["effects"] = [0.5]
    told = findings(results)
    assert told[0].startswith(
        "alpha keeps identity worse on age, glasses and turn than beta (by rec-zeta). Over all "
        "tasks beta is better: alpha − beta is -"
    )
    reach = {
        m["editor"]: m["mean"]
        for m in measures()
        if (m["metric"], m["task"], m["effect"]) == ("reach", "all tasks", 0.5)
    }
    shares = ", ".join(f"{name} {round(100 * reach[name])}%" for name in CONTESTANTS)
    assert told[-1] == f"Share of faces that reach 50% of the requested change: {shares}."


def test_many_editors_share_a_sentence_with_the_nearest_first(made: dict[str, Any]) -> None:
    results = json.loads(json.dumps(made))
    wanted = {"one": 0.3, "two": -0.2, "three": 0.1, "four": 0.4, "five": -0.05}
    better = {"one": "alpha", "two": "two", "three": None, "four": "alpha", "five": "five"}
    (base,) = [
        row
        for row in results["comparisons"]
        if (row["first"], row["second"]) == ("alpha", "beta")
        and (row["metric"], row["effect"]) == ("identity similarity · rec-eta", 0.8)
        and row["task"] == "all tasks"
    ]
    results["comparisons"] = [
        base | {"second": name, "difference": gap, "better": better[name]} | changed
        for changed in ({}, {"task": "age", "better": "alpha"}, {"effect": 0.5, "better": "alpha"})
        for name, gap in wanted.items()
    ] + [base | {"second": "still", "better": "alpha"}, base | {"first": "beta", "second": "one"}]
    assert findings(results)[:-1] == [
        "Over all tasks alpha keeps identity (by rec-eta) better than one (0.300) and four "
        "(0.400); worse than five (0.050) and two (0.200); not told apart from three (0.100)."
    ]


@pytest.mark.parametrize(
    ("metric", "best"),
    [
        ("identity similarity · rec-zeta", "alpha"),
        ("identity similarity · rec-eta", "beta"),
        ("attribute leakage", "gamma"),
        ("true leakage", None),
        ("target error", "beta"),
        ("true identity drift", None),
    ],
)
def test_the_best_editor_beats_every_other_one(
    made: dict[str, Any], metric: str, best: str | None
) -> None:
    assert best_editor(made, metric) == best
