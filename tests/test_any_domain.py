"""Suites and commands make no assumption about a bank's domain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import toy_editors
from flat_results import summarise
from test_benchmark import SUITE, Silent

from latentedit import Attribute, AttributeSchema, InputError, UnknownName
from latentedit.benchmark.results.board import boards
from latentedit.benchmark.run import run_suite
from latentedit.benchmark.suite import Suite
from latentedit.cli.choices import example_setting
from latentedit.report.leaderboard import write_leaderboard
from latentedit.report.page import write_report

PLAIN: dict[str, Any] = SUITE | {
    "bank": {"generator": "toy", "labeller": "toy-labeller", "n_fit": 60, "n_test": 12},
    "editors": {"exact": {"plugin": "exact"}},
    "identity": [],
}


def test_a_generator_is_a_plain_string_too() -> None:
    plan = Suite.model_validate(PLAIN).bank
    assert plan.generator == Suite.model_validate(SUITE).bank.generator


def test_a_suite_without_identity_encoders_has_results_without_identity(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    given = PLAIN | {"tune": {"trials": 2, "faces": 20}}
    outcome = run_suite(
        Suite.model_validate(given), folder, Silent(), registry=toy_editors.registry
    )
    assert [record.error for record in outcome.failed] == []
    names = {row["metric"].split(" · ")[0] for row in summarise(folder)["measures"]}
    assert "attribute leakage" in names
    assert not [name for name in names if name.startswith("identity")]
    assert "identity similarity by" not in write_report(folder).read_text()
    shown, refused = boards([folder])
    assert not refused
    write_leaderboard(shown, refused, tmp_path / "board.html")


@pytest.mark.parametrize(
    ("task", "error", "said"),
    [
        ({"attribute": "agee", "change": 5}, UnknownName, "did you mean 'age'"),
        ({"attribute": "age", "change": 5, "among": {"yaww": [0, 1]}}, UnknownName, "'yaw'"),
        ({"attribute": "age", "change": 90}, InputError, "range is 0 to 70 years"),
        ({"attribute": "lighting", "change": 1}, InputError, "'lighting' is a vector"),
    ],
)
def test_tasks_are_checked_before_the_bank_is_made(
    task: dict[str, Any], error: type[Exception], said: str, tmp_path: Path
) -> None:
    suite = Suite.model_validate(PLAIN | {"tasks": [task], "sequences": []})
    with pytest.raises(error, match=said):
        run_suite(suite, tmp_path / "run", Silent(), registry=toy_editors.registry)
    assert not (tmp_path / "run" / "bank").exists()


def test_an_example_of_a_target_is_one_that_the_schema_has() -> None:
    vector = Attribute("light", "vector", -1.0, 1.0, size=3)
    assert example_setting(AttributeSchema((vector,))) == "light=VALUE"
    wide = Attribute("wheelbase", "continuous", 2.0, 4.0, "m")
    assert example_setting(AttributeSchema((vector, wide))) == "wheelbase=3.9"
    roof = Attribute("roof", "binary", 0.0, 1.0)
    assert example_setting(AttributeSchema((roof, wide))) == "roof=1"
