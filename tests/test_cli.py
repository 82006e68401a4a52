"""The command line as a person uses it: outcomes, exit codes, errors and help."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import toy_editors
import yaml
from flat_results import read_flat
from in_process import CommandLine
from PIL import Image
from test_benchmark import SUITE
from torch import Tensor
from toy import RESOLUTION, SCALE, ToyEstimator, ToyIdentity

from latentedit import LatentBank


@pytest.fixture
def latentedit(tmp_path: Path) -> CommandLine:
    """The command line over the toy world instead of the installed plugins."""
    return CommandLine(tmp_path, toy_editors.registry)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A folder with bank B and editor E, which no test changes; tests may add to it."""
    command = CommandLine(tmp_path_factory.mktemp("made"), toy_editors.registry)
    make = ["bank", "make", "--generator", "toy", "--labeller", "toy-labeller", "--n", "50"]
    assert "latentedit fit" in command.ok(*make, "--test", "10", "--out", "B")
    assert "latentedit edit" in command.ok("fit", "exact", "--bank", "B", "--out", "E")
    return command


def test_a_bank_verifies_and_shows_the_hash_it_was_made_with(made: CommandLine) -> None:
    shown = json.loads(made.ok("bank", "show", "B", "--json"))
    assert shown["hash"] in made.ok("bank", "verify", "B")
    assert "glasses" in made.ok("bank", "show", "B")


def test_a_changed_bank_does_not_verify(latentedit: CommandLine) -> None:
    make = ["bank", "make", "--generator", "toy", "--labeller", "toy-labeller", "--n", "10"]
    latentedit.ok(*make, "--test", "2", "--out", "B")
    path = latentedit.folder / "B" / "fit-00000.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert "was changed or cut" in latentedit.refused("bank", "verify", "B")


def faces_in(picture: Path, rows: int, columns: int) -> Tensor:
    """(rows, columns, 3, 8, 8) images in [-1, 1] that a grid shows twice as large, in its lower
    right corner."""
    with Image.open(picture) as opened:
        pixels = np.asarray(opened.convert("RGB")).astype("f8") / 127.5 - 1
    margin, step, side = 12, 2 * RESOLUTION + 4, 2 * RESOLUTION
    top, left = pixels.shape[0] - margin - rows * step, pixels.shape[1] - margin - columns * step
    one = Image.new("F", (RESOLUTION, 1))
    larger = np.empty((side, RESOLUTION))
    for i in range(RESOLUTION):
        one.paste(0, (0, 0, RESOLUTION, 1))
        one.putpixel((i, 0), 1.0)
        larger[:, i] = np.asarray(one.resize((side, 1), Image.Resampling.BICUBIC))[0]
    smaller = np.linalg.pinv(larger)
    shown = np.stack(
        [
            pixels[top + r * step :, left + c * step :][:side, :side]
            for r in range(rows)
            for c in range(columns)
        ]
    )
    found = np.einsum("ia,jb,nabc->ncij", smaller, smaller, shown)
    return torch.from_numpy(found).float().unflatten(0, (rows, columns))


def attributes_in(picture: Path, rows: int, columns: int) -> Tensor:
    """(rows, columns, A) in standard deviations of each attribute; a level of 255 is an eighth."""
    read = ToyEstimator().estimate(faces_in(picture, rows, columns).flatten(0, 1))
    return (read / SCALE).unflatten(0, (rows, columns))


def test_edit_draws_each_face_before_and_after_every_edit(made: CommandLine) -> None:
    base = ("edit", "--editor", "E", "--bank", "B", "--index", "0..3", "--out", "grid.png")
    told = made.ok(*base, "--set", "age=65", "--set", "glasses=1")
    assert told.splitlines() == [
        "grid.png: 4 faces, 2 edits, 0 function evaluations",
        f"next: python -m webbrowser {(made.folder / 'grid.png').as_uri()}",
    ]
    source = LatentBank.open(made.folder / "B").split("test").attributes[:4]
    aged = torch.cat([torch.full((4, 1), 65.0), source[:, 1:]], 1)
    glassed = torch.cat([aged[:, :1], torch.ones(4, 1), aged[:, 2:]], 1)
    expected = torch.stack([source, aged, glassed], 1) / SCALE
    found = attributes_in(made.folder / "grid.png", 4, 3)
    torch.testing.assert_close(found, expected, atol=0.15, rtol=0)


