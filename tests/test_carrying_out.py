"""The order in which cells are computed, what hinders them, and the processes beside a run."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import harness_plugins
import pytest
import torch

from latentedit.benchmark.cells.store import Cell, CellStore, Outcome
from latentedit.benchmark.execution.events import Ended, Event, Progressed
from latentedit.benchmark.execution.executor import Executor, ExecutorOptions, run_jobs
from latentedit.benchmark.execution.local import LocalExecutor
from latentedit.benchmark.execution.processes import (
    end_with_parent,
    exit_reason,
    in_process,
    machine_memory,
    own_memory,
    thread_count,
)
from latentedit.benchmark.execution.warm_process import WarmProcess
from latentedit.benchmark.execution.worker import Job, fit_id
from latentedit.benchmark.suite import Suite
from latentedit.errors import EnvironmentFault

SUITE = Suite.model_validate(
    {
        "name": "order",
        "bank": {"generator": {"plugin": "toy"}, "labeller": "a", "n_fit": 10, "n_test": 2},
        "judge": "b",
        "identity": ["c"],
        "editors": {"mine": {"plugin": "push"}},
        "tasks": [{"attribute": "age", "change": 5}],
    }
)


@pytest.mark.parametrize(("asked", "found"), [(3, 3), (None, os.cpu_count())])
def test_so_many_cells_are_computed_at_a_time(
    asked: int | None, found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WarmProcess, "prepare", staticmethod(lambda: None))
    assert LocalExecutor(ExecutorOptions(workers=asked)).free() == found


class Scripted(Executor):
    """Computes nothing, so many at a time; ends the last that was started first.

    Args:
        bad: by cell how it ends, where it does not end well.
    """

    def __init__(self, store: CellStore, room: int, bad: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.store, self.room, self.bad = store, room, bad or {}
        self.running: list[Job] = []
        self.started: list[str] = []
        self.most = 0
        self.further: list[Event] = []

    def free(self) -> int:
        return self.room - len(self.running)

    def start(self, job: Job) -> None:
        assert self.free() > 0
        self.running.append(job)
        self.started.append(job.cell.id)
        self.most = max(self.most, len(self.running))

    def events(self, seconds: float) -> list[Event]:
        if not self.running:
            return []
        cell = self.running.pop().cell
        found: list[Event] = [*self.further, Progressed(cell.id, 0.5, "half")]
        if cell.id in self.bad:
            return [*found, Ended(cell.id, self.bad[cell.id], 2.0, "it broke", output="the end")]
        staged = self.store.stage(cell, Outcome("ok", 1.0, arrays={"x": torch.ones(1)}))
        return [*found, Ended(cell.id, "ok", 1.0, staged=str(staged))]

    def close(self) -> None:
        pass


class Told:
    """Remembers what an observer is told."""

    def __init__(self) -> None:
        self.progress: list[tuple[str, float, str]] = []
        self.ends: list[tuple[str, str, str]] = []

    def progressed(self, cell_id: str, fraction: float, message: str) -> None:
        self.progress.append((cell_id, fraction, message))

    def finished(self, cell_id: str, status: str, error: str) -> None:
        self.ends.append((cell_id, status, error))


def job(name: str, *after: str) -> Job:
    return Job(Path("run"), SUITE, Cell("fit", {"k": name}, name), harness_plugins.registry, after)


def done(folder: Path, jobs: list[Job], room: int = 1, **bad: Any) -> tuple[Scripted, Told]:
    store = CellStore(folder)
    executor, told = Scripted(store, room, {fit_id(name, 0): s for name, s in bad.items()}), Told()
    run_jobs(executor, jobs, store, told)
    return executor, told


A, B, C, D = (fit_id(name, 0) for name in "abcd")


def test_a_fit_is_called_by_its_entrant_and_seed() -> None:
    assert fit_id("mine", 7) == "fit--mine--seed7"


def test_cells_start_in_order_but_after_those_that_they_need(tmp_path: Path) -> None:
    jobs = [job("a", C), job("b"), job("c", B), job("d", A, C)]
    executor, told = done(tmp_path, jobs)
    assert executor.started == [B, C, A, D]
    assert told.ends == [(cell, "ok", "") for cell in (B, C, A, D)]
    assert told.progress == [(cell, 0.5, "half") for cell in (B, C, A, D)]


@pytest.mark.parametrize(("room", "order"), [(1, [A, B, C]), (2, [B, A, C]), (3, [C, B, A])])
def test_as_many_run_at_a_time_as_there_is_room_for(
    tmp_path: Path, room: int, order: list[str]
) -> None:
    executor, told = done(tmp_path, [job("a"), job("b"), job("c")], room)
    assert executor.most == room
    if room != 2:  # where a cell is started as soon as there is room again
        assert [cell for cell, _, _ in told.ends] == order
    assert sorted(cell for cell, _, _ in told.ends) == [A, B, C]


def test_a_cell_waits_for_what_still_runs(tmp_path: Path) -> None:
    executor, _ = done(tmp_path, [job("a"), job("b", A), job("c")], room=3)
    assert executor.started.index(B) > executor.started.index(A)
    assert executor.started[:2] == [A, C]


@pytest.mark.parametrize("status", ["failed", "crashed", "timeout", "oom"])
def test_what_needs_a_cell_that_failed_is_not_started_and_says_so(
    tmp_path: Path, status: str
) -> None:
    jobs = [job("a"), job("b", A), job("c", B), job("d")]
    executor, told = done(tmp_path, jobs, a=status)
    assert executor.started == [A, D]
    store = CellStore(tmp_path)
    records = {cell: store.record(cell) for cell in (A, B, C, D)}
    found = {cell: (record.status, record.error) for cell, record in records.items() if record}
    assert found == {
        A: (status, "it broke"),
        B: ("failed", f"{A} did not finish: it broke"),
        C: ("failed", f"{B} did not finish: {A} did not finish: it broke"),
        D: ("ok", ""),
    }
    assert {cell: (end, error) for cell, end, error in told.ends} == found
    assert records[A] is not None
    assert records[A].seconds == 2.0
    assert (store.path(A) / "output.txt").read_text() == "the end"


def test_a_cell_that_was_never_recorded_is_named_too(tmp_path: Path) -> None:
    _, told = done(tmp_path, [job("a", "faces")])
    assert told.ends == [(A, "failed", "faces did not finish: no record")]


def test_what_was_done_before_counts_and_what_is_stale_does_not(tmp_path: Path) -> None:
    done(tmp_path, [job("a")])
    executor, _ = done(tmp_path, [job("b", A)])
    assert executor.started == [B]
    CellStore(tmp_path).plan([Cell("fit", {"k": "other"}, "a"), job("c").cell])
    executor, told = done(tmp_path, [job("c", A)])
    assert executor.started == []
    assert "it was computed for another key" in told.ends[0][2]


def test_what_is_told_of_cells_that_do_not_run_counts_for_nothing(tmp_path: Path) -> None:
    store, told = CellStore(tmp_path), Told()
    executor = Scripted(store, 1)
    executor.further = [Progressed("ghost", 0.1, "boo"), Ended("ghost", "crashed", 1.0, "boo")]
    run_jobs(executor, [job("a"), job("b")], store, told)
    assert {cell for cell, _, _ in told.ends} == {A, B}
    assert {cell for cell, _, _ in told.progress} == {A, B}
    assert store.record("ghost") is None


def test_workers_of_an_executor_are_at_least_one() -> None:
    assert ExecutorOptions(workers=1).workers == 1
    with pytest.raises(ValueError, match="workers"):
        ExecutorOptions(workers=0)


def test_an_exit_code_is_told_in_words() -> None:
    assert exit_reason(-1) == "the process was ended by SIGHUP"
    assert exit_reason(-9) == "the process was ended by SIGKILL"
    assert exit_reason(-11) == "the process was ended by SIGSEGV"
    assert exit_reason(3) == "the process exited with code 3"
    assert exit_reason(0) == "the process exited with code 0"


def test_memory_is_told_in_bytes() -> None:
    found = {
        name: int(rest.split()[0]) * 1024
        for name, _, rest in (
            line.partition(":") for line in Path("/proc/meminfo").read_text().splitlines()
        )
    }
    assert machine_memory() == found["MemTotal"]
    before = own_memory(os.getpid())
    held = bytearray(os.urandom(1 << 20)) * 64
    gained = own_memory(os.getpid()) - before
    assert 60 << 20 <= gained <= 80 << 20
    assert len(held) == 64 << 20
    assert own_memory(2**30) == 0


def test_memory_of_another_process_is_what_the_system_says_of_it() -> None:
    """`cat` has answered, and waits."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(["cat"], text=True, bufsize=1, **pipes) as process:  # type: ignore[call-overload]
        process.stdin.write("here\n")
        assert process.stdout.readline() == "here\n"
        (kibibytes,) = (
            int(line.split()[1])
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
            if line.startswith("RssAnon")
        )
        assert kibibytes > 0
        assert own_memory(process.pid) == kibibytes * 1024
        process.stdin.close()


