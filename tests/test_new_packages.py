"""New packages of every kind pass their own kit."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from in_process import CommandLine
from toy import toy_registry
from toy_metrics import metric_registry

from latentedit import Registry, UnknownName
from latentedit.testing import check_estimator, check_generator, check_identity, check_metric
from latentedit.testing.describe import OptionDescription, describe
from latentedit.testing.new import write_package

CHECKS = {
    "generator": (check_generator, {"weights_seed": 1}),
    "estimator": (check_estimator, {"gain": 2.0}),
    "identity": (check_identity, {"cells": 3}),
    "metric": (check_metric, {"power": 2.0}),
}


@pytest.mark.parametrize("kind", CHECKS)
def test_a_new_package_keeps_every_rule_of_its_kind(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "package"
    written = write_package(f"my-{kind}", folder, kind=kind)
    assert all(path.is_file() for path in written)
    monkeypatch.syspath_prepend(str(folder))
    registry = Registry()
    registry.add(importlib.import_module(f"latentedit_my_{kind}"), f"my-{kind}")
    check, other = CHECKS[kind]
    verdicts = list(check(f"my-{kind}", None, registry, other))  # type: ignore[operator]
    assert [verdict.fault for verdict in verdicts] == [""] * len(verdicts)
    test = (folder / "tests" / "test_contract.py").read_text()
    assert f'{kind}_contract("my-{kind}")' in test


def test_a_package_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'metric'"):
        write_package("mine", tmp_path / "x", kind="metrics")


def test_a_plugin_is_shown_with_its_options(tmp_path: Path) -> None:
    shown = describe(metric_registry(), "move")
    assert (shown.kind, shown.origin) == ("metric", "toy-metrics 1")
    assert shown.interface == "latentedit.interfaces.metric:EditMetric"
    assert shown.meaning == "How far a code moved: scale · |w' − w|."
    assert shown.options == (OptionDescription("scale", "float", "1.0", "a factor."),)
    printed = CommandLine(tmp_path, metric_registry).ok("plugins", "show", "move")
    for part in ("metric of toy-metrics 1", "scale", "float", "1.0", "a factor."):
        assert part in printed
    assert "no options" in CommandLine(tmp_path, toy_registry).ok("plugins", "show", "middle")


def test_a_plugin_that_is_not_there_is_not_shown() -> None:
    with pytest.raises(UnknownName, match="did you mean 'move'"):
        describe(metric_registry(), "moves")
    with pytest.raises(UnknownName, match="did you mean 'metric'"):
        describe(metric_registry(), "move", "metrics")
