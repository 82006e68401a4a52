"""What commands use where no plugin was named: companions of the generator, or the only plugin."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import studio_cars
import toy_editors
import toy_photos
import yaml
from click.testing import CliRunner, Result
from toy import ToyGenerator

import latentedit_inversion
from latentedit import (
    Companions,
    InputError,
    Inverter,
    LatentBank,
    PluginSpec,
    Registry,
    UnknownName,
    hookimpl,
)
from latentedit.cli.main import cli
from latentedit.testing.new import write_package


class Accompanied(ToyGenerator):
    companions = Companions("toy-labeller", "toy-judge", ("toy-identity",))


class Undecided(Inverter):
    """Has no loss of its own."""

    losses = MappingProxyType({})

    def invert(self, images: Any, runtime: Any) -> Any:
        raise NotImplementedError


class _More:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [
            PluginSpec("generator", "accompanied", "test_choices:Accompanied", "for tests"),
            PluginSpec("inverter", "undecided", "test_choices:Undecided", "for tests"),
        ]


def registry() -> Registry:
    found = toy_photos.registry()
    found.add(_More(), "more")
    return found


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setattr(Registry, "discover", staticmethod(registry))
    return lambda *arguments: CliRunner().invoke(cli, arguments)


SMALL = ("--n", "12", "--test", "2", "--out", "B")


def test_a_bank_is_labelled_by_the_companion_of_its_generator(command: Any) -> None:
    made = command("bank", "make", "--generator", "accompanied", *SMALL)
    assert made.exit_code == 0, made.output
    assert LatentBank.open("B").labeller.name == "toy-labeller"
    first = next(iter(registry().specs("editor")))
    assert f"next: latentedit fit {first} --bank B --out E" in made.output


def test_a_labeller_that_is_named_comes_before_the_companion(command: Any) -> None:
    named = ("--generator", "accompanied", "--labeller", "toy-judge")
    assert command("bank", "make", *named, *SMALL).exit_code == 0
    assert LatentBank.open("B").labeller.name == "toy-judge"


@pytest.mark.parametrize("words", [("bank", "make", *SMALL), ("invert", "photos", "--out", "C")])
def test_without_companions_a_labeller_is_asked_for(command: Any, words: tuple[str, ...]) -> None:
    refused = command(*words, "--generator", "toy").exception
    assert isinstance(refused, InputError)
    told = "toy has no default labeller; choose an estimator with --labeller. Installed: "
    assert str(refused) == f"{told}toy-judge, toy-labeller"
    assert not Path("B").exists()


def test_of_several_inverters_one_has_to_be_chosen(command: Any) -> None:
    words = ("invert", "photos", "--generator", "accompanied", "--out", "C")
    refused = command(*words).exception
    assert isinstance(refused, InputError)
    assert "choose one with --inverter; installed inverters: " in str(refused)
    assert "undecided" in str(refused)
    without_loss = command(*words, "--inverter", "undecided").exception
    assert isinstance(without_loss, InputError)
    assert "undecided has no default perceptual loss; choose one with --loss" in str(without_loss)


def test_inversion_takes_the_companions_and_the_losses_of_the_inverter(command: Any) -> None:
    toy_photos.write_photos(Path("photos"))
    quick = [f"--option={option}" for option in ("pictures=32", "w_steps=2", "rows_steps=0")]
    words = ("invert", "photos", "--generator", "accompanied", "--inverter", "optimisation")
    done = command(*words, *quick, "--out", "C")
    assert done.exit_code == 0, done.output
    record = LatentBank.open("C").inversion or {}
    assert [(loss["name"], loss["weight"]) for loss in record["losses"]] == [("pyramid", 1.0)]
    assert all("identity similarity · toy-identity" in row for row in record["photographs"])
    other = command(*words, *quick, "--labeller", "toy-judge", "--json", "--out", "D")
    rows = json.loads(other.stdout)["photographs"]
    assert not any("identity" in key for row in rows for key in row)


def test_the_only_plugin_is_taken_and_none_is_said_to_be_none() -> None:
    found = toy_editors.registry()
    found.add(latentedit_inversion, "inversion")
    assert found.only("inverter", "--inverter") == "optimisation"
    with pytest.raises(InputError, match=r"with --as; installed .*\(none is installed\)"):
        toy_editors.registry().only("bank-importer", "--as")


def test_a_new_package_compares_with_what_is_installed(tmp_path: Path) -> None:
    write_package("my-editor", tmp_path / "A", registry())
    suite = yaml.safe_load((tmp_path / "A" / "suite.yaml").read_text())
    assert suite["bank"]["generator"] == {"plugin": "accompanied"}
    assert (suite["bank"]["labeller"], suite["judge"]) == ("toy-labeller", "toy-judge")
    assert suite["identity"] == ["toy-identity"]
    rival = next(iter(registry().specs("editor")))
    assert suite["editors"] == {"my-editor": {"plugin": "my-editor"}, rival: {"plugin": rival}}
    names = set(registry().estimator("toy-labeller").schema.names)
    assert suite["tasks"]
    assert {task["attribute"] for task in suite["tasks"]} <= names


def test_the_suite_of_a_new_package_asks_what_its_labeller_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    companions = Companions("car-reader", "car-judge", ())
    monkeypatch.setattr(studio_cars.Cars, "companions", companions)
    write_package("my-editor", tmp_path / "A", studio_cars.registry(), "cars")
    suite = yaml.safe_load((tmp_path / "A" / "suite.yaml").read_text())
    assert suite["tasks"] == [
        {"attribute": "wheelbase", "change": {"sigma": 1.0}},
        {"attribute": "roof rack", "change": "flip"},
    ]
    assert suite["summary"].endswith("50 images")


def test_a_new_package_names_a_generator_with_companions(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="toy names no labeller, judge and identity encoder"):
        write_package("my-editor", tmp_path / "A", registry(), "toy")
    with pytest.raises(UnknownName, match="did you mean 'toy'"):
        write_package("my-editor", tmp_path / "A", registry(), "toi")
    assert not (tmp_path / "A").exists()
    write_package("my-editor", tmp_path / "B", toy_editors.registry())
    suite = yaml.safe_load((tmp_path / "B" / "suite.yaml").read_text())
    assert suite["bank"]["generator"] == {"plugin": "GENERATOR"}
