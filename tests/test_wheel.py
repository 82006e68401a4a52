"""One wheel carries the core, the plugins with their weights, and the suites; nothing else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PLUGINS = set(PROJECT["entry-points"]["latentedit.plugins"].values())
MADE = sorted(
    path
    for folder in ("latentedit", "plugins")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".safetensors", ".json")
)
"""Files in the wheel that hold weights or figures."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, check=True, cwd=ROOT, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as file:
        return set(file.namelist())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files alone in a folder."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder)
    return folder


def run(installed: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python where `installed` and the dependencies are importable, and the checkout is not."""
    dependencies = [path for path in sys.path if path.endswith("site-packages")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(installed), *dependencies])}
    return subprocess.run(
        [sys.executable, "-S", "-P", "-c", code, *arguments],
        cwd=installed,
        env=environment,
        capture_output=True,
        text=True,
    )


def latentedit(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(installed, "from latentedit.cli.main import main; main()", *arguments)


def test_every_file_of_core_and_plugins_is_in_the_wheel(contents: set[str]) -> None:
    for folder, strip in (("latentedit", "."), ("plugins", "plugins")):
        for file in (ROOT / folder).rglob("*"):
            if file.is_file() and file.suffix != ".pyc":
                assert str(file.relative_to(ROOT / strip)) in contents


def test_the_suites_are_in_the_wheel(contents: set[str]) -> None:
    for file in (ROOT / "benchmarks" / "suites").iterdir():
        assert f"latentedit/suites/{file.name}" in contents


def test_the_packages_of_the_wheel_are_the_core_and_the_plugins(contents: set[str]) -> None:
    packages = {name.split("/")[0] for name in contents}
    assert {name for name in packages if not name.endswith(".dist-info")} == {
        "latentedit",
        *PLUGINS,
    }


def test_no_workshop_and_no_test_is_in_the_wheel(contents: set[str]) -> None:
    workshop = {path.name for path in (ROOT / "workshop" / "synthface").glob("*.py")}
    for name in contents:
        parts = name.split("/")
        assert not {"workshop", "tests", "benchmarks"} & set(parts)
        assert not re.match(r"test_.*\.py|conftest\.py", parts[-1])
        assert parts[0] != "latentedit_synthface" or parts[-1] not in workshop - {"__init__.py"}


def test_no_code_of_synthface_in_the_wheel_trains(installed: Path) -> None:
    for path in (installed / "latentedit_synthface").rglob("*.py"):
        assert not re.search(r"\.backward\(|torch\.optim", path.read_text("utf-8")), path


def test_an_installation_has_no_workshop(installed: Path) -> None:
    assert "No module named 'workshop'" in run(installed, "import workshop").stderr
    found = run(installed, "import latentedit; print(latentedit.__file__)").stdout
    assert Path(found.strip()) == installed / "latentedit" / "__init__.py"


def test_an_installation_lists_the_plugins_of_the_wheel(installed: Path) -> None:
    listed = latentedit(installed, "plugins", "list").stdout
    for name in PROJECT["entry-points"]["latentedit.plugins"]:
        assert name in listed


def test_an_installation_knows_the_suites(installed: Path) -> None:
    done = latentedit(installed, "bench", "run", "no-such-suite", "--out", "none")
    assert done.returncode == 2
    for file in (ROOT / "benchmarks" / "suites").iterdir():
        assert file.stem in done.stderr


def test_an_installation_runs_a_small_suite(installed: Path) -> None:
    suite = ROOT / "tests" / "small_suite.yaml"
    done = latentedit(installed, "bench", "run", str(suite), "--out", "run")
    assert "13 cells computed, 0 kept, 0 failed" in done.stdout, done.stderr
    assert (installed / "run" / "report" / "index.html").exists()


@pytest.mark.parametrize("path", MADE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_card_states_the_licence_of_every_weight_and_figure_file(path: Path) -> None:
    card = next(folder / "CARD.md" for folder in path.parents if (folder / "CARD.md").exists())
    _, section = card.read_text("utf-8").split("\n## Licence\n")
    name = path.relative_to(card.parent).as_posix()
    rows = [line for line in section.splitlines() if line.startswith("|")]
    (row,) = [line for line in rows if f"`{name}`" in line]
    assert row.split("|")[-2].strip() == PROJECT["license"]


@pytest.mark.parametrize(
    "path",
    [path for path in MADE if path.with_suffix(".safetensors").exists() and path.suffix == ".json"],
    ids=lambda path: path.stem,
)
def test_the_json_beside_weights_states_their_licence(path: Path) -> None:
    assert json.loads(path.read_text("utf-8"))["licence"] == PROJECT["license"]
