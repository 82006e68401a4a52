"""The command line: numbers, bounds, relative changes, files in the way, streams and bugs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import toy_editors
from in_process import CommandLine

from latentedit import (
    Attribute,
    AttributeSchema,
    InputError,
    LatentBank,
    OutOfRange,
    Registry,
    UnknownName,
    make_bank,
)
from latentedit.cli.last_resort import explain
from latentedit.cli.targets import parse_settings, parse_transfers
from latentedit.photos.invert import parse_losses

SCHEMA = AttributeSchema(
    (
        Attribute("age", "continuous", 0, 70, "years"),
        Attribute("gender", "binary", 0, 1, named={"female": (0,), "male": (1,)}),
        Attribute("light", "vector", -1, 1, size=3),
    )
)
PROGRAM = (sys.executable, "-m", "latentedit.cli.main")


@pytest.fixture
def latentedit(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, toy_editors.registry)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    command = CommandLine(tmp_path_factory.mktemp("made"), toy_editors.registry)
    command.ok(
        *("bank", "make", "--generator", "toy", "--labeller", "toy-labeller"),
        *("--n", "30", "--test", "4", "--out", "B"),
    )
    command.ok("fit", "exact", "--bank", "B", "--out", "E")
    return command


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("age=040", [40.0]),
        ("age=5e1", [50.0]),
        ("age=6.", [6.0]),
        (" age = 7 ", [7.0]),
        ("gender=female", [0.0]),
        ("gender=0.5", [0.5]),
        ("light=[0, .5, -1]", [0.0, 0.5, -1.0]),
    ],
)
def test_values_are_read_as_people_write_them(text: str, values: list[float]) -> None:
    (found,) = parse_settings((text,), SCHEMA)
    assert found.values.tolist() == values
    assert not found.relative


@pytest.mark.parametrize("text", ["yes", "true", "0x20", "0:45", "1_0", "4,5", "", "~", "[]", "１"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="age takes a number"):
        parse_settings((f"age={text}",), SCHEMA)


def test_a_sign_before_a_number_is_no_change() -> None:
    with pytest.raises(InputError, match=r"write age\+=20 for a change, or age=20 for a value"):
        parse_settings(("age=+20",), SCHEMA)
    with pytest.raises(UnknownName, match="did you mean 'female'"):
        parse_settings(("gender=femal",), SCHEMA)


def test_a_change_is_added_to_the_value_of_each_face() -> None:
    source = torch.tensor([[10.0, 1, 0, 0, 0], [40.0, 0, 0.5, 0, 0]])
    older, younger, lit = parse_settings(("age+=20", "age-=5e0", "light+=[.1, 0, -1]"), SCHEMA)
    assert older.target(SCHEMA, source, 1.0)[:, 0].tolist() == [30.0, 60.0]
    assert older.target(SCHEMA, source, 0.5)[:, 0].tolist() == [20.0, 50.0]
    assert younger.target(SCHEMA, source, 1.0)[:, 0].tolist() == [5.0, 35.0]
    torch.testing.assert_close(
        lit.target(SCHEMA, source, 1.0)[:, 2:], torch.tensor([[0.1, 0, -1], [0.6, 0, -1]])
    )
    assert (older.title, younger.title) == ("age + 20", "age - 5")
    (far,) = parse_settings(("age+=31",), SCHEMA)
    with pytest.raises(OutOfRange, match=r"age \+ 31: .*received 71; choose a smaller change"):
        far.target(SCHEMA, source, 1.0)
    with pytest.raises(InputError, match="finite"):
        parse_settings(("age+=.inf",), SCHEMA)


@pytest.mark.parametrize("face", ["+1", "1.0", "²", "9" * 5_000, "-1", ""])
def test_a_face_is_a_plain_index(face: str) -> None:
    with pytest.raises(InputError, match="--transfer takes one row"):
        parse_transfers((f"age={face}",), SCHEMA, torch.zeros(3, 5), "face")


@pytest.mark.parametrize("pair", ["a=yes", "a=", "a=-1", "a=0", "a=.nan", "a=1_0", "=1", "a=true"])
def test_the_weight_of_a_loss_is_a_number_above_0(pair: str) -> None:
    with pytest.raises(InputError, match="a loss is NAME or NAME=WEIGHT"):
        parse_losses((pair,))
    with pytest.raises(InputError, match="each NAME once"):
        parse_losses(("a", "a=2"))
    assert parse_losses(("a=05e-1",)) == {"a": 0.5}


MAKE = ("bank", "make", "--generator", "toy", "--labeller", "toy-labeller", "--out", "new")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--truncation-psi", "0"),
        ("--truncation-psi", "-0.5"),
        ("--truncation-psi", "1.5"),
        ("--truncation-psi", "nan"),
        ("--seed", "-1"),
        ("--seed", str(2**31)),
        ("--seed", "9" * 23),
        ("--n", "9"),
        ("--test", "1"),
        ("--n", "0x20"),
    ],
)
def test_bounds_are_those_of_suites(latentedit: CommandLine, arguments: tuple[str, ...]) -> None:
    assert arguments[0] in latentedit.refused(*MAKE, *arguments)
    assert not (latentedit.folder / "new").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1},
        {"seed": 2**31},
        {"truncation_psi": 0.0},
        {"truncation_psi": 1.01},
        {"truncation_psi": float("nan")},
    ],
)
def test_a_bank_has_the_same_bounds_in_the_library(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"seed is from 0 to 2147483647 and truncation_psi"):
        make_bank(
            toy_editors.registry(),
            tmp_path / "B",
            generator="toy",
            labeller="toy-labeller",
            n_fit=10,
            n_test=2,
            **wrong,
        )


@pytest.mark.parametrize("amount", ["nan", "inf", "1.5", "-0.1"])
def test_an_amount_is_a_share(made: CommandLine, amount: str) -> None:
    base = ("edit", "--editor", "E", "--bank", "B", "--set", "age=20", "--out", "amount.png")
    assert "--amount" in made.refused(*base, "--amount", amount)


@pytest.mark.parametrize("device", ["tpu", "cpu:1", "cuda:x", "cuda:", "cuda:-1"])
def test_a_device_is_cpu_or_cuda(made: CommandLine, device: str) -> None:
    base = ("edit", "--editor", "E", "--bank", "B", "--set", "age=20", "--out", "device.png")
    assert "device is cpu or cuda" in made.refused(*base, "--device", device)


def places(folder: Path) -> Iterator[tuple[str, str]]:
    """Things that stand where a new folder is wanted."""
    (folder / "file").write_text("mine")
    (folder / "full").mkdir()
    (folder / "full" / "mine").touch()
    (folder / "link").symlink_to(folder / "nowhere")
    for name in ("file", "full", "link"):
        yield name, "exists already"


def test_a_new_folder_never_takes_the_place_of_something(latentedit: CommandLine) -> None:
    for name, told in places(latentedit.folder):
        for command in (
            ("bank", "make", "--generator", "toy", "--labeller", "toy-labeller"),
            ("bank", "import", "data", "--generator", "toy"),
            ("bank", "label", "B", "--labeller", "toy-labeller"),
            ("bank", "images", "B"),
            ("fit", "exact", "--bank", "B"),
            ("import", "w.pkl"),
            ("invert", "photos", "--generator", "toy"),
            ("train", "trainer", "--images", "photos"),
        ):
            assert told in latentedit.refused(*command, "--out", name), command
    assert (latentedit.folder / "file").read_text() == "mine"
    assert (latentedit.folder / "link").is_symlink()


def test_a_picture_is_overwritten_only_with_force(made: CommandLine) -> None:
    picture = made.folder / "mine.png"
    picture.write_text("mine")
    edit = ("edit", "--editor", "E", "--bank", "B", "--set", "age=20", "--out", "mine.png")
    sample = ("sample", "--editor", "E", "--bank", "B", "--out", "mine.png")
    for command in (edit, sample):
        assert "add --force" in made.refused(*command)
    listing = ("bench", "list", ".", "--html", "mine.png")
    assert "add --force" in made.refused(*listing)
    assert picture.read_text() == "mine"
    made.ok(*edit, "--force", "--index", "0")
    assert picture.read_bytes().startswith(b"\x89PNG")
    (made.folder / "folder.png").mkdir()
    assert "no regular file" in made.refused(*edit[:-1], "folder.png", "--force")


def test_a_relative_change_is_edited_and_drawn(made: CommandLine) -> None:
    base = ("edit", "--editor", "E", "--bank", "B", "--index", "0")
    source = LatentBank.open(made.folder / "B").split("test").attributes[0, 0]
    step = "age+=1" if source < 35 else "age-=1"
    assert "1 face, 1 edit" in made.ok(*base, "--set", step, "--out", "step.png")


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (PermissionError(13, "Permission denied", "B"), 3, "the system refused B: Permission"),
        (OSError(28, "No space left on device"), 3, "the system refused: No space left"),
        (MemoryError(), 3, "out of memory; free some"),
        (MemoryError("Unable to allocate 8 TiB"), 3, "out of memory: Unable to allocate 8 TiB"),
        (OSError(36, "File name too long", "x" * 300), 2, f"{'x' * 200} is not the name of a file"),
        (OSError(40, "Too many levels of symbolic links", "a"), 2, "a is not the name of a file"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you"), 3, "out of memory"),
        (ImportError("libtorch.so: failed to map segment from shared object"), 3, "out of memory"),
        (OSError("libtorch.so: cannot allocate memory in static TLS block"), 3, "out of memory"),
        (OSError(12, "Cannot allocate memory"), 3, "out of memory"),
        (
            ImportError("libc.so: cannot open shared object file: Too many open files", name="z"),
            3,
            "cannot import z: libc.so: cannot open",
        ),
        (torch.OutOfMemoryError("CUDA out of memory."), 3, "out of memory"),
        (UnicodeEncodeError("ascii", "é", 0, 1, "no"), 3, "set PYTHONUTF8=1"),
        (KeyError("x"), 4, "a bug in latentedit: KeyError: 'x'. The traceback is in "),
        (BrokenPipeError(32, "Broken pipe"), 1, ""),
    ],
)
def test_an_unexpected_error_is_one_line(
    error: Exception,
    code: int,
    told: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert explain(error) == code
    shown = capsys.readouterr().err
    assert told in shown
    assert len(shown.splitlines()) == bool(told)
    reports = list(tmp_path.glob("latentedit-traceback-*.txt"))
    assert [report.read_text() for report in reports] == (["KeyError: 'x'\n"] if code == 4 else [])


def test_a_bug_without_a_place_for_its_traceback_prints_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere/at/all")
    assert explain(KeyError("x")) == 4
    assert "The traceback stands above" in capsys.readouterr().err


def test_errors_of_commands_end_as_the_last_resort_says(
    latentedit: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Registry:
        raise OSError(5, "Input/output error", "here")

    latentedit.registry = broken
    assert "refused here: Input/output" in latentedit.refused("plugins", "list", code=3)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_error(closed: str, tmp_path: Path) -> None:
    command = f"{' '.join(PROGRAM)} bench suites {closed}"
    found = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path)
    assert (found.returncode, found.stderr) == (0, "")
    assert ("quickstart" in found.stdout) == (">&-" not in closed.split())
    assert list(tmp_path.iterdir()) == []


def test_a_full_device_is_one_line_and_status_3() -> None:
    found = subprocess.run(
        ["bash", "-c", f"{' '.join(PROGRAM)} plugins list --json >/dev/full"],
        capture_output=True,
        text=True,
    )
    assert found.returncode == 3
    assert found.stderr == "error: the system refused: No space left on device\n"


def limited(limit: str, words: str, streams: str = "") -> subprocess.CompletedProcess[str]:
    """A command with a limit of the shell."""
    command = f"ulimit {limit}; exec {' '.join(PROGRAM)} {words} {streams}"
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True)


@pytest.mark.parametrize("words", ["plugins list", "fit exact --bank B --out E"])
def test_too_little_address_space_is_one_line_before_libraries_end_the_process(words: str) -> None:
    found = limited("-v 524288", words)
    assert found.returncode == 3
    assert found.stderr.startswith("error: out of memory: 512 MiB of address space are allowed")
    assert len(found.stderr.splitlines()) == 1


def test_eight_open_files_are_enough_to_begin() -> None:
    found = limited("-n 8", "plugins list --json")
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize(("words", "code"), [("bench run no.yaml --out R", 2), ("--nope", 2)])
def test_an_error_that_cannot_be_printed_keeps_its_status(words: str, code: int) -> None:
    assert limited("-c 0", words, ">/dev/full 2>/dev/full").returncode == code


@pytest.mark.parametrize(
    "words",
    [
        ("fit", "exact", "--bank", "B", "--out", "{}"),
        (
            "edit",
            "--editor",
            "E",
            "--bank",
            "B",
            "--index",
            "0",
            "--set",
            "age=30",
            "--out",
            "{}.png",
        ),
        (
            "bank",
            "make",
            "--generator",
            "toy",
            "--labeller",
            "toy-labeller",
            "--n",
            "30",
            "--out",
            "{}",
        ),
        ("bank", "verify", "{}"),
        ("import", "{}.pkl", "--out", "G"),
        ("bench", "list", "{}"),
        ("plugins", "new", "mine", "--out", "{}"),
    ],
)
def test_a_name_that_is_too_long_is_refused(made: CommandLine, words: tuple[str, ...]) -> None:
    told = made.refused(*(word.format("x" * 300) for word in words))
    assert "is not the name of a file: File name too long" in told


def test_a_folder_that_may_only_be_read_is_named(tmp_path: Path) -> None:
    """An ordinary user, or root without its powers."""
    powerless = [] if os.geteuid() else ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    if powerless and shutil.which("setpriv") is None:
        pytest.skip("root writes everywhere, and setpriv is not installed to take its powers away")
    folder = tmp_path / "kept"
    folder.mkdir()
    folder.chmod(0o555)
    words = ["plugins", "new", "mine", "--out", str(folder / "mine")]
    found = subprocess.run([*powerless, *PROGRAM, *words], capture_output=True, text=True)
    assert found.returncode == 3
    assert found.stderr.startswith(f"error: could not write {folder / 'mine'}: Permission denied")
    assert len(found.stderr.splitlines()) == 1


def test_a_locale_without_the_characters_prints_escapes() -> None:
    spoken = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    found = subprocess.run(
        [*PROGRAM, "bench", "status", "nöwhere"],
        capture_output=True,
        text=True,
        env=os.environ | spoken,
    )
    assert found.returncode == 2
    assert "is not a run" in found.stderr
    assert found.stderr.isascii()


def test_pipes_and_devices_are_refused_and_not_waited_for(tmp_path: Path) -> None:
    command = CommandLine(tmp_path, Registry.discover)
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "pipe.yaml")
    os.mkfifo(tmp_path / "pipe.json")
    os.mkfifo(tmp_path / "w.pkl")
    (tmp_path / "B").mkdir()
    os.mkfifo(tmp_path / "B" / "bank.json")
    invert = ("invert", "--generator", "synthface", "--out", "x")
    assert "pipe.png is a pipe, a socket or a device" in command.refused(*invert, "pipe.png")
    told = command.refused(*invert, "/dev/zero", "--landmarks", "pipe.json")
    assert "pipe.json is a pipe, a socket or a device" in told
    told = command.refused("bench", "run", "pipe.yaml", "--out", "R")
    assert "pipe.yaml is a pipe, a socket or a device" in told
    assert "there is no file w.pkl" in command.refused("import", "w.pkl", "--out", "W")
    assert "is not a bank" in command.refused("bank", "show", "B")


def test_json_output_stays_json_with_names_that_cannot_be_encoded(latentedit: CommandLine) -> None:
    assert isinstance(json.loads(latentedit.ok("plugins", "list", "--json")), list)
