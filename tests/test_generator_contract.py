"""Every bundled generator keeps every rule, and wrong ones are found out."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pickles
import pytest
import wrong_generators
from alias_free_networks import SMALL, architecture, pickled, random_weights
from in_process import CommandLine
from toy import toy_registry
from wrong_generators import WRONG

import latentedit_stylegan
import latentedit_synthface
from latentedit import Registry, UnknownName
from latentedit.testing import GENERATOR_RULES, check_generator, generator_contract
from latentedit_stylegan.importing import import_network

REGISTRY = toy_registry(latentedit_synthface, latentedit_stylegan)


NEEDED = (
    "says what it has",
    "draws codes by seed",
    "converts to codes of the other space",
    "makes images",
)
"""Rules without which no other is tried."""


@cache
def stylegan2(seed: int) -> Mapping[str, str]:
    """Options of a small random network that was imported."""
    return network(pickles.nvidia_pickle(pickles.random_network(seed=seed)))


@cache
def stylegan3(seed: int) -> Mapping[str, str]:
    return network(pickled(SMALL, random_weights(architecture(SMALL), seed)))


def network(data: bytes) -> Mapping[str, str]:
    folder = Path(tempfile.mkdtemp())
    file = pickles.write(folder / "network.pkl", data)
    return {"path": str(import_network(file, folder / "network").folder)}


test_toy_keeps = generator_contract("toy", None, REGISTRY, {"entanglement": 0.5})
test_synthface_keeps = generator_contract("synthface", None, REGISTRY, {"world_seed": 1})
test_synthface_net_keeps = generator_contract(
    "synthface-net", None, REGISTRY, {"precision": "bf16"}
)
test_stylegan2_keeps = generator_contract(
    "stylegan2", lambda: stylegan2(0), REGISTRY, lambda: stylegan2(1)
)
test_stylegan3_keeps = generator_contract(
    "stylegan3", lambda: stylegan3(0), REGISTRY, lambda: stylegan3(1)
)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_generator_is_found_out_by_the_rule_that_it_breaks(name: str) -> None:
    _, rule, told = WRONG[name]
    registry = wrong_generators.registry()
    verdicts = list(check_generator(name, {}, registry, {"correlation": 0.5}))
    broken = {verdict.rule: verdict.fault for verdict in verdicts if verdict.fault}
    assert list(broken) == [rule]
    assert told in broken[rule]
    untried = [verdict.rule for verdict in verdicts if verdict.fault is None]
    assert bool(untried) == (rule in NEEDED)


def test_every_rule_has_a_generator_that_breaks_it() -> None:
    rules = {rule.__name__.replace("_", " ") for rule in GENERATOR_RULES}
    assert rules - {row[1] for row in WRONG.values()} == {"is light to list"}


def test_a_right_generator_keeps_every_rule() -> None:
    verdicts = check_generator("right", {}, wrong_generators.registry(), {"correlation": 0.5})
    assert [verdict.fault for verdict in verdicts] == [""] * len(GENERATOR_RULES)


def test_an_unknown_generator_is_refused_before_anything_is_tried() -> None:
    with pytest.raises(UnknownName, match="did you mean 'right'"):
        list(check_generator("rigth", registry=wrong_generators.registry()))


def test_a_generator_is_checked_on_the_command_line(tmp_path: Path) -> None:
    command = CommandLine(tmp_path, Registry.discover)
    told = command.ok("plugins", "check", "synthface", "--option", "resolution=32", "--json")
    assert [verdict["fault"] for verdict in json.loads(told)] == [""] * len(GENERATOR_RULES)
