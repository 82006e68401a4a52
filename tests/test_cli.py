"""The command line as a person uses it: outcomes, exit codes, errors and help."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image
from test_benchmark import SUITE

TESTS = Path(__file__).parent

ENTRY = """
import sys
sys.path.insert(0, {tests!r})
from latentedit.registry import Registry
import toy_editors
Registry.discover = staticmethod(toy_editors.registry)
from latentedit.cli.main import main
sys.argv = ["latentedit", *sys.argv[1:]]
if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command line over the toy world instead of the installed plugins."""
    path = tmp_path_factory.mktemp("bin") / "toy_latentedit.py"
    path.write_text(ENTRY.format(tests=str(TESTS)))
    return path


class Command:
    def __init__(self, entry: Path, folder: Path) -> None:
        self.entry, self.folder = entry, folder

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(self.entry), *arguments],
            capture_output=True,
            text=True,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
        )

    def ok(self, *arguments: str) -> str:
        found = self(*arguments)
        assert found.returncode == 0, found.stderr
        return found.stdout

    def refused(self, *arguments: str, code: int = 2) -> str:
        found = self(*arguments)
        assert found.returncode == code, (found.returncode, found.stderr)
        assert "Traceback" not in found.stderr
        assert found.stderr.startswith(("error: ", "Usage: "))
        return found.stderr


@pytest.fixture
def latentedit(entry: Path, tmp_path: Path) -> Command:
    return Command(entry, tmp_path)


@pytest.fixture(scope="module")
def made(entry: Path, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """A folder with bank B and editor E."""
    command = Command(entry, tmp_path_factory.mktemp("made"))
    make = ["bank", "make", "--generator", "toy", "--labeller", "toy-labeller", "--n", "50"]
    assert "latentedit fit" in command.ok(*make, "--test", "10", "--out", "B")
    assert "latentedit edit" in command.ok("fit", "exact", "--bank", "B", "--out", "E")
    return command


def test_a_bank_verifies_and_shows_the_hash_it_was_made_with(made: Command) -> None:
    shown = json.loads(made.ok("bank", "show", "B", "--json"))
    assert shown["hash"] in made.ok("bank", "verify", "B")
    assert "glasses" in made.ok("bank", "show", "B")


def test_a_changed_bank_does_not_verify(made: Command, latentedit: Command) -> None:
    make = ["bank", "make", "--generator", "toy", "--labeller", "toy-labeller", "--n", "5"]
    latentedit.ok(*make, "--test", "2", "--out", "B")
    path = latentedit.folder / "B" / "fit-00000.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert "was changed or cut" in latentedit.refused("bank", "verify", "B")


def test_edit_draws_a_picture(made: Command) -> None:
    out = made.ok(
        "edit",
        "--editor",
        "E",
        "--bank",
        "B",
        "--index",
        "0..3",
        "--set",
        "age=65",
        "--set",
        "glasses=1",
        "--out",
        "grid.png",
    )
    assert out.splitlines() == [
        "grid.png: 4 faces, 2 edits, 0 function evaluations",
        "next: open grid.png",
    ]
    with Image.open(made.folder / "grid.png") as picture:
        assert picture.format == "PNG"


def test_a_value_can_be_taken_from_another_face(made: Command) -> None:
    base = ["edit", "--editor", "E", "--bank", "B", "--index", "0..1"]
    made.ok(*base, "--transfer", "age=5", "--amount", "0.5", "--out", "half.png")
    made.ok(*base, "--transfer", "age=5", "--out", "whole.png")
    half, whole = ((made.folder / name).read_bytes() for name in ("half.png", "whole.png"))
    assert half != whole


def test_an_attribute_may_be_set_twice(made: Command) -> None:
    base = ["edit", "--editor", "E", "--bank", "B", "--index", "0"]
    told = made.ok(*base, "--set", "age=20", "--set", "age=60", "--out", "twice.png")
    assert "1 faces, 2 edits" in told


def test_new_faces_need_an_editor_that_draws_them(made: Command) -> None:
    told = made.refused("sample", "--editor", "E", "--bank", "B", "--out", "faces.png")
    assert "draws no new ones; a flow does" in told


def test_an_editor_that_can_draws_new_faces(made: Command) -> None:
    made.ok("fit", "draws", "--bank", "B", "--out", "D")
    base = ["sample", "--editor", "D", "--bank", "B", "--index", "0..1", "--count", "3"]
    assert "6 new faces" in made.ok(*base, "--set", "age=60", "--out", "faces.png")
    made.ok(*base, "--set", "age=60", "--seed", "1", "--out", "others.png")
    first, second = (Image.open(made.folder / name) for name in ("faces.png", "others.png"))
    assert first.size == second.size
    assert first.tobytes() != second.tobytes()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "nothing to edit: add --set age=65"),
        (["--transfer", "age=99"], "--transfer goes from 0 to 9"),
        (["--transfer", "agee=1"], "did you mean 'age'"),
        (["--transfer", "age=1..2"], "--transfer takes one face, as in age=12"),
        (["--set", "age=20", "--layers", "released"], "is for 18 rows of W+, this generator has 4"),
        (["--set", "lighting=front"], "lighting takes 3 numbers, received 'front'"),
        (["--set", "age=200"], "'age' takes values from 0 to 70 years, received 200"),
        (["--set", "age=.nan"], "'age' takes values from 0 to 70 years, received nan"),
        (["--set", "agee=20"], "did you mean 'age'"),
        (["--set", "age=old"], "age takes a number, received 'old'"),
        (["--set", "age"], "write NAME=VALUE"),
        (["--set", "age=20", "--index", "0..99"], "--index goes from 0 to 9"),
        (["--set", "age=20", "--index", "x"], "--index is a number, a range"),
        (["--set", "age=20", "--layers", "7"], "--layers goes from 0 to 3"),
        (["--set", "lighting=[1, 2]"], "lighting takes 3 numbers, received 2"),
        (["--set", "age=20", "--device", "tpu"], "device is cpu or cuda"),
    ],
)
def test_bad_edits_are_refused(made: Command, arguments: list[str], told: str) -> None:
    base = ["edit", "--editor", "E", "--bank", "B", "--out", "bad.png"]
    assert told in made.refused(*base, *arguments)
    assert not (made.folder / "bad.png").exists()


def test_a_bank_of_another_generator_is_refused(made: Command, latentedit: Command) -> None:
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
    made: Command, arguments: list[str], told: str
) -> None:
    assert told in made.refused(*arguments)


def test_a_run_prints_a_table_and_names_the_report(latentedit: Command) -> None:
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


def test_an_editor_joins_a_suite_from_the_command_line(latentedit: Command) -> None:
    editors, tasks = {"leaky": {"plugin": "leaky"}}, [{"attribute": "yaw", "change": 10}]
    suite = SUITE | {"editors": editors, "tasks": tasks, "sequences": []}
    (latentedit.folder / "mine.yaml").write_text(yaml.safe_dump(suite))
    run = ("bench", "run", "mine.yaml", "--out", "run")
    assert "did you mean 'exact'" in latentedit.refused(*run, "--with", "exakt")
    latentedit.ok(*run, "--with", "exact")
    results = json.loads((latentedit.folder / "run" / "results.json").read_text())
    assert {"leaky", "exact"} <= {row["editor"] for row in results["measures"]}


def test_an_executor_that_is_not_there_is_refused_before_anything_is_computed(
    latentedit: Command,
) -> None:
    (latentedit.folder / "suite.yaml").write_text(yaml.safe_dump(SUITE))
    run = ("bench", "run", "suite.yaml", "--out", "run")
    assert "did you mean 'local'" in latentedit.refused(*run, "--executor", "lokal")
    assert "workers" in latentedit.refused(*run, "--executor-option", "workers=none")
    assert not (latentedit.folder / "run").exists()


def test_a_run_with_a_failed_cell_finishes_and_says_so(latentedit: Command) -> None:
    editors = {"exact": {"plugin": "exact"}, "raises": {"plugin": "raises"}}
    tasks = [{"attribute": "age", "change": 10}]
    suite = SUITE | {"editors": editors, "tasks": tasks, "sequences": []}
    (latentedit.folder / "mine.yaml").write_text(yaml.safe_dump(suite))
    found = latentedit("bench", "run", "mine.yaml", "--out", "run")
    assert found.returncode == 1
    assert "I do not feel like it" in found.stderr
    assert "2 failed" in found.stdout


@pytest.mark.parametrize(
    "command", ["bank", "bench", "doctor", "edit", "fit", "import", "plugins", "sample", "train"]
)
def test_every_command_has_help(latentedit: Command, command: str) -> None:
    assert "Usage" in latentedit.ok(command, "--help")


def test_the_doctor_finds_nothing_wrong() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "latentedit.cli.main", "doctor"], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout
    assert "all plugins load" in found.stdout