def test_a_process_ends_when_the_one_that_started_it_is_killed() -> None:
    """Of a pipe that both hold, the end is read as soon as neither lives."""
    ours, theirs = os.pipe()
    parent = os.fork()
    if parent == 0:
        here = os.getpid()
        if os.fork() == 0:
            end_with_parent(here)
            os.write(theirs, b"%d" % os.getpid())
        time.sleep(120)
        os._exit(0)
    os.close(theirs)
    child = int(os.read(ours, 20))
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    ended, _, _ = select.select([ours], [], [], 20)
    if not ended:
        os.kill(child, signal.SIGKILL)
    os.close(ours)
    assert ended


def test_a_process_whose_parent_is_gone_leaves_at_once() -> None:
    orphan = os.fork()
    if orphan == 0:
        end_with_parent(os.getpid())
        os._exit(0)
    _, status = os.waitpid(orphan, 0)
    assert os.waitstatus_to_exitcode(status) == 1


def test_threads_of_this_process_are_counted() -> None:
    assert thread_count() == len(os.listdir("/proc/self/task"))


def test_a_process_tells_of_its_progress_and_its_error_comes_here() -> None:
    told: list[tuple[float, str]] = []
    with pytest.raises(ValueError, match="that was all"):
        in_process(harness_plugins.error_in_process, (), lambda *now: told.append(now))
    assert told == [(0.25, "a quarter")]


def test_a_process_that_ends_well_is_no_error_and_another_is() -> None:
    told: list[tuple[float, str]] = []
    in_process(harness_plugins.leave_in_process, (0,), lambda *now: told.append(now))
    assert told == [(1.0, "done")]
    with pytest.raises(EnvironmentFault, match="exited with code 3 before its work was done"):
        in_process(harness_plugins.leave_in_process, (3,), lambda *now: told.append(now))
