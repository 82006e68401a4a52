"""The example of a second domain: its rules, its words, and a short run from bank to report."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from test_benchmark import Silent

import latentedit_linear
from latentedit import Registry, read_tensors
from latentedit.benchmark.results.summary import summarise
from latentedit.benchmark.run import run_suite
from latentedit.benchmark.suite import Suite, load_suite
from latentedit.benchmark.suite_keys import new_suite
from latentedit.report.page import write_report
from latentedit.testing import check_estimator, check_generator, check_identity

EXAMPLE = Path(__file__).parent.parent / "examples" / "own_domain"
WEIGHTS = EXAMPLE / "latentedit_cars" / "weights.safetensors"
sys.path.insert(0, str(EXAMPLE))  # for processes of a run too, which import this module


def registry() -> Registry:
    import latentedit_cars

    found = Registry()
    found.add(latentedit_cars, "cars")
    found.add(latentedit_linear, "linear")
    return found


def test_the_weights_are_small() -> None:
    assert 0 < WEIGHTS.stat().st_size < 300_000


def test_every_plugin_of_the_example_keeps_its_rules() -> None:
    plugins = registry()
    verdicts = list(check_generator("cars", registry=plugins))
    for name in ("cars-labeller", "cars-judge"):
        verdicts += check_estimator(name, registry=plugins, size=(32, 32))
    verdicts += check_identity("cars-identity", registry=plugins, size=(32, 32))
    assert [(verdict.rule, verdict.fault) for verdict in verdicts if not verdict.kept] == []


def test_a_short_run_of_the_suite_has_a_report_about_cars(tmp_path: Path) -> None:
    whole = load_suite(str(EXAMPLE / "suite.yaml"))
    data = whole.model_dump(mode="json")
    data["bank"] |= {"n_fit": 80, "n_test": 6}
    data |= {"editors": {"regression": {"plugin": "regression"}}, "controls": ["no-edit"]}
    data |= {"tasks": data["tasks"][:1], "effects": [0.5], "strengths": [0.5, 1.0]}
    outcome = run_suite(Suite.model_validate(data), tmp_path, Silent(), registry=registry)
    assert [record.error for record in outcome.failed] == []
    results = summarise(tmp_path)
    assert {m.metric.name for m in results.measures} >= {"reach", "structural-similarity"}
    page = write_report(tmp_path).read_text()
    text = re.sub(r"<(script|style).*?</\1>|<[^>]*>", "", page, flags=re.DOTALL)
    assert "Each car is edited" in text
    assert re.findall(r"[^\n]*\bfaces?\b[^\n]*", text) == []


def test_a_new_suite_for_cars_names_the_example_s_own_plugins() -> None:
    text = new_suite(registry(), "mine", "cars")
    assert "labeller: cars-labeller" in text
    assert "attribute: length" in text


def test_the_script_trains_what_is_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import train

    monkeypatch.setattr(train, "CARS", 64)
    monkeypatch.setattr(train, "WEIGHTS", tmp_path / "weights.safetensors")
    train.main(steps=4)
    made, shipped = read_tensors(tmp_path / "weights.safetensors"), read_tensors(WEIGHTS)
    assert {k: v.shape for k, v in made.items()} == {k: v.shape for k, v in shipped.items()}
    assert "kB" in capsys.readouterr().out