@pytest.mark.parametrize(("amount", "share"), [((), 1.0), (("--amount", "0.5"), 0.5)])
def test_a_value_can_be_taken_from_another_face(
    made: CommandLine, tmp_path: Path, amount: tuple[str, ...], share: float
) -> None:
    base = ("edit", "--editor", "E", "--bank", "B", "--index", "0..1", "--transfer", "age=5")
    made.ok(*base, *amount, "--out", str(tmp_path / "taken.png"))
    source = LatentBank.open(made.folder / "B").split("test").attributes
    wanted = source[:2].clone()
    wanted[:, 0] += share * (source[5, 0] - source[:2, 0])
    found = attributes_in(tmp_path / "taken.png", 2, 2)[:, 1]
    torch.testing.assert_close(found, wanted / SCALE, atol=0.15, rtol=0)


def test_an_attribute_may_be_set_twice_and_ends_at_the_second_value(
    made: CommandLine, tmp_path: Path
) -> None:
    base = ("edit", "--editor", "E", "--bank", "B", "--index", "0")
    told = made.ok(*base, "--set", "age=20", "--set", "age=60", "--out", str(tmp_path / "two.png"))
    assert "1 face, 2 edits" in told
    ages = attributes_in(tmp_path / "two.png", 1, 3)[0, 1:, 0] * SCALE[0]
    assert ages.tolist() == pytest.approx([20, 60], abs=1.5)


def test_new_faces_need_an_editor_that_draws_them(made: CommandLine) -> None:
    told = made.refused("sample", "--editor", "E", "--bank", "B", "--out", "none.png")
    assert "draws no new ones; editors that do: draws" in told


def test_an_editor_that_can_draws_new_faces_with_what_was_asked(made: CommandLine) -> None:
    made.ok("fit", "draws", "--bank", "B", "--out", "D")
    base = ("sample", "--editor", "D", "--bank", "B", "--index", "0..1", "--count", "3")
    identities = []
    for seed in ("0", "1"):
        told = made.ok(*base, "--set", "age=60", "--seed", seed, "--out", "faces.png", "--force")
        assert "6 new faces" in told
        source = LatentBank.open(made.folder / "B").split("test").attributes[:2].clone()
        source[:, 0] = 60.0
        drawn = attributes_in(made.folder / "faces.png", 2, 4)[:, 1:]
        expected = (source / SCALE)[:, None].expand_as(drawn)
        torch.testing.assert_close(drawn, expected, atol=0.15, rtol=0)
        shown = faces_in(made.folder / "faces.png", 2, 4)[:, 1:].flatten(0, 1)
        identities.append(ToyIdentity().embed(shown))
    similar = torch.cat(identities) @ torch.cat(identities).T
    assert similar.fill_diagonal_(0).max() < 0.95  # twelve different people


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "nothing to edit: add --set age=65"),
        (["--transfer", "age=99"], "--transfer ranges from 0 to 9"),
        (["--transfer", "agee=1"], "did you mean 'age'"),
        (["--transfer", "age=1..2"], "--transfer takes one row, as in age=12"),
        (
            ["--set", "age=20", "--layers", "other"],
            "is for 18 rows of W+, but this generator has 4",
        ),
        (["--set", "yaw=9", "--layers", "middle"], "unknown attribute of the layer preset 'yaw'"),
        (["--set", "lighting=front"], "lighting takes 3 numbers, received 'front'"),
        (["--set", "age=200"], "'age' takes values from 0 to 70 years, received 200"),
        (["--set", "age=.nan"], "'age' takes values from 0 to 70 years, received nan"),
        (["--set", "agee=20"], "did you mean 'age'"),
        (["--set", "age=old"], "age takes a number, received 'old'"),
        (["--set", "age"], "write NAME=VALUE"),
        (["--set", "age=20", "--index", "0..99"], "--index ranges from 0 to 9"),
        (["--set", "age=20", "--index", "x"], "--index takes a number, a range"),
        (["--set", "age=20", "--layers", "7"], "--layers ranges from 0 to 3"),
        (["--set", "lighting=[1, 2]"], "lighting takes 3 numbers, received 2"),
        (["--set", "age=20", "--device", "tpu"], "device is cpu or cuda"),
    ],
)
def test_bad_edits_are_refused(made: CommandLine, arguments: list[str], told: str) -> None:
    base = ["edit", "--editor", "E", "--bank", "B", "--out", "bad.png"]
    assert told in made.refused(*base, *arguments)
    assert not (made.folder / "bad.png").exists()


