"""Findings name the better editor of the first effect, by how much, and leave controls out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flat_results import key_of, read_flat, typed
from made_runs import measures, write_run
from made_world import CONTROLS, EDITORS

from latentedit.report.findings import best_editor, findings

ENTRANTS = [*EDITORS, *CONTROLS]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = write_run(tmp_path_factory.mktemp("made") / "run")
    results: dict[str, Any] = read_flat(folder)
    return results


def test_findings_of_another_first_effect_are_about_that_effect(made: dict[str, Any]) -> None:
    """At the second effect beta beats alpha everywhere, and gamma everybody."""
    results = json.loads(json.dumps(made))
    results["suite"]["effects"] = [0.5]
    told = findings(typed(results))
    assert told[0].startswith("alpha is behind beta in reach: -0.")
    assert told[1].startswith("alpha is behind beta in identity similarity (by rec-zeta): -0.")
    reach = {
        m["editor"]: m["mean"]
        for m in measures()
        if (m["metric"], m["task"], m["effect"]) == ("reach", "all tasks", 0.5)
    }
    shares = ", ".join(f"{name} {round(100 * reach[name])}%" for name in ENTRANTS)
    assert told[-1] == f"Share of 24 faces that reach 50% of the requested change: {shares}."


def test_many_editors_share_a_sentence_with_the_nearest_first(made: dict[str, Any]) -> None:
    results = json.loads(json.dumps(made))
    wanted = {"one": 0.3, "two": -0.2, "three": 0.1, "four": 0.4, "five": -0.05}
    verdicts = {"one": "better", "two": "worse", "three": "undecided", "four": "better"}
    verdicts |= {"five": "worse", "six": "equivalent", "seven": "ahead", "eight": "behind"}
    wanted |= {"six": 0.004, "seven": 0.15, "eight": -0.25}
    (base,) = [
        row
        for row in results["comparisons"]
        if (row["first"], row["second"]) == ("alpha", "beta")
        and (row["metric"], row["effect"]) == ("identity similarity · rec-eta", 0.8)
        and row["task"] == "all tasks"
    ]
    results["comparisons"] = [
        base
        | {"second": name, "difference": gap, "verdict": verdicts[name]}
        | {"faces": 90 + i, "fits": 5 - (name in ("seven", "eight"))}
        | changed
        for changed in ({}, {"task": "age", "verdict": "exploratory"}, {"effect": 0.5})
        for i, (name, gap) in enumerate(wanted.items())
    ] + [
        base | {"second": "still", "verdict": "exploratory"},
        base | {"first": "beta", "second": "one"},
    ]
    assert findings(typed(results))[:-1] == [
        "In identity similarity (by rec-eta) alpha is better than one (0.300, 90 faces, 5 fits) "
        "and four (0.400, 93 faces, 5 fits); is worse than five (0.050, 94 faces, 5 fits) and two "
        "(0.200, 91 faces, 5 fits); is ahead of seven (0.150, 96 faces, 4 fits); is behind eight "
        "(0.250, 97 faces, 4 fits); is equivalent to six (0.004, 95 faces, 5 fits); cannot be "
        "told apart from three (0.100, 92 faces, 5 fits).",
        "“Ahead” and “behind” are about these fits alone: “better” takes 5 fits of both editors.",
    ]


@pytest.mark.parametrize(
    ("verdict", "faces", "fits", "told"),
    [
        ("better", 60, 5, "alpha is better than beta in identity similarity (by rec-eta): "),
        ("worse", 60, 5, "alpha is worse than beta in identity similarity (by rec-eta): "),
        ("ahead", 60, 1, "alpha is ahead of beta in identity similarity (by rec-eta): "),
        ("behind", 60, 4, "alpha is behind beta in identity similarity (by rec-eta): "),
        (
            *("equivalent", 60, 5),
            "alpha and beta are equivalent in identity similarity (by rec-eta) (within ±0.01): ",
        ),
        (
            *("undecided", 60, 5),
            "alpha and beta cannot be told apart in identity similarity (by rec-eta): ",
        ),
        (
            *("undecided", 19, 5),
            "Too few faces to compare alpha and beta in identity similarity (by rec-eta): ",
        ),
    ],
)
def test_a_verdict_is_a_sentence_with_its_faces_and_fits(
    made: dict[str, Any], verdict: str, faces: int, fits: int, told: str
) -> None:
    results = json.loads(json.dumps(made))
    (base,) = [
        row
        for row in results["comparisons"]
        if (row["first"], row["second"]) == ("alpha", "beta")
        and (row["metric"], row["effect"]) == ("identity similarity · rec-eta", 0.8)
        and row["task"] == "all tasks"
    ]
    base |= {"verdict": verdict, "faces": faces, "fits": fits}
    base |= {"difference": 0.2, "low": 0.1, "high": 0.3}
    results["comparisons"] = [base]
    number = "one fit" if fits == 1 else f"{fits} fits"
    assert (
        findings(typed(results))[0] == f"{told}+0.200 (+0.100 to +0.300), {faces} faces, {number}."
    )


def test_findings_say_by_whom_options_were_tuned(made: dict[str, Any]) -> None:
    results = json.loads(json.dumps(made))
    assert not [line for line in findings(typed(results)) if "tuned" in line]
    results["suite"]["tune"] = {"trials": 2, "faces": 2}
    results["suite"]["bank"]["n_fit"] = 50
    (told,) = [line for line in findings(typed(results)) if "tuned" in line]
    assert "with the recognisers of this report (rec-zeta and rec-eta)" in told


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
    assert best_editor(typed(made), key_of(metric)) == best


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, ["alpha is ahead of beta", "alpha is ahead of gamma"]),
        ({"focus": "beta"}, ["beta is behind alpha", "beta is ahead of gamma"]),
        ({"baseline": "beta"}, ["alpha is ahead of beta", "gamma is behind beta"]),
    ],
)
def test_findings_are_about_the_focus_or_against_the_baseline(
    asked: dict[str, str], told: list[str], made: dict[str, Any]
) -> None:
    results = json.loads(json.dumps(made))
    results["suite"] |= asked
    about = " in identity similarity (by rec-zeta)"
    lines = [line for line in findings(typed(results)) if about in line]
    assert [line.split(about)[0] for line in lines] == told
