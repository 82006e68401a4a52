"""Bundled estimators, identity encoders and metrics keep every rule; wrong ones are found out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import toy_metrics
import wrong_models
from in_process import CommandLine
from toy import toy_registry
from toy_metrics import metric_registry

import latentedit_synthface
from latentedit import UnknownName
from latentedit.testing import (
    ESTIMATOR_RULES,
    IDENTITY_RULES,
    METRIC_RULES,
    Verdict,
    check_estimator,
    check_identity,
    check_metric,
    estimator_contract,
    identity_contract,
    metric_contract,
)

BUNDLED = toy_registry(latentedit_synthface)
OTHER = {"gain": 2.0}

test_the_toy_labeller_keeps = estimator_contract("toy-labeller", None, BUNDLED, size=(8, 8))
test_the_toy_identity_keeps = identity_contract("toy-identity", None, BUNDLED, size=(8, 8))
test_the_bundled_labeller_keeps = estimator_contract("synthface-labeller", None, BUNDLED)
test_the_bundled_judge_keeps = estimator_contract("synthface-judge", None, BUNDLED)
test_a_bundled_recogniser_keeps = identity_contract("synthface-identity-contrastive", None, BUNDLED)
test_structural_similarity_keeps = metric_contract("structural-similarity", None, BUNDLED)
test_a_metric_keeps = metric_contract("move", None, metric_registry(), {"scale": 2.0})
test_a_metric_of_sets_keeps = metric_contract("spread", None, metric_registry())


def check(verdicts: Iterable[Verdict], rule: str, told: str, rules: int) -> None:
    """The verdicts name this rule alone, and say this of it."""
    found = list(verdicts)
    broken = {verdict.rule: verdict.fault for verdict in found if verdict.fault}
    assert list(broken) == [rule]
    assert told in broken[rule]
    assert len(found) == rules


@pytest.mark.parametrize("name", wrong_models.ESTIMATORS)
def test_a_wrong_estimator_is_found_out_by_the_rule_that_it_breaks(name: str) -> None:
    _, rule, told = wrong_models.ESTIMATORS[name]
    verdicts = check_estimator(name, {}, wrong_models.registry(), OTHER)
    check(verdicts, rule, told, len(ESTIMATOR_RULES))


@pytest.mark.parametrize("name", wrong_models.ENCODERS)
def test_a_wrong_identity_encoder_is_found_out_by_the_rule_that_it_breaks(name: str) -> None:
    _, rule, told = wrong_models.ENCODERS[name]
    verdicts = check_identity(name, {}, wrong_models.registry(), OTHER)
    check(verdicts, rule, told, len(IDENTITY_RULES))


@pytest.mark.parametrize("name", toy_metrics.WRONG)
def test_a_wrong_metric_is_found_out_by_the_rule_that_it_breaks(name: str) -> None:
    _, rule, told = toy_metrics.WRONG[name]
    verdicts = check_metric(name, {}, metric_registry(), {"scale": 2.0})
    check(verdicts, rule, told, len(METRIC_RULES))


@pytest.mark.parametrize(
    ("rules", "wrong"),
    [
        (ESTIMATOR_RULES, wrong_models.ESTIMATORS),
        (IDENTITY_RULES, wrong_models.ENCODERS),
        (METRIC_RULES, toy_metrics.WRONG),
    ],
)
def test_every_rule_has_a_plugin_that_breaks_it(
    rules: tuple[Callable[..., None], ...], wrong: dict[str, tuple[type, str, str]]
) -> None:
    names = {rule.__name__.replace("_", " ") for rule in rules}
    assert names - {row[1] for row in wrong.values()} == {"is light to list"}


def test_right_models_keep_every_rule() -> None:
    registry = wrong_models.registry()
    verdicts = [*check_estimator("reads", {}, registry, OTHER)]
    verdicts += check_identity("recognises", {}, registry, OTHER)
    assert [verdict.fault for verdict in verdicts if not verdict.kept] == []


def test_an_unknown_model_is_refused_before_anything_is_tried() -> None:
    with pytest.raises(UnknownName, match="did you mean 'reads'"):
        list(check_estimator("read", registry=wrong_models.registry()))
    with pytest.raises(UnknownName, match="did you mean 'recognises'"):
        list(check_identity("recognise", registry=wrong_models.registry()))
    with pytest.raises(UnknownName, match="did you mean 'move'"):
        list(check_metric("moves", registry=metric_registry()))


@pytest.mark.parametrize(
    ("name", "place"),
    [("reads", "judge"), ("recognises", "identity"), ("structural-similarity", "metrics")],
)
def test_the_command_checks_plugins_of_these_kinds(name: str, place: str, tmp_path: Path) -> None:
    shown = CommandLine(tmp_path, wrong_models.registry)("plugins", "check", name)
    assert shown.returncode == 0
    assert f"{name} keeps all" in shown.stdout + shown.stderr
    assert f"under {place}:" in shown.stdout + shown.stderr
    broken = CommandLine(tmp_path, wrong_models.registry)("plugins", "check", "keeps-lengths")
    assert broken.returncode == 1
