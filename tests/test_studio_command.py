"""``latentedit studio``: opening, drawing a saved session, and folders that can be hosted."""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import toy_photos
from click.testing import CliRunner, Result
from PIL import Image
from studio_world import fitted_world, opened
from test_benchmark import carry_out

from latentedit import EditSession, InputError, Registry, Workbench
from latentedit.cli.main import cli
from latentedit.studio.page.hosting import start_arguments, write_space
from latentedit.studio.session.record import save_session


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fitted_world(tmp_path_factory.mktemp("studio"), ("exact", "leaky"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("run") / "run"
    editors = {name: {"plugin": name} for name in ("exact", "leaky")}
    tasks = [{"attribute": "age", "change": 10}]
    carry_out(folder, editors=editors, tasks=tasks, controls=[], sequences=[])
    return folder


@pytest.fixture(autouse=True)
def toy_plugins_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "discover", staticmethod(toy_photos.registry))


def told(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["studio", *arguments])


def opening(world: Path) -> list[str]:
    editors = [part for name in ("exact", "leaky") for part in ("--editor", str(world / name))]
    return ["--bank", str(world / "bank"), *editors, "--judge", "toy-judge"]


def test_a_saved_session_is_drawn_without_a_page(world: Path, tmp_path: Path) -> None:
    session = EditSession(opened(world, ("exact", "leaky")))
    session.edit(age=50)
    save_session(session, tmp_path / "session.json")
    saved, picture = str(tmp_path / "session.json"), str(tmp_path / "picture.png")
    found = told(*opening(world), "--session", saved, "--out", picture)
    assert found.exit_code == 0, found.output
    assert "1 edits" in found.output
    assert Image.open(picture).format == "PNG"
    again = told(*opening(world), "--session", saved, "--out", picture)
    assert "add --force" in str(again.exception)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give the folder of a run, or --bank"),
        (["RUN", "--bank", "BANK"], "give the folder of a run, or --bank"),
        (["RUN", "--judge", "toy-judge"], "has its own judge"),
        (["RUN", "--editor", "exakt"], "did you mean 'exact'"),
        (["--bank", "BANK"], "received none"),
        (["RUN", "--session", "s.json"], "--session and --out go together"),
        (["RUN", "--host", "0.0.0.0"], "add --remote"),
        (["--bank", "BANK", "--editor", "a/x", "--editor", "b/x"], "the same folder name"),
    ],
)
def test_what_cannot_be_opened_is_told(
    arguments: list[str], said: str, run: Path, world: Path
) -> None:
    places = {"RUN": str(run), "BANK": str(world / "bank")}
    found = told(*(places.get(argument, argument) for argument in arguments))
    assert said in str(found.exception)


def test_the_page_is_served_with_the_models_of_a_run(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: None)
    found = told(str(run), "--port", "0")
    assert found.exit_code == 0, found.output
    assert re.search(r"next: open http://127\.0\.0\.1:\d+/", found.output)


def test_a_run_gives_its_editors_judge_and_recognisers(run: Path) -> None:
    bench = Workbench.of_run(toy_photos.registry(), run)
    assert list(bench.editors) == ["exact", "leaky"]
    assert list(bench.recognisers) == ["toy-identity"]
    assert bench.judge.fingerprint == toy_photos.registry().estimator("toy-judge").fingerprint


def test_an_editor_that_was_not_fitted_is_named(run: Path, tmp_path: Path) -> None:
    part = shutil.copytree(run, tmp_path / "part")
    (fitted,) = part.rglob("*leaky*/editor")
    shutil.rmtree(fitted)
    with pytest.raises(InputError, match=r"leaky of .* was not fitted.*--editor: exact$"):
        Workbench.of_run(toy_photos.registry(), part)


def test_without_the_extra_it_is_told_what_to_install(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "starlette", None)
    found = told(str(run))
    assert "pip install 'latentedit[studio]'" in str(found.exception)


def test_the_page_is_not_imported_before_it_is_asked_for() -> None:
    code = (
        "import sys, latentedit.cli.main, latentedit.cli.studio, latentedit\n"
        "print([m for m in ('starlette', 'uvicorn', 'torch') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.fixture
def served_folder(world: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "hosted"
    write_space(opened(world, ("exact", "leaky")), folder, "toy-judge", ["toy-identity"])
    shutil.move(folder, tmp_path / "elsewhere")  # nothing in it may lead back
    return tmp_path / "elsewhere"


def test_a_hosted_folder_is_served_by_its_own_command(served_folder: Path) -> None:
    container = (served_folder / "Dockerfile").read_text()
    arguments = json.loads(container.partition("CMD ")[2])
    assert arguments[-5:] == ["--host", "0.0.0.0", "--port", "7860", "--public"]
    assert shlex.join(arguments) in (served_folder / "README.md").read_text()
    starter = (
        "import sys, toy_photos\n"
        "from latentedit import Registry\n"
        "from latentedit.cli.main import cli\n"
        "Registry.discover = staticmethod(toy_photos.registry)\n"
        "cli(sys.argv[1:], standalone_mode=False)\n"
    )
    given = [*arguments[1:-4], "127.0.0.1", "--port", "0", "--public"]
    paths = os.pathsep.join(sys.path)
    server = subprocess.Popen(
        [sys.executable, "-c", starter, *given],
        cwd=served_folder,
        env={**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert server.stdout is not None
        said = ""
        while "next: open" not in said and (line := server.stdout.readline()):
            said += line
        assert "without a token" in said
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", said)
        assert found, said
        link = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=120)
        link.request("GET", "/api/bench", headers={"Host": "studio.example"})
        bench = json.load(link.getresponse())
        link.close()
    finally:
        server.kill()
        server.wait()
    assert [editor["name"] for editor in bench["editors"]] == ["exact", "leaky"]


def test_a_hosted_run_keeps_its_own_models(run: Path, tmp_path: Path) -> None:
    bench = Workbench.of_run(toy_photos.registry(), run, ["leaky"])
    write_space(bench, tmp_path / "hosted")
    assert start_arguments(bench)[:5] == ["latentedit", "studio", "run", "--editor", "leaky"]
    again = Workbench.of_run(toy_photos.registry(), tmp_path / "hosted" / "run", ["leaky"])
    assert again.bank.hash == bench.bank.hash


def test_the_command_writes_a_folder_to_host(run: Path, tmp_path: Path) -> None:
    found = told(str(run), "--space", str(tmp_path / "hosted"))
    assert found.exit_code == 0, found.output
    assert "README.md" in found.output
    kept = {path.name for path in (tmp_path / "hosted").iterdir()}
    assert kept == {"README.md", "Dockerfile", "requirements.txt", "run"}
