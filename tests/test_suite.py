"""Suites are strict: every wrong leaf is refused, and the message says where and what instead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import toy_editors
import yaml

from latentedit import InputError, Registry, SuiteError, UnknownName
from latentedit.benchmark.run import check_names
from latentedit.benchmark.suite import Suite, find_suite, load_suite, parse_suite
from latentedit.files.suites import suite_folder

SHIPPED = sorted(suite_folder().glob("*.yaml"))
MINIMAL: dict[str, Any] = {
    "name": "toy",
    "bank": {"generator": {"plugin": "toy"}, "labeller": "a", "n_fit": 10, "n_test": 2},
    "judge": "b",
    "identity": ["c"],
    "editors": {"mine": {"plugin": "exact"}},
    "tasks": [{"attribute": "age", "change": 5}],
}


def parsed(**changes: Any) -> Suite:
    return parse_suite(yaml.safe_dump(MINIMAL | changes))


def leaves(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield from leaves(child, (*place, key))
    elif isinstance(value, list):
        for i, child in enumerate(value):
            yield from leaves(child, (*place, i))
    else:
        yield place


def replaced(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = replaced(value[place[0]], place[1:], new)
    return copy


def test_there_are_shipped_suites_and_each_has_a_summary() -> None:
    assert "quickstart" in [file.stem for file in SHIPPED]
    assert all(load_suite(file.stem).summary for file in SHIPPED)
    assert all(load_suite(file.stem).name == file.stem for file in SHIPPED)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_every_mutated_leaf_of_a_shipped_suite_is_refused(file: Path) -> None:
    data = yaml.safe_load(file.read_text())
    for place in leaves(data):
        if "options" in place:  # options are checked by the plugin that they belong to
            continue
        with pytest.raises(SuiteError):
            parse_suite(yaml.safe_dump(replaced(data, place, {"wrong": [None]})))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_every_misspelt_key_of_a_shipped_suite_is_named(file: Path) -> None:
    data = yaml.safe_load(file.read_text())
    for key in data:
        wrong = {(f"{k}x" if k == key else k): v for k, v in data.items()}
        with pytest.raises(SuiteError, match=rf"{key}x: no such key; did you mean '{key}'\?"):
            parse_suite(yaml.safe_dump(wrong))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"strengths": [1.0, 0.5]}, "strengths: are at least two numbers above 0 in ascending"),
        ({"strengths": [0.5, 2.0]}, "must hold 1.0"),
        ({"effects": [1.5]}, "effects: are shares"),
        ({"judge": "a"}, "labels the bank too"),
        ({"tasks": [{"attribute": "age", "change": -5}]}, "tasks.0.change"),
        ({"controls": ["a", "a"]}, "two entries of one name"),
        ({"tasks": [{"attribute": "age", "chnage": 5}]}, "did you mean 'change'"),
        ({"editors": {"a/b": {"plugin": "exact"}}}, "has the name 'a/b'"),
        ({"controls": ["mine"]}, "mine is both an editor and a control"),
        ({"editors": {"mine": {"plugin": "exact", "option": {}}}}, "did you mean 'options'"),
        ({"bank": {}}, "bank.generator: is missing"),
        ({"seeds": []}, "seeds"),
        ({"identity": ["c", "c"]}, "two entries of one name"),
        ({"identity": [{"plugin": "c", "option": {}}]}, "did you mean 'options'"),
        ({"judge": {"options": {}}}, "judge.plugin: is missing"),
        ({"judge": {"plugin": "a", "name": "other"}}, "labels the bank too"),
    ],
)
def test_nonsense_is_refused_with_its_place(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(SuiteError, match=told.replace(".", r"\.")):
        parsed(**changes)


@pytest.mark.parametrize(
    "text",
    [
        "- a list",
        "name: [",
        "name: a\nname: b",
        "name: &x a\nsummary: *x",
        "name: !!python/object/apply:os.system ['true']",
        "1: 2",
        "a: " + "[" * 3000,
        "\x00",
    ],
)
def test_yaml_that_is_no_suite_is_refused(text: str) -> None:
    with pytest.raises(SuiteError):
        parse_suite(text)


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_text("#" * (1 << 21))
    with pytest.raises(InputError, match="more than 65,536"):
        load_suite(str(path))


def test_unknown_suites_list_the_shipped_ones() -> None:
    with pytest.raises(UnknownName, match=r"did you mean 'quickstart'\?"):
        find_suite("quikstart")
    with pytest.raises(InputError, match="there is no suite file"):
        find_suite("none.yaml")


def test_a_suite_survives_its_own_json() -> None:
    suite = parsed()
    assert Suite.model_validate(suite.model_dump(mode="json")) == suite


def test_a_run_can_be_scored_again_unless_its_suite_says_otherwise() -> None:
    assert (parsed().keep_codes, parsed().keep_images) == (True, False)


def test_models_are_named_alone_or_with_options() -> None:
    alone = parsed()
    options = parsed(
        judge={"plugin": "a", "options": {"seed": 1}},
        identity=["c", {"plugin": "c", "name": "c2", "options": {"seed": 2}}],
    )
    assert str(alone.judge) == "b"
    assert options.judge.options == {"seed": 1}
    assert [str(use) for use in options.identity] == ["c", "c2"]
    assert alone.model_dump(mode="json")["judge"] == "b"
    assert Suite.model_validate(options.model_dump(mode="json")) == options


def test_a_suite_without_controls_takes_those_that_are_installed_in_their_order() -> None:
    suite = parsed()
    assert suite.controls is None
    assert list(suite.with_controls(["zero", "far"]).entrants) == ["mine", "zero", "far"]
    assert parsed(controls=["one"]).with_controls(["zero"]).controls == ["one"]
    assert parsed(controls=[]).with_controls(["zero"]).controls == []
    with pytest.raises(SuiteError, match="mine is both an editor of the suite and an installed"):
        suite.with_controls(["zero", "mine"])


def test_the_bundled_controls_stand_in_the_order_of_their_plugin() -> None:
    controls = list(Registry.discover({}).specs("control"))
    assert controls == ["oracle", "no-edit", "random-direction", "resample", "nearest-neighbour"]


def test_a_layer_preset_that_is_not_installed_is_refused_before_anything_is_computed() -> None:
    plugins = toy_editors.registry()
    named = {"generator": {"plugin": "toy"}, "labeller": "toy-labeller", "n_fit": 10, "n_test": 2}
    models = {"bank": named, "judge": "toy-judge", "identity": ["toy-identity"]}
    task = {"attribute": "age", "change": 5}
    check_names(parsed(**models, tasks=[task | {"layers": "middle"}], controls=[]), plugins)
    with pytest.raises(UnknownName, match="did you mean 'middle'"):
        check_names(parsed(**models, tasks=[task | {"layers": "midle"}], controls=[]), plugins)
