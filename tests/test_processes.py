"""What a stopped command and a lost process say, and what they leave behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import toy_editors
from in_process import CommandLine

from latentedit import EnvironmentFault
from latentedit.benchmark.execution.processes import start
from latentedit.guard import Interrupted

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals of this system")

STOPS = [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)]


@pytest.mark.parametrize(("number", "word", "code"), STOPS)
@pytest.mark.parametrize("module", ["click", "rich.console", "numpy", "torch", "scipy.stats"])
def test_a_command_that_is_stopped_while_it_is_imported_prints_one_line(
    module: str, number: int, word: str, code: int, tmp_path: Path
) -> None:
    """The signal comes when Python says that it has imported `module`."""
    command = ["bench", "run", "worlds", "--out", "run"]
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "latentedit.cli.main", *command],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.rpartition("|")[2].strip() == module:
            process.send_signal(number)
            break
    lines = [line for line in process.stderr if line.strip()]
    told = [line for line in lines if not line.startswith("import time:")]
    assert process.wait(60) == code
    assert len(told) == 1
    assert told[0].startswith(word)


@pytest.mark.parametrize(("number", "word", "code"), STOPS)
def test_a_stopped_run_repeats_every_option_that_was_given(
    number: int, word: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise Interrupted(number)

    monkeypatch.setattr("latentedit.benchmark.run.run_suite", stopped)
    given = (
        "--out 'my run' --workers 3 --executor near --executor-option workers=2 "
        "--executor-option room=1 --with timid --with exact --limit-seconds 5.0 --limit-memory 2.0"
    )
    words = [word.strip("'") for word in given.replace("my run", "my_run").split()]
    words = [word.replace("my_run", "my run") for word in words]
    run = CommandLine(tmp_path, toy_editors.registry)
    done = run("bench", "run", "worlds", *words)
    assert done.returncode == code
    assert done.stderr.startswith(f"{word}; finished cells are kept. Go on with: ")
    again = done.stderr.partition("latentedit bench run worlds ")[2].strip()
    assert sorted(again.split()) == sorted(given.split())


UNLOADING = """
import os, signal, sys, threading, time
sys.argv = ["latentedit", "bench", {command!r}]
from latentedit.cli.main import main
class Crashing:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGSEGV)
crashing = Crashing()
threading.Thread(target=time.sleep, args=(600,)).start()
main()
"""


@pytest.mark.parametrize(("command", "code"), [("suites", 0), ("suits", 2)])
def test_the_exit_code_stays_whatever_libraries_do_at_the_end(command: str, code: int) -> None:
    """One crashes while it is unloaded, and a thread of another one does not end."""
    found = subprocess.run(
        [sys.executable, "-c", UNLOADING.format(command=command)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert found.returncode == code, found.stderr
    assert "quickstart" in found.stdout or "suits" in found.stderr


def test_an_end_of_input_is_no_interrupt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object, **__: object) -> None:
        raise EOFError

    monkeypatch.setattr("latentedit.benchmark.run.run_suite", lost)
    done = CommandLine(tmp_path, toy_editors.registry)("bench", "run", "worlds", "--out", "r")
    assert done.returncode == 3
    assert "ended early" in done.stderr


@pytest.mark.parametrize("error", [EOFError(), BrokenPipeError(32, "x"), ConnectionResetError()])
def test_a_server_of_processes_that_is_gone_is_told_as_such(error: Exception) -> None:
    class Lost:
        def start(self) -> None:
            raise error

    with pytest.raises(EnvironmentFault, match="the server from which processes are forked has"):
        start(Lost())


SERVE = """
import os, signal, sys
from latentedit.benchmark.execution import processes

def work():
    print("worked", flush=True)

if __name__ == "__main__":
    process = processes.context().Process(target=work)
    processes.start(process)
    process.join()
    print(os.getpid(), flush=True)
    if sys.argv[1] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def short(tmp_path: Path) -> Iterator[Path]:
    """A folder for temporary files with a name that is short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="le-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def serve(folder: Path, end: str, tmpdir: Path) -> list[str]:
    """What a process says that starts another one and then ends in a way."""
    script = folder / "serve.py"
    script.write_text(SERVE)
    environment: dict[str, Any] = os.environ | {"TMPDIR": str(tmpdir)}
    done = subprocess.run(
        [sys.executable, script, end], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == (-signal.SIGKILL if end == "killed" else 0), done.stderr
    return done.stdout.split()


def test_a_long_name_of_the_folder_for_temporary_files_does_not_break_sockets(
    tmp_path: Path,
) -> None:
    long = tmp_path / ("long-" * 30)
    long.mkdir()
    assert serve(tmp_path, "well", long)[0] == "worked"


def test_sockets_of_a_killed_process_are_removed_by_the_next_one(
    tmp_path: Path, short: Path
) -> None:
    mine = short / "latentedit-sockets-1-notes"  # of a process that lives
    mine.mkdir()
    _, pid = serve(tmp_path, "killed", short)
    assert [path.name.split("-")[2] for path in short.iterdir() if path != mine] == [pid]
    kept = short / f"latentedit-sockets-{pid}-mine"
    kept.mkdir()
    (kept / "letter.txt").write_text("not a socket")
    assert serve(tmp_path, "well", short)[0] == "worked"
    assert sorted(short.iterdir()) == sorted([mine, kept])
    assert (kept / "letter.txt").read_text() == "not a socket"
