"""What killed processes leave goes with the next run; what living ones write stays."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from latentedit.files.artefacts import new_folder, read_json, write_json
from latentedit.files.staging import remove_abandoned, unfinished_file, unfinished_folder

KILLS = int(os.environ.get("LATENTEDIT_KILLS", "1"))
"""``make torture`` kills each command 50 times."""


def _write_and_wait(path: Path, started: multiprocessing.synchronize.Event) -> None:
    with unfinished_folder(path) as folder:
        (folder / "half").write_text("h")
        started.set()
        signal.pause()


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if ".unfinished." in path.name)


def test_what_a_living_process_writes_stays_and_what_a_dead_one_wrote_goes(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    process = context.Process(target=_write_and_wait, args=(tmp_path / "x", started))
    process.start()
    assert started.wait(600)
    remove_abandoned(tmp_path / "x")
    assert len(left(tmp_path)) == 1
    process.kill()
    process.join()
    assert len(left(tmp_path)) == 1
    remove_abandoned(tmp_path / "y")
    assert len(left(tmp_path)) == 1
    with new_folder(tmp_path / "x") as folder:
        write_json(folder / "a.json", 1)
        assert left(tmp_path) == [folder.name]
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize(
    "name",
    [
        "x",
        ".x.unfinished.short",
        ".x.unfinished.longer_than_8",
        ".x.unfinished.CAPITALS",
        ".y.unfinished.abcdefgh",
        ".x.backup12",
        "x.unfinished.abcdefgh",
    ],
)
def test_other_peoples_files_stay(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    remove_abandoned(tmp_path / "x")
    assert (tmp_path / name).read_text() == "mine"


def test_names_are_no_patterns(tmp_path: Path) -> None:
    (tmp_path / ".axb.unfinished.abcdefgh").touch()
    (tmp_path / ".a.b.unfinished.abcdefgh").touch()
    remove_abandoned(tmp_path / "a.b")
    assert left(tmp_path) == [".axb.unfinished.abcdefgh"]


def test_nothing_stays_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), unfinished_file(tmp_path / "x") as file:
        file.write_text(str(1 / 0))
    with pytest.raises(ZeroDivisionError), unfinished_folder(tmp_path / "x") as folder:
        (folder / "a").write_text(str(1 / 0))
    assert not list(tmp_path.iterdir())


def _write_often(path: Path, value: str) -> None:
    for _ in range(200):
        write_json(path, value)


def test_writers_of_one_file_do_not_take_each_others_for_abandoned(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    path = tmp_path / "x.json"
    writers = [context.Process(target=_write_often, args=(path, str(i))) for i in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert read_json(path) in {"0", "1", "2", "3"}
    assert [found.name for found in tmp_path.iterdir()] == ["x.json"]


def test_commands_that_are_killed_leave_no_part_under_the_targets_name(tmp_path: Path) -> None:
    script = Path(__file__).parent / "torture" / "kills.py"
    found = subprocess.run(
        [sys.executable, str(script), "--kills", str(KILLS)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"TMPDIR": str(tmp_path)},  # in memory, where flushing takes no time
    )
    assert found.returncode == 0, found.stdout + found.stderr
    outcomes = [json.loads(line) for line in found.stdout.splitlines()]
    commands = ("bank make", "fit", "edit", "import", "fetch", "invert", "bench run")
    stops = list(product(commands, ("kill", "interrupt", "terminate")))
    assert [(outcome["command"], outcome["how"]) for outcome in outcomes] == stops
    for outcome in outcomes:
        assert outcome["kills"] == KILLS
        assert outcome["faults"] == []
