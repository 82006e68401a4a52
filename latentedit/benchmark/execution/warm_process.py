"""A process that loads a suite's models once and forks itself for every cell.

Each cell runs in its own fork: side effects of plugins end with the process, and the loaded models
are shared. Threads do not survive a fork. If loading the models starts threads, each cell loads
them again.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import IO, Any

import numpy as np
import torch

from latentedit.benchmark.cells.bench import Bench
from latentedit.benchmark.cells.store import CellStatus
from latentedit.benchmark.execution.events import Ended, Event, Progressed
from latentedit.benchmark.execution.processes import (
    context,
    end_with_parent,
    ensure_server,
    exit_reason,
    machine_memory,
    own_memory,
    start,
    thread_count,
)
from latentedit.benchmark.execution.worker import THREADS, Job, compute, open_bench
from latentedit.errors import LatentEditError

WATCH_SECONDS = 0.05
"""Interval between checks of a cell's memory and time."""
OUTPUT_BYTES = 16_384
"""Limit on the kept output and on the error message of a cell that does not finish."""
SHARE = 0.8
"""Share of the machine's memory for all cells together, if the suite sets no limit."""
GIB = 1 << 30


class WarmProcess:
    """A handle of the process, for the process that started it.

    Args:
        job: any job of the suite; the suite says which models to load.
        side_by_side: number of cells computed at the same time.
    """

    def __init__(self, job: Job, side_by_side: int = 1) -> None:
        self.limits, self.started, self.ready = job.suite.limits, time.monotonic(), False
        self.running: dict[str, float] = {}
        gib = self.limits.memory_gib
        memory = SHARE * machine_memory() / side_by_side if gib is None else gib * GIB
        self.control, theirs = multiprocessing.Pipe()
        self.process = context().Process(target=_serve, args=(job, int(memory), theirs))
        start(self.process)
        theirs.close()

    @staticmethod
    def prepare() -> None:
        """Start the server from which processes are forked; this takes seconds."""
        ensure_server()

    @property
    def alive(self) -> bool:
        return not self.control.closed

    def start(self, job: Job) -> None:
        self.running[job.cell.id] = time.monotonic()
        with suppress(OSError):  # the process has ended; `events` reports that
            self.control.send(job)

    def events(self, seconds: float) -> list[Event]:
        """Events since the last call; waits at most `seconds` for the first one."""
        found: list[Event] = []
        try:
            ready = self.control.poll(seconds)
            while ready:
                message = self.control.recv()
                if isinstance(message, Ended):
                    self.running.pop(message.cell_id, None)
                if message == _READY:
                    self.ready = True
                else:
                    found.append(message)
                ready = self.control.poll()
        except (EOFError, OSError):
            self.process.join()
            return found + self._give_up("crashed", exit_reason(self.process.exitcode or 0))
        limit = self.limits.seconds
        if not self.ready and time.monotonic() - self.started > limit:
            return found + self._give_up(
                "timeout", f"loading took longer than limits.seconds = {limit:g}"
            )
        return found

    def _give_up(self, status: CellStatus, reason: str) -> list[Event]:
        self.close()
        error = f"{reason}, while it held the models of the suite"
        now, lost = time.monotonic(), dict(self.running)
        self.running.clear()
        return [Ended(cell, status, now - started, error) for cell, started in lost.items()]

    def close(self) -> None:
        """End the process and all its cells."""
        self.control.close()
        self.process.join(1)
        self.process.kill()
        self.process.join()


_READY = "ready"


@dataclass
class _Child:
    """A running cell and its process."""

    job: Job
    process: Any
    pipe: Connection
    output: IO[bytes]
    started: float = field(default_factory=time.monotonic)


def _serve(job: Job, memory: int, control: Connection) -> None:
    """Entry point of the warm process: fork a cell for every job, and report its end."""
    # Ctrl-C reaches the whole process group; only the process of the command line handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Set before anything is computed: a pool of threads that exists would not survive the fork.
    torch.set_num_threads(THREADS)
    children: list[_Child] = []
    try:
        bench = _loaded(job)
        control.send(_READY)
        while True:
            handles = [handle for c in children for handle in (c.pipe, c.process.sentinel)]
            if control in wait([control, *handles], WATCH_SECONDS if children else None):
                children.append(_fork(control.recv(), bench, control))
            for child in list(children):
                for event in _new_events(child, memory):
                    control.send(event)
                    if isinstance(event, Ended):
                        children.remove(child)
    except (EOFError, OSError):
        pass  # the parent process has ended, so nobody waits for results
    finally:
        for child in children:
            _end(child)


