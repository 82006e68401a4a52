"""One wheel carries the core, the plugins with their weights, and the suites."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, check=True, cwd=ROOT, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        return set(wheel.namelist())


def test_everything_that_is_imported_is_in_the_wheel(contents: set[str]) -> None:
    for folder, strip in (("latentedit", "."), ("plugins", "plugins")):
        for file in (ROOT / folder).rglob("*.py"):
            assert str(file.relative_to(ROOT / strip)) in contents


def test_what_the_code_reads_is_in_the_wheel(contents: set[str]) -> None:
    assert "latentedit/report/page.html.jinja" in contents
    assert "latentedit/suites/quickstart.yaml" in contents
    for file in (ROOT / "plugins").rglob("*"):
        if file.suffix in (".safetensors", ".json"):
            assert str(file.relative_to(ROOT / "plugins")) in contents


def test_nothing_else_is_in_the_wheel(contents: set[str]) -> None:
    assert {name.split("/")[0].split("-")[0] for name in contents} <= {
        "latentedit",
        *(folder.name for folder in (ROOT / "plugins").iterdir()),
    }
