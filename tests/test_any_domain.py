"""Suites and commands make no assumption about a bank's domain."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import toy_editors
from flat_results import summarise
from test_benchmark import SUITE, Silent
from torch import Tensor
from toy import SCHEMA, ToyGenerator, toy_registry

from latentedit import (
    Attribute,
    AttributeSchema,
    Generator,
    InputError,
    PluginFault,
    PluginSpec,
    Subject,
    UnknownName,
    fingerprint,
    hookimpl,
    make_bank,
    read_json,
    write_json,
)
from latentedit.benchmark.cells.asked import requested
from latentedit.benchmark.results.board import boards
from latentedit.benchmark.run import run_suite
from latentedit.benchmark.suite import Suite
from latentedit.benchmark.task import Task
from latentedit.cli.choices import example_setting, subject_of
from latentedit.report.leaderboard import write_leaderboard
from latentedit.report.page import write_report
from latentedit.testing import check_generator

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
    assert example_setting(AttributeSchema((vector, wide))) == "wheelbase=4"
    lit = Attribute("light", "vector", -1.0, 1.0, size=2, named={"left": (1.0, 0.0)})
    assert example_setting(AttributeSchema((lit,))) == "light=left"
    roof = Attribute("roof", "binary", 0.0, 1.0)
    assert example_setting(AttributeSchema((roof, wide))) == "roof=1"


@pytest.mark.parametrize(
    ("low", "high", "unit", "example"),
    [
        (-40.0, 40.0, "degrees", "yaw=30"),
        (0.0, 0.3, "", "yaw=0.25"),
        (120.0, 1700.0, "kg", "yaw=1500"),
        (-10.0, 10.0, "σ", "yaw+=1"),  # ten standard deviations are further than any image
        (5.0, 5.0, "", "yaw+=1"),
    ],
)
def test_an_example_of_a_target_is_a_round_number_in_the_attribute_s_unit(
    low: float, high: float, unit: str, example: str
) -> None:
    schema = AttributeSchema((Attribute("yaw", "continuous", low, high, unit),))
    assert example_setting(schema) == example


class FourChannels(ToyGenerator):
    """Images with a channel of transparency."""

    def __init__(self) -> None:
        super().__init__()
        self.fingerprint = fingerprint({"world": type(self).__name__})

    def synthesize(self, codes: Tensor, space: str = "w") -> Tensor:
        images = super().synthesize(codes, space)
        return torch.cat([images, images[:, :1]], 1)


class OneChannel(FourChannels):
    def synthesize(self, codes: Tensor, space: str = "w") -> Tensor:
        return ToyGenerator.synthesize(self, codes, space)[:, :1]


class InBytes(FourChannels):
    """Images from 0 to 255."""

    def synthesize(self, codes: Tensor, space: str = "w") -> Tensor:
        return 127.5 * (ToyGenerator.synthesize(self, codes, space) + 1)


WRONG = {
    "four-channels": (FourChannels, r"4, 8, 8\) .* not \(\d+, 3, 8, 8\)"),
    "one-channel": (OneChannel, r"1, 8, 8\) .* not \(\d+, 3, 8, 8\)"),
    "in-bytes": (InBytes, r"images from [\d.]+ to [\d.]+; they must be in \[-1, 1\]"),
}


class _Wrong:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [
            PluginSpec("generator", name, f"test_any_domain:{found.__name__}", "")
            for name, (found, _) in WRONG.items()
        ]


@pytest.mark.parametrize("name", WRONG)
def test_images_of_another_form_are_refused_by_the_guard_and_by_the_rules(
    name: str, tmp_path: Path
) -> None:
    registry, said = toy_registry(_Wrong()), WRONG[name][1]
    with pytest.raises(PluginFault, match=said):
        make_bank(
            registry, tmp_path / "bank", generator=name, labeller="toy-labeller", n_fit=10, n_test=2
        )
    assert not (tmp_path / "bank").exists()
    faults = {v.rule: v.fault for v in check_generator(name, registry=registry) if not v.kept}
    assert "makes images" in faults


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sigma": 1.0}, "all labels of the fit split are equal; ask for an amount"),
        ({"quantile": 0.9}, "asks 4 of 4 images for the age that they have"),
    ],
)
def test_changes_by_labels_that_are_all_equal_are_refused(
    change: dict[str, float], said: str
) -> None:
    labels = torch.full((4, SCHEMA.width), 0.5)
    task = Task.model_validate({"attribute": "age", "change": change})
    with pytest.raises(InputError, match=said):
        requested(task, labels, labels, SCHEMA)


def test_messages_name_what_the_generator_s_images_show(tmp_path: Path) -> None:
    assert Subject("car", "cars").counted(2) == "2 cars"
    with pytest.raises(InputError, match="a noun and its plural"):
        Subject("car", " ")
    assert ToyGenerator.subject == Subject("face", "faces")
    assert Generator.subject == Subject("image", "images")
    assert subject_of(toy_registry(), "toy").many == "faces"
    assert subject_of(toy_registry(), "nobody") == Subject("image", "images")
    folder = tmp_path / "run"
    run_suite(Suite.model_validate(PLAIN), folder, Silent(), registry=toy_editors.registry)
    summarise(folder)
    assert "Each face is edited" in write_report(folder).read_text()
    path = folder / "provenance.json"
    record = read_json(path)
    record["bank"]["subject"] = ["car", "cars"]
    write_json(path, record)
    summarise(folder)
    page = write_report(folder).read_text()
    assert "12 cars, 2 tasks" in page
    assert "Each car is edited" in page
    assert "Share of 12 cars that reach" in page
    text = re.sub(r"<(script|style).*?</\1>|<[^>]*>", "", page, flags=re.DOTALL)
    assert re.findall(r"[^\n]*\bfaces?\b[^\n]*", text) == []