def test_a_bank_of_another_generator_is_refused(made: CommandLine, latentedit: CommandLine) -> None:
    record = json.loads((made.folder / "B" / "bank.json").read_text())
    other = latentedit.folder / "other"
    other.mkdir()
    for file in (made.folder / "B").iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    original = record["generator"]["fingerprint"]
    record["generator"]["fingerprint"] = "0123456789abcdef"
    (other / "bank.json").write_text(json.dumps(record))
    editor = str(made.folder / "E")
    told = latentedit.refused(
        "edit", "--editor", editor, "--bank", "other", "--set", "age=20", "--out", "x.png"
    )
    assert original[:12] in told
    assert "0123456789ab" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["benhc"], "did you mean 'bench'"),
        (["fit", "exat", "--bank", "B", "--out", "F"], "did you mean 'exact'"),
        (["fit", "exact", "--bank", "nowhere", "--out", "F"], "is not a bank"),
        (["fit", "exact", "--bank", "B", "--out", "E"], "E exists already"),
        (["fit", "exact", "--bank", "B", "--out", "F", "--option", "x=1"], "option of exact 'x'"),
        (["bank", "make", "--generator", "toi", "--out", "X"], "did you mean 'toy'"),
        (["bench", "run", "quikstart", "--out", "R"], "did you mean 'quickstart'"),
        (["bench", "status", "nowhere"], "is not a run"),
        (["bank", "make"], "Missing option"),
    ],
)
def test_bad_input_is_answered_with_what_to_write_instead(
    made: CommandLine, arguments: list[str], told: str
) -> None:
    assert told in made.refused(*arguments)


def test_a_run_prints_a_table_and_names_the_report(latentedit: CommandLine) -> None:
    (latentedit.folder / "mine.yaml").write_text(yaml.safe_dump(SUITE))
    run = ["bench", "run", "mine.yaml", "--out", "run"]
    found = latentedit(*run)
    out = found.stdout
    assert "17 cells computed, 0 kept, 0 failed" in out
    assert "(17 of 17 cells)" in found.stderr
    page = latentedit.folder / "run" / "report" / "index.html"
    assert str(page.relative_to(latentedit.folder)) in out
    assert page.is_file()
    assert "0 cells computed, 17 kept" in latentedit.ok(*run)
    rows = json.loads(latentedit.ok("bench", "status", "run", "--json"))
    assert {row["status"] for row in rows} == {"ok"}
    page.unlink()
    latentedit.ok("bench", "report", "run")
    assert page.is_file()


def test_an_editor_joins_a_suite_from_the_command_line(latentedit: CommandLine) -> None:
    editors, tasks = {"leaky": {"plugin": "leaky"}}, [{"attribute": "yaw", "change": 10}]
    suite = SUITE | {"editors": editors, "tasks": tasks, "sequences": []}
    (latentedit.folder / "mine.yaml").write_text(yaml.safe_dump(suite))
    run = ("bench", "run", "mine.yaml", "--out", "run")
    assert "did you mean 'exact'" in latentedit.refused(*run, "--with", "exakt")
    latentedit.ok(*run, "--with", "exact")
    results = read_flat(latentedit.folder / "run")
    assert {"leaky", "exact"} <= {row["editor"] for row in results["measures"]}