def _loaded(job: Job) -> Bench | None:
    """The loaded models; None if they fail to load or cannot be forked.

    Then each cell loads them itself, and reports the error as its own.
    """
    before = thread_count()
    try:
        bench = open_bench(job)
        # Cached properties, filled before the fork: all cells then share their memory pages
        # instead of loading the same models again.
        _ = bench.renderer, bench.judge, bench.recognisers, bench.sigma, bench.density
    except Exception:
        return None
    # A fork copies only the calling thread. A library that had started threads would wait for
    # them forever in the child.
    return bench if before is not None and thread_count() == before else None


def _fork(job: Job, bench: Bench | None, control: Connection) -> _Child:
    output = tempfile.TemporaryFile()  # noqa: SIM115  (it lives as long as the child)
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(
        target=_cell, args=(job, bench, os.getpid(), sender, control, output.fileno())
    )
    process.start()
    sender.close()
    return _Child(job, process, receiver, output)


def _cell(
    job: Job, bench: Bench | None, parent: int, pipe: Connection, control: Connection, output: int
) -> None:
    """Entry point of a cell's process."""
    end_with_parent(parent)
    # A second copy of the pipe would keep it open when the warm process ends.
    control.close()
    # A session of its own, so that `_end` can also kill the processes that a plugin starts.
    os.setsid()
    # Replace the file descriptors, not sys.stdout: native libraries write to the descriptors.
    os.dup2(output, 1)
    os.dup2(output, 2)
    faulthandler.enable(2)  # a crash in native code prints its Python traceback to the output
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    _seed(job.cell.seed)
    cell, started = job.cell.id, time.monotonic()

    def ended(status: CellStatus, error: str = "", staged: str = "") -> None:
        pipe.send(Ended(cell, status, time.monotonic() - started, _short(error), staged))

    try:
        bench = bench or open_bench(job)
        staged = compute(job, bench, lambda *done: pipe.send(Progressed(cell, *done)))
        ended("ok", staged=str(staged))
    except LatentEditError as error:
        ended("failed", str(error))
    except MemoryError as error:
        ended("oom", f"no memory was left: {error}")
    except Exception:
        ended("failed", traceback.format_exc())


def _short(text: str) -> str:
    """A text, without its middle if it is longer than `OUTPUT_BYTES`."""
    if len(text) <= OUTPUT_BYTES:
        return text
    half = OUTPUT_BYTES // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters …\n{text[-half:]}"


def _seed(seed: int) -> None:
    """Seed the global generators, so that a plugin that uses them is at least repeatable."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def _new_events(child: _Child, memory: int) -> list[Event]:
    """Messages of a cell since the last call. A cell over its limits is ended."""
    # Asked before the pipe is read: a process that ends in between has its last message read.
    running = child.process.is_alive()
    events = _received(child)
    if not (events and isinstance(events[-1], Ended)):
        verdict = _over_limit(child, memory) if running else _unexpected(child)
        if verdict is None:
            return events
        events.append(verdict)
    _end(child)
    return events


def _received(child: _Child) -> list[Event]:
    events: list[Event] = []
    with suppress(EOFError, OSError):
        while child.pipe.poll():
            message = child.pipe.recv()
            ended = isinstance(message, Ended) and message.status != "ok"
            events.append(_with_output(child, message) if ended else message)
    return events


def _over_limit(child: _Child, memory: int) -> Ended | None:
    seconds, limit = time.monotonic() - child.started, child.job.suite.limits.seconds
    if seconds > limit:
        return _verdict(child, "timeout", f"took longer than limits.seconds = {limit:g}")
    if own_memory(child.process.pid) > memory:
        return _verdict(child, "oom", f"took more than {memory / GIB:.3g} GiB of memory")
    return None


def _unexpected(child: _Child) -> Ended:
    child.process.join()
    return _verdict(child, "crashed", exit_reason(child.process.exitcode or 0))


def _verdict(child: _Child, status: CellStatus, reason: str) -> Ended:
    seconds = time.monotonic() - child.started
    return _with_output(child, Ended(child.job.cell.id, status, seconds, reason))


def _with_output(child: _Child, ended: Ended) -> Ended:
    size = child.output.seek(0, os.SEEK_END)
    child.output.seek(max(0, size - OUTPUT_BYTES))
    text = child.output.read().decode(errors="replace")
    return Ended(ended.cell_id, ended.status, ended.seconds, ended.error, "", text)


def _end(child: _Child) -> None:
    """End a cell's process and the processes that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, signal.SIGKILL)
    child.process.kill()
    child.process.join()
    child.pipe.close()
    child.output.close()
