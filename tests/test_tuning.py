"""Options chosen on a validation split, with one budget for all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tunable_editors
from click.testing import CliRunner
from flat_results import summarise

from latentedit import LatentBank, Registry, SuiteError
from latentedit.benchmark.cells.tuning import trial_options
from latentedit.benchmark.run import RunOutcome, explain, run_suite
from latentedit.benchmark.suite import Suite, parse_suite
from latentedit.cli.main import cli
from latentedit.registry import parse_options
from latentedit.report.page import write_report

SUITE: dict[str, Any] = {
    "name": "tuned",
    "bank": {
        "generator": {"plugin": "toy"},
        "labeller": "toy-labeller",
        "n_fit": 60,
        "n_test": 10,
    },
    "judge": "toy-judge",
    "identity": ["toy-identity"],
    "editors": {
        "adjustable": {"plugin": "adjustable"},
        "leaking": {"plugin": "adjustable", "options": {"leak": 0.3}},
        "fixed": {"plugin": "fixed"},
    },
    "controls": ["no-edit"],
    "tasks": [{"attribute": "age", "change": 10}],
    "strengths": [1.0, 2.0],
    "tune": {"trials": 3, "images": 20},
    "show_images": 2,
}


class Silent:
    def progressed(self, cell_id: str, fraction: float, message: str) -> None:
        assert 0 <= fraction <= 1

    def finished(self, cell_id: str, status: str, error: str) -> None:
        assert status == "ok", error


def carry_out(folder: Path, **changes: Any) -> RunOutcome:
    suite = Suite.model_validate(SUITE | changes)
    return run_suite(suite, folder, Silent(), registry=tunable_editors.registry, workers=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tuned"
    assert carry_out(folder).computed == 1 + 4 + 4
    return folder


def tuning(results: dict[str, Any], editor: str) -> dict[str, Any]:
    return next(row for row in results["tuning"] if row["editor"] == editor)


def test_the_best_options_are_chosen_and_every_trial_has_its_score(run: Path) -> None:
    """Leak 0: nothing else moves. Leak 0.3: 0.8 · 0.3 σ of yaw, one of three other attributes.
    Gain 0.1: nobody reaches 80 %."""
    results = summarise(run)
    found = tuning(results, "adjustable")
    assert found["chosen"] == '{"leak":0.0}'
    assert list(found["scores"]) == ["{}", '{"gain":0.1,"leak":0.0}', '{"leak":0.0}']
    scores = list(found["scores"].values())
    assert scores == pytest.approx([1 - 0.8 * 0.3 / 3, -1.0, 1.0], abs=0.02)
    config = json.loads(
        (run / "cells" / "fit--adjustable--seed0" / "editor" / "config.json").read_text()
    )
    assert config["options"] == {"gain": 1.0, "leak": 0.0}


def test_what_the_suite_states_is_not_tried_and_controls_are_not_tuned(run: Path) -> None:
    results = summarise(run)
    scores = tuning(results, "leaking")["scores"]
    assert list(scores) == ['{"leak":0.3}', '{"gain":0.1,"leak":0.3}', '{"gain":1.5,"leak":0.3}']
    assert list(tuning(results, "fixed")["scores"]) == ["{}"]
    assert {row["editor"] for row in results["tuning"]} == set(SUITE["editors"])


def test_the_report_shows_budget_and_choice(run: Path) -> None:
    summarise(run)
    page = write_report(run).read_text()
    assert "chosen on 20 validation faces" in page
    assert "<code>{&#34;leak&#34;:0.0}</code> ← chosen" in page
    out = CliRunner().invoke(cli, ["bench", "report", str(run)], env={"COLUMNS": "200"}).output
    assert "tuned on 20 validation faces, 3 trials each" in out
    assert 'adjustable: {"leak":0.0} at 1.0' in out
    assert "fixed: {}" in out


def test_the_same_command_computes_nothing_and_a_new_budget_says_so(run: Path) -> None:
    again = carry_out(run)
    assert (again.computed, again.kept) == (0, 9)
    suite = json.loads((run / "suite.json").read_text())
    (run / "suite.json").write_text(json.dumps(suite | {"tune": {"trials": 4, "images": 20}}))
    lines = explain(run, "fit--adjustable--seed0", registry=tunable_editors.registry)
    assert "tune.trials was 3, is 4" in lines
    (run / "suite.json").write_text(json.dumps(suite))


def test_validation_faces_are_in_no_fit(run: Path) -> None:
    from latentedit import fit_editor

    seen: list[int] = []

    def remember(editor: Any, data: Any, runtime: Any) -> Any:
        seen.append(len(data))
        return original(editor, data, runtime)

    original = tunable_editors.Adjustable.fit
    bank = LatentBank.open(run / "bank")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tunable_editors.Adjustable, "fit", remember)
        fit_editor(tunable_editors.registry(), "adjustable", bank, held_out=20)
    assert seen == [40]


def test_without_a_plan_nothing_is_tuned(tmp_path: Path) -> None:
    carry_out(tmp_path / "plain", tune=None, editors={"adjustable": {"plugin": "adjustable"}})
    results = summarise(tmp_path / "plain")
    assert results["tuning"] == []
    assert "<h2>Tuning</h2>" not in write_report(tmp_path / "plain").read_text()


def test_a_plan_that_leaves_nothing_to_fit_on_is_refused() -> None:
    text = json.dumps(SUITE | {"tune": {"trials": 3, "images": 55}})
    with pytest.raises(SuiteError, match="55 of 60 images held out"):
        parse_suite(text)


def test_every_bundled_editor_declares_candidates_that_its_options_take() -> None:
    registry = Registry.discover({})
    shipped = Suite.model_validate(
        SUITE
        | {
            "editors": {name: {"plugin": name} for name in registry.names("editor")},
            "controls": [],
            "tune": {"trials": 4, "images": 20},
        }
    )
    for name in registry.names("editor"):
        tried = trial_options(shipped, name, registry)
        wanted = 4 if registry.load("editor", name).Options.model_fields else 1
        assert len(tried) == wanted, f"{name} declares {len(tried) - 1} candidates"
        for options in tried:
            parse_options(registry.load("editor", name), name, options)