def test_an_executor_that_is_not_there_is_refused_before_anything_is_computed(
    latentedit: CommandLine,
) -> None:
    (latentedit.folder / "suite.yaml").write_text(yaml.safe_dump(SUITE))
    run = ("bench", "run", "suite.yaml", "--out", "run")
    assert "did you mean 'local'" in latentedit.refused(*run, "--executor", "lokal")
    assert "workers" in latentedit.refused(*run, "--executor-option", "workers=none")
    assert not (latentedit.folder / "run").exists()


def test_a_run_with_a_failed_cell_finishes_and_says_so(latentedit: CommandLine) -> None:
    editors = {"exact": {"plugin": "exact"}, "raises": {"plugin": "raises"}}
    tasks = [{"attribute": "age", "change": 10}]
    suite = SUITE | {"editors": editors, "tasks": tasks, "sequences": []}
    (latentedit.folder / "mine.yaml").write_text(yaml.safe_dump(suite))
    found = latentedit("bench", "run", "mine.yaml", "--out", "run")
    assert found.returncode == 1
    assert "I do not feel like it" in found.stderr
    assert "2 failed" in found.stdout


COMMANDS = (
    *("bank", "bench", "completion", "doctor", "edit", "fetch", "fit", "import", "invert"),
    *("plugins", "push", "sample", "studio", "train"),
)


def test_the_help_lists_every_command(latentedit: CommandLine) -> None:
    listed = latentedit.ok("--help").partition("Commands:\n")[2].partition("\n\n")[0]
    assert tuple(re.findall(r"^  (\S+)", listed, re.MULTILINE)) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(latentedit: CommandLine, command: str) -> None:
    told = latentedit.ok(command, "--help")
    assert f"latentedit {command} [OPTIONS]" in told.splitlines()[0]
    if command not in ("bank", "bench", "plugins"):  # groups, whose own commands have them
        assert f"\n    latentedit {command}" in told


HEAVY = {
    *("torch", "torchdiffeq", "numpy", "scipy", "sklearn", "matplotlib", "PIL"),
    *("pydantic", "jinja2", "safetensors", "httpx2"),
}
EVERY_HELP = """
import sys, click
from latentedit.cli.main import cli

def help_of(command, parent, name):
    context = click.Context(command, info_name=name, parent=parent)
    print(command.get_help(context))
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            help_of(command.get_command(context, child), context, child)

help_of(cli, None, "latentedit")
print("MODULES", *sys.modules)
"""


def test_no_help_imports_what_only_work_needs() -> None:
    found = subprocess.run(
        [sys.executable, "-c", EVERY_HELP], capture_output=True, text=True, check=True
    )
    told, _, modules = found.stdout.partition("MODULES ")
    assert all(f"latentedit {each}" in told for each in (*COMMANDS, "bench list", "bank make"))
    assert HEAVY.isdisjoint(modules.split())


PROGRAM = (sys.executable, "-m", "latentedit.cli.main")
"""The tests above call the command line in this process; those below need one of its own."""


def test_the_doctor_finds_nothing_wrong() -> None:
    found = subprocess.run([*PROGRAM, "doctor"], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
    assert "all plugins load" in found.stdout


def test_a_refused_command_ends_its_process_with_status_2_and_no_traceback(tmp_path: Path) -> None:
    command = [*PROGRAM, "fit", "sefa", "--bank", "nowhere", "--out", "E"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("error: nowhere is not a bank")
    assert "Traceback" not in found.stderr


def test_a_reader_that_went_away_ends_a_command_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    listing = [*PROGRAM, "plugins", "list", "--json"]
    found = subprocess.run(listing, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (found.returncode, found.stderr) == (1, "")
