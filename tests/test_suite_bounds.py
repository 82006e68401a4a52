"""Where the bounds of a suite lie: the last value that it takes, and the first that it refuses."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from latentedit.benchmark.plugin_use import ModelUse, PluginUse
from latentedit.benchmark.statistics_plan import StatisticsPlan
from latentedit.benchmark.suite import Suite, find_suite, load_suite, parse_suite
from latentedit.errors import InputError, SuiteError
from latentedit.files.suites import suite_folder

BANK = {"generator": {"plugin": "toy"}, "labeller": "a", "n_fit": 50, "n_test": 2}
MINIMAL: dict[str, Any] = {
    "name": "toy",
    "bank": BANK,
    "judge": "b",
    "identity": ["c"],
    "editors": {"mine": {"plugin": "exact"}},
    "tasks": [{"attribute": "age", "change": 5}, {"attribute": "yaw", "change": 5}],
}


def takes(changes: dict[str, Any]) -> bool:
    try:
        Suite.model_validate(MINIMAL | changes)
    except ValueError:
        return False
    return True


def bank(**changes: Any) -> dict[str, Any]:
    return {"bank": BANK | changes}


def task(**changes: Any) -> dict[str, Any]:
    return {"tasks": [{"attribute": "age", "change": 5} | changes]}


def sequence(*edits: str, name: str = "both") -> dict[str, Any]:
    tasks = [{"attribute": "age", "change": 5, "name": name} for name in ("w", "x", "y", "z")]
    return {"tasks": tasks, "sequences": [{"name": name, "edits": list(edits)}]}


def tune(trials: int = 3, faces: int = 40) -> dict[str, Any]:
    return {"tune": {"trials": trials, "images": faces}}


def statistics(**plan: Any) -> dict[str, Any]:
    return {"statistics": plan}


TINY = 1e-9


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        (bank(n_fit=10), bank(n_fit=9)),
        (bank(n_test=2), bank(n_test=1)),
        (bank(seed=0), bank(seed=-1)),
        (bank(seed=2**31 - 1), bank(seed=2**31)),
        (bank(truncation_psi=1.0), bank(truncation_psi=1.0 + TINY)),
        (bank(truncation_psi=TINY), bank(truncation_psi=0.0)),
        (task(change=TINY), task(change=0)),
        (task(change=1e30), task(change=math.inf)),
        (task(change="flip"), task(change="flop")),
        (task(change=5), task(change=-5)),
        (task(layers=[0, 3]), task(layers=[0.5])),
        (sequence("x", "y"), sequence("x")),
        (sequence("x", "y", "z"), sequence("w", "x", "y", "z")),
        (sequence("x", "y"), sequence("x", "v")),
        (sequence("x", "y", name="v"), sequence("x", "y", name="w")),
        (statistics(confidence=0.5 + TINY), statistics(confidence=0.5)),
        (statistics(confidence=1 - TINY), statistics(confidence=1.0)),
        (statistics(endpoints=["reach"]), statistics(endpoints=[])),
        (statistics(endpoints=["true leakage"]), statistics(endpoints=["drift"])),
        (statistics(error_rate=TINY), statistics(error_rate=0)),
        (statistics(error_rate=1 - TINY), statistics(error_rate=1)),
        (tune(trials=2), tune(trials=1)),
        (tune(trials=100), tune(trials=101)),
        (tune(faces=2), tune(faces=1)),
        (tune(faces=40), tune(faces=41)),  # of 50, which leaves 10 to fit on
        ({"limits": {"seconds": TINY}}, {"limits": {"seconds": 0}}),
        ({"limits": {"memory_gib": TINY}}, {"limits": {"memory_gib": 0}}),
        ({"show_images": 0}, {"show_images": -1}),
        ({"show_images": 64}, {"show_images": 65}),
        ({"strengths": [0.5, 1.0]}, {"strengths": [1.0]}),
        ({"strengths": [TINY, 1.0]}, {"strengths": [0.0, 1.0]}),
        ({"strengths": [1.0, 1.0 + TINY]}, {"strengths": [1.0, 1.0]}),
        ({"strengths": [0.5, 1.0, 2.0]}, {"strengths": [0.5, 2.0, 1.0]}),
        ({"strengths": [0.5, 1.0]}, {"strengths": [0.5, 1.1]}),
        ({"effects": [1.0]}, {"effects": [1.0 + TINY]}),
        ({"effects": [TINY]}, {"effects": [0.0]}),
        ({"effects": [0.5, 0.8]}, {"effects": [0.5, 1.2]}),
        ({"effects": [0.5]}, {"effects": []}),
        ({"seeds": [0]}, {"seeds": []}),
        ({"editors": {"a": {"plugin": "x"}}}, {"editors": {}}),
        ({"controls": []}, {"tasks": []}),
        ({"editors": {"A1_.+-": {"plugin": "x"}}}, {"editors": {"-a": {"plugin": "x"}}}),
        ({"editors": {"a.b": {"plugin": "x"}}}, {"editors": {".b": {"plugin": "x"}}}),
        ({"editors": {"a-b": {"plugin": "x"}}}, {"editors": {"a b": {"plugin": "x"}}}),
        ({"controls": ["no-edit", "resample"]}, {"controls": ["no-edit", "no-edit"]}),
        ({"controls": ["no-edit"]}, {"controls": ["mine"]}),
        (task(name="a"), task(name="a/b")),
        (sequence("x", "y", name="v"), sequence("x", "y", name="v/")),
        (
            {"identity": ["c", {"plugin": "c", "name": "d"}]},
            {"identity": ["c", {"plugin": "d", "name": "c"}]},
        ),
        (
            {"judge": {"plugin": "a", "options": {"x": 1}}},
            {"judge": {"plugin": "a", "options": {}}},
        ),
        ({"judge": "b"}, {"judge": "a"}),
    ],
    ids=str,
)
def test_the_last_value_is_taken_and_the_next_is_refused(
    inside: dict[str, Any], outside: dict[str, Any]
) -> None:
    assert takes(inside)
    assert not takes(outside)


def test_two_tasks_of_one_name_are_refused() -> None:
    age, young = {"attribute": "age", "change": 5}, {"attribute": "age", "change": 6}
    assert not takes({"tasks": [age, young]})
    assert takes({"tasks": [age, young | {"name": "young"}]})


def test_names_of_older_suites_are_read() -> None:
    suite = Suite.model_validate(MINIMAL | {"show_faces": 2, "tune": {"faces": 20}})
    assert (suite.show_images, suite.tune and suite.tune.images) == (2, 20)
    assert Suite.model_validate(suite.model_dump(mode="json")) == suite
    assert "face" not in json.dumps(suite.model_dump(mode="json"))


def test_what_is_not_given_has_the_protocols_value() -> None:
    suite = Suite.model_validate(MINIMAL)
    assert suite.bank.seed == 0
    assert suite.bank.truncation_psi == 1.0
    assert suite.controls is None  # all that are installed
    assert suite.strengths == [0.25, 0.5, 0.75, 1.0, 1.5, 2.0]
    assert suite.effects == [0.8]
    assert suite.seeds == [0]
    assert (suite.sequences, suite.tune, suite.show_images) == ([], None, 6)
    assert suite.statistics == StatisticsPlan(confidence=0.95, error_rate=0.05, endpoints=None)
    assert (suite.limits.seconds, suite.limits.memory_gib) == (1800, None)
    assert [task.name for task in suite.tasks] == ["age", "yaw"]
    tuned = Suite.model_validate(MINIMAL | {"tune": {}}).tune
    assert tuned is not None
    assert (tuned.trials, tuned.images) == (3, 40)


def test_entrants_are_the_editors_and_then_the_controls() -> None:
    suite = Suite.model_validate(MINIMAL | {"controls": ["no-edit"]})
    assert suite.entrants == {
        "mine": PluginUse(plugin="exact"),
        "no-edit": PluginUse(plugin="no-edit"),
    }
    assert list(suite.entrants) == ["mine", "no-edit"]


def test_editors_join_with_their_defaults_and_leave_the_suite_as_it_was() -> None:
    suite = Suite.model_validate(MINIMAL)
    joined = suite.joined(["new"])
    assert joined.editors == {"mine": PluginUse(plugin="exact"), "new": PluginUse(plugin="new")}
    assert list(suite.editors) == ["mine"]


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (ModelUse(plugin="a", options={"x": 1}, name="shown"), True),
        (ModelUse(plugin="a", options={"x": 2}), False),
        (ModelUse(plugin="a"), False),
        (ModelUse(plugin="b", options={"x": 1}), False),
    ],
)
def test_models_are_the_same_by_plugin_and_options(other: ModelUse, same: bool) -> None:
    assert ModelUse(plugin="a", options={"x": 1}).same_model(other) is same


def test_a_model_is_shown_by_its_name_or_else_its_plugin() -> None:
    assert str(ModelUse(plugin="a", name="shown")) == "shown"
    assert str(ModelUse(plugin="a")) == "a"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"statistics": {"confidense": 0.9}}, r"statistics\.confidense: no such key; did you mean"),
        ({"bank": BANK | {"nfit": 5}}, r"bank\.nfit: no such key; did you mean 'n_fit'\?"),
        (
            {"bank": BANK | {"generator": {"plugin": "toy", "optoins": {}}}},
            r"bank\.generator\.optoins: no such key; did you mean 'options'\? Valid: plugin, opt",
        ),
        ({"limits": {"second": 5}}, r"limits\.second: no such key; did you mean 'seconds'\?"),
        ({"tune": {"trial": 5}}, r"tune\.trial: no such key; did you mean 'trials'\?"),
        ({"sequences": [{"nam": "x"}]}, r"did you mean 'name'\? Valid: name, edits"),
        ({"show_images": 65}, r"show_images: .* \(received 65\)"),
    ],
)
def test_a_refusal_names_the_place_and_what_was_found(change: dict[str, Any], told: str) -> None:
    with pytest.raises(SuiteError, match=told):
        parse_suite(yaml.safe_dump(MINIMAL | change))


def test_a_suite_is_read_as_utf_8_whatever_the_machine_speaks(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    told = yaml.safe_dump(MINIMAL | {"summary": "Gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n"})
    said = yaml.safe_load(told)
    path.write_text(yaml.safe_dump(said, allow_unicode=True), encoding="utf-8")
    program = (
        "import sys; from latentedit.benchmark.suite import load_suite; "
        "print(ascii(load_suite(sys.argv[1]).summary))"
    )
    spoken = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    found = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        env=os.environ | spoken,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "'Gr\\xfcn'\n"


def test_a_file_of_exactly_64_kibibytes_is_read_and_a_byte_more_is_not(tmp_path: Any) -> None:
    text, path = yaml.safe_dump(MINIMAL) + "#", tmp_path / "big.yaml"
    path.write_text(text + "x" * ((64 << 10) - len(text)))
    assert load_suite(str(path)).name == "toy"
    path.write_text(text + "x" * ((64 << 10) - len(text) + 1))
    with pytest.raises(InputError, match="more than 65,536"):
        load_suite(str(path))


def test_a_suite_is_found_by_its_name_or_its_path(tmp_path: Any) -> None:
    assert find_suite("quickstart") == suite_folder() / "quickstart.yaml"
    for name in ("mine.yaml", "mine.yml"):
        (tmp_path / name).write_text("")
        assert find_suite(str(tmp_path / name)) == tmp_path / name
    with pytest.raises(InputError, match="there is no suite file"):
        find_suite(str(tmp_path / "quickstart"))


def test_a_run_has_a_cell_for_the_faces_and_each_fit_edit_and_sequence() -> None:
    more = {
        "controls": ["no-edit"],
        "seeds": [1, 2, 3],
        "sequences": [{"name": "both", "edits": ["age", "yaw"]}],
    }
    assert Suite.model_validate(MINIMAL | more).cell_count == 1 + 2 * 3 * (1 + 2 + 1)
