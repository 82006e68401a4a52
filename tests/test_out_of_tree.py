"""A third party's plugin: installed into a fresh environment, found, and run in a suite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
import yaml
from flat_results import read_flat

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "out_of_tree_plugin"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with the example installed, and latentedit borrowed from here."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    site = Path(
        subprocess.check_output(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
        ).strip()
    )
    borrowed = [
        sysconfig.get_path("purelib"),
        str(ROOT),
        str(ROOT / "plugins"),
        str(ROOT / "tests"),
    ]
    (site / "borrowed.pth").write_text("\n".join(borrowed))
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(python),
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--no-build-isolation",
            "--disable-pip-version-check",
            str(EXAMPLE),
        ],
        check=True,
        cwd=folder,
    )
    return python


def run(python: Path, folder: Path, *arguments: str) -> str:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("LATENTEDIT", "PYTHON"))}
    found = subprocess.run(
        [python, "-m", "latentedit.cli.main", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=clean,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def test_the_example_is_small() -> None:
    lines = sum(len(file.read_text().splitlines()) for file in EXAMPLE.rglob("*.py"))
    assert 0 < lines < 100


# Takes 15 s: three commands in an environment of their own, two of which start a benchmark.
def test_the_example_is_listed_and_runs_in_a_suite(environment: Path, tmp_path: Path) -> None:
    rows = json.loads(run(environment, tmp_path, "plugins", "list", "--json"))
    mine = [row for row in rows if row["distribution"] not in ("latentedit",)]
    assert [row["status"] for row in mine] == ["ok"]
    name = mine[0]["plugins"][0]["name"]
    suite = {
        "name": "mine",
        "bank": {
            "generator": {"plugin": "synthface"},
            "labeller": "synthface-labeller",
            "n_fit": 60,
            "n_test": 4,
        },
        "judge": "synthface-judge",
        "identity": ["synthface-identity-contrastive"],
        "editors": {"third-party": {"plugin": name}, "regression": {"plugin": "regression"}},
        "controls": ["no-edit"],
        "tasks": [{"attribute": "yaw", "change": 10}],
        "strengths": [0.5, 1.0],
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(suite))
    out = run(environment, tmp_path, "bench", "run", "mine.yaml", "--out", "run")
    assert "third-party" in out
    results = read_flat(tmp_path / "run")
    assert "third-party" in {row["editor"] for row in results["measures"]}
    assert results["cells"]["failed"] == []
    code = next(environment.parents[1].rglob("latentedit_fisher/editor.py"))
    code.write_text(f"{code.read_text()}\n# changed\n")
    again = run(environment, tmp_path, "bench", "run", "mine.yaml", "--out", "run")
    assert f"2 cells computed, {results['cells']['ok'] - 2} kept" in again
