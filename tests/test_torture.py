"""A run that is killed or interrupted at random moments ends as one that nobody touched.

``LATENTEDIT_KILLS``, ``LATENTEDIT_INTERRUPTS`` and ``LATENTEDIT_REPEATS`` say how often; ``make
torture`` asks for many.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import toy_editors
from processes_of import family, lives
from test_benchmark import SUITE, Silent

from latentedit import CellStore
from latentedit.benchmark.results.summary import summarise
from latentedit.benchmark.run import run_suite
from latentedit.benchmark.suite import Suite

KILLS = int(os.environ.get("LATENTEDIT_KILLS", "2"))
INTERRUPTS = int(os.environ.get("LATENTEDIT_INTERRUPTS", "1"))
REPEATS = int(os.environ.get("LATENTEDIT_REPEATS", "1"))
SEED = int(os.environ.get("LATENTEDIT_TORTURE_SEED", "0"))
CELLS = 1 + 4 * (1 + 3)

RUN = """
import json, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
import toy_editors
from latentedit.benchmark.run import run_suite
from latentedit.benchmark.suite import Suite
from latentedit.errors import LatentEditError

class Lines:
    def progressed(self, cell_id, fraction, message): pass
    def finished(self, cell_id, status, error): print(cell_id, status, flush=True)

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    suite = Suite.model_validate(json.loads({suite!r}))
    try:
        outcome = run_suite(suite, folder, Lines(), registry=toy_editors.registry, workers=2)
    except LatentEditError as error:
        sys.exit(error.exit_code)
    if outcome.failed:
        sys.exit(1)
    from latentedit.benchmark.results.summary import summarise
    summarise(folder)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    complete(folder)
    return folder


def complete(folder: Path) -> None:
    """Run, or go on, in this process to the end."""
    suite = Suite.model_validate(SUITE)
    assert not run_suite(suite, folder, Silent(), registry=toy_editors.registry).failed
    summarise(folder)


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bin") / "run_toy.py"
    path.write_text(RUN.format(tests=str(Path(__file__).parent), suite=json.dumps(SUITE)))
    return path


def nothing_lives_on(pids: list[int]) -> bool:
    for _ in range(2400):  # two minutes, for a busy machine
        if not any(map(lives, pids)):
            return True
        time.sleep(0.05)
    return False


