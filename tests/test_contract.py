"""Every bundled editor keeps every rule, wrong ones are found out, and a new package is right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import wrong_editors
from toy import toy_registry
from wrong_editors import WRONG

import latentedit_linear
import latentedit_neural
import latentedit_styleflow
from latentedit import InputError, UnknownName
from latentedit.testing import RULES, Case, check_editor, editor_contract
from latentedit.testing.new import write_package

REGISTRY = toy_registry(latentedit_linear, latentedit_neural, latentedit_styleflow)
QUICK = {
    "styleflow": {"hidden": [48, 48], "steps": 300, "batch": 128, "evaluations": 3},
    "coupling-flow": {"hidden": 48, "layers": 4, "steps": 300, "batch": 128, "evaluations": 3},
    "surrogate-gradient": {"steps": 200, "hidden": 32},
    "latent-transformer": {"steps": 200, "hidden": 32, "transformer_steps": 100},
    "generator-optimization": {"steps": 20},
}
"""Options with which a fit takes about a second."""
CASES = {
    name: Case(REGISTRY, name, QUICK.get(name, {}))
    for kind in ("editor", "control")
    for name in REGISTRY.names(kind)
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("name", CASES)
def test_a_bundled_editor_keeps(name: str, rule) -> None:
    rule(CASES[name])


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_editor_is_found_out_by_the_rule_that_it_breaks(name: str) -> None:
    _, rule, told = WRONG[name]
    verdicts = list(check_editor(name, registry=wrong_editors.registry()))
    broken = {verdict.rule: verdict.fault for verdict in verdicts if verdict.fault}
    assert next(iter(broken)) == rule
    assert set(broken) - {rule} <= {"repeats itself"}  # which says the same of what learns
    assert told in broken[rule]
    untried = [verdict.rule for verdict in verdicts if verdict.fault is None]
    assert bool(untried) == (rule in ("fits with what it declares", "edits soundly"))


def test_a_right_editor_keeps_every_rule() -> None:
    verdicts = list(check_editor("right", registry=wrong_editors.registry()))
    assert [verdict.fault for verdict in verdicts] == [""] * len(RULES)


def test_an_unknown_editor_is_refused_before_anything_is_tried() -> None:
    with pytest.raises(UnknownName, match="did you mean 'right'"):
        list(check_editor("rigth", registry=wrong_editors.registry()))


test_contract_as_an_author_writes_it = editor_contract("right", registry=wrong_editors.registry())


@pytest.mark.parametrize("name", ["My Editor", "-x", "a--b", "../a", "é", ""])
def test_a_name_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lower case letters"):
        write_package(name, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_folder_that_holds_something_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        write_package("my-editor", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A new package as installed, by its metadata on the path, and the environment that sees it."""
    folder = tmp_path_factory.mktemp("author") / "latentedit-my-editor"
    write_package("my-editor", folder)
    info = folder / "latentedit_my_editor-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: latentedit-my-editor\nVersion: 0.1.0\n"
    )
    (info / "entry_points.txt").write_text(
        "[latentedit.plugins]\nmy-editor = latentedit_my_editor\n"
    )
    return folder, {**os.environ, "PYTHONPATH": str(folder)}


def command(
    installed: tuple[Path, dict[str, str]], *words: str
) -> subprocess.CompletedProcess[str]:
    folder, environment = installed
    return subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, cwd=folder, env=environment
    )


def test_a_new_package_passes_the_check(installed: tuple[Path, dict[str, str]]) -> None:
    found = command(installed, "latentedit.cli.main", "plugins", "check", "my-editor", "--json")
    assert found.returncode == 0, found.stdout + found.stderr
    assert all(verdict["fault"] == "" for verdict in json.loads(found.stdout))


def test_a_new_package_passes_its_own_tests(installed: tuple[Path, dict[str, str]]) -> None:
    found = command(installed, "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert found.returncode == 0, found.stdout + found.stderr
    assert f"{len(RULES)} passed" in found.stdout


def test_a_plugin_that_imports_torch_to_be_listed_is_found_out(
    installed: tuple[Path, dict[str, str]],
) -> None:
    module = installed[0] / "latentedit_my_editor" / "__init__.py"
    light = module.read_text()
    try:
        module.write_text(
            light.replace("from latentedit.plugin", "import torch\nfrom latentedit.plugin")
        )
        found = command(installed, "latentedit.cli.main", "plugins", "check", "my-editor")
    finally:
        module.write_text(light)
    assert found.returncode == 1
    assert "import latentedit_my_editor imports torch" in " ".join(found.stdout.split())
    assert "next: fix the first one" in found.stdout
