"""The metrics of every run are plugins like those that suites add."""

from __future__ import annotations

from pathlib import Path

import pytest
import toy_editors
from in_process import CommandLine

from latentedit import PluginSpec, Registry, hookimpl
from latentedit.benchmark.results.metrics import IN_ORDER
from latentedit.measures.definitions import METRICS
from latentedit.testing import METRIC_RULES, check_metric


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_of_every_run_keeps_the_rules_of_metrics(name: str) -> None:
    verdicts = list(check_metric(METRICS[name].plugin, registry=Registry()))
    assert [verdict.fault for verdict in verdicts if not verdict.kept] == []
    assert len(verdicts) == len(METRIC_RULES)


def test_the_registry_has_each_of_them_as_it_is_defined() -> None:
    registry = Registry()
    for name, defined in METRICS.items():
        metric = registry.metric(defined.plugin)
        declared = (
            metric.unit,
            metric.higher_is_better,
            metric.formula,
            metric.smallest_difference,
        )
        assert declared == (
            defined.unit,
            defined.higher_is_better,
            defined.formula,
            defined.margin,
        ), name
    listed = [type(metric) for group in IN_ORDER for metric in group]
    assert listed == list(dict.fromkeys(listed))
    assert set(listed) == {registry.load("metric", metric.plugin) for metric in METRICS.values()}


def test_the_command_line_lists_and_shows_them(tmp_path: Path) -> None:
    terminal = CommandLine(tmp_path, toy_editors.registry)
    assert "edit-identity-area" in terminal.ok("plugins", "list")
    told = terminal.ok("plugins", "show", "attribute-leakage")
    for part in ("unit: σ", "higher is better: False", "|A(x') − A(x)|_k' / σ_k'", "attributes"):
        assert part in told
    assert "smallest difference: 0.02" in told
    assert "keeps all" in terminal.ok("plugins", "check", "reach")


class _Rival:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [PluginSpec("metric", "reach", "toy_metrics:Move", "another reach")]


def test_a_plugin_cannot_take_the_name_of_one() -> None:
    found = Registry()
    found.add(_Rival(), "rival")
    assert found.origins[-1].status == "collision"
    assert "latentedit (latentedit) also offers metric 'reach'" in found.origins[-1].detail