def kill(pid: int) -> bool:
    """Whether it was there to be killed."""
    if lived := lives(pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return lived


def started(*command: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_somewhere(process: subprocess.Popen[str], rng: random.Random) -> None:
    """Until some cells have ended, and then a little longer; or for a while after the start."""
    assert process.stdout is not None
    if (lines := rng.randrange(7)) == 0:
        time.sleep(rng.uniform(0, 3))
    for _ in range(lines):
        process.stdout.readline()
    time.sleep(rng.uniform(0, 0.1))


def finished(folder: Path) -> dict[str, tuple[int, int]]:
    """By cell that has finished, what changes whenever a cell is written again."""
    store, found = CellStore(folder), {}
    for path in (folder / "cells").glob("[!.]*/cell.json"):
        record = store.record(path.parent.name)
        if record is not None and record.status == "ok":
            found[record.id] = (path.stat().st_ino, path.stat().st_mtime_ns)
    return found


def content(folder: Path) -> dict[str, bytes]:
    """What must not depend on what happened on the way: results, and what they rest on."""
    kinds = ("results.*", "provenance.json", "bank/*", "**/*.safetensors")
    files = {path for kind in kinds for path in folder.glob(kind) if path.is_file()}
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def torment(process: subprocess.Popen[str], rng: random.Random) -> tuple[int, list[int]]:
    """Kill processes of a run until it is killed itself or ends; how many, and all that it had."""
    kills, members = 0, list[int]()
    while process.poll() is None:
        wait_somewhere(process, rng)
        members += (now := family(process.pid))
        victim = process.pid if rng.random() < 0.6 else rng.choice(now)
        kills += kill(victim)
        if victim == process.pid:
            break
    return kills, members


def killed_until_it_ends(script: Path, folder: Path, rng: random.Random) -> Iterator[int]:
    """Repeat a run until it ends; yield for every time how many of its processes were killed."""
    while True:
        before = finished(folder)
        process = started(sys.executable, script, folder)
        kills, members = torment(process, rng)
        output, _ = process.communicate(timeout=600)
        assert nothing_lives_on(members)
        after = finished(folder)
        assert {cell: after.get(cell) for cell in before} == before, "lost, or computed again"
        assert process.returncode in (0, 1, 3, -signal.SIGKILL), output
        if process.returncode != -signal.SIGKILL:  # else a process may complain of half a message
            assert "Traceback" not in output, output
        yield kills
        if process.returncode == 0:
            return


# These three take 10 s each: they start whole runs in processes of their own, which load torch.
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_nobody_touched(
    script: Path, undisturbed: Path, tmp_path: Path
) -> None:
    rng, kills, runs = random.Random(SEED), 0, 0
    while kills < KILLS:
        runs += 1
        folder = tmp_path / str(runs)
        for killed in killed_until_it_ends(script, folder, rng):
            kills += killed
            if kills >= KILLS:
                complete(folder)
                break
        assert len(finished(folder)) == CELLS
        assert content(folder) == content(undisturbed)
        assert not list(folder.rglob(".*"))
        print(f"{kills} kills in {runs} runs", flush=True)


@pytest.mark.parametrize("repeat", range(REPEATS))
def test_results_do_not_depend_on_where_and_under_what_they_are_computed(
    script: Path, undisturbed: Path, tmp_path: Path, repeat: int
) -> None:
    odd = {
        "PYTHONHASHSEED": str(1 + repeat),
        "TZ": ("Asia/Kathmandu", "America/St_Johns")[repeat % 2],
        "LC_ALL": ("tr_TR.UTF-8", "C", "de_DE.UTF-8")[repeat % 3],
        "OMP_NUM_THREADS": ("2", "1")[repeat % 2],
    }
    elsewhere = tmp_path / "ein Ordner, ünd"
    elsewhere.mkdir()
    command = [sys.executable, str(script), "run"]
    subprocess.run(command, check=True, cwd=elsewhere, env=os.environ | odd, capture_output=True)
    assert content(elsewhere / "run") == content(undisturbed)


CLI = """
import sys
sys.path.insert(0, {tests!r})
from latentedit.registry import Registry
import toy_editors
Registry.discover = staticmethod(toy_editors.registry)
from latentedit.cli.main import main
if __name__ == "__main__":
    main()
"""


def test_an_interrupted_run_says_how_to_go_on_and_loses_nothing(
    undisturbed: Path, tmp_path: Path
) -> None:
    script, suite = tmp_path / "toy_latentedit.py", tmp_path / "suite.yaml"
    script.write_text(CLI.format(tests=str(Path(__file__).parent)))
    suite.write_text(json.dumps(SUITE))
    rng, seconds = random.Random(SEED), []
    for i in range(INTERRUPTS):
        folder = tmp_path / str(i)
        process = started(sys.executable, script, "bench", "run", suite, "--out", folder)
        assert process.stdout is not None
        for _ in range(rng.randrange(1, 15)):
            process.stdout.readline()
        time.sleep(rng.uniform(0, 0.05))
        before, members = finished(folder), family(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        at = time.monotonic()
        process.wait(600)
        seconds.append(time.monotonic() - at)
        output, _ = process.communicate(timeout=600)
        assert process.returncode == 130, output
        assert f"Go on with: latentedit bench run {suite} --out {folder}" in output
        assert nothing_lives_on(members)
        complete(folder)
        after = finished(folder)
        assert {cell: after.get(cell) for cell in before} == before
        assert content(folder) == content(undisturbed)
    print(f"{INTERRUPTS} interrupts, at most {max(seconds):.2f} s until it had ended")
