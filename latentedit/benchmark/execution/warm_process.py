"""A process that loads a suite's models once and forks itself for every cell.

Each cell has a process of its own, so that whatever a plugin does there ends with it, and pays for
no loading. Where models start threads, which do not survive a fork, each cell loads its own.
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
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from typing import IO, Any

import numpy as np
import torch

from latentedit.benchmark.cells.measure import Bench
from latentedit.benchmark.cells.store import Status
from latentedit.benchmark.execution.events import Ended, Event, Progressed
from latentedit.benchmark.execution.processes import (
    context,
    die_with,
    exit_reason,
    machine_memory,
    own_memory,
    thread_count,
)
from latentedit.benchmark.execution.worker import THREADS, Job, compute, open_bench
from latentedit.errors import LatentEditError

WATCH_SECONDS = 0.05
"""How often the memory and the time of a cell are looked at."""
OUTPUT_BYTES = 16_384
"""How much of what a cell printed is kept where it does not finish, and of its error."""
SHARE = 0.8
"""Of the machine's memory, for all cells together, where a suite sets no limit."""
GIB = 1 << 30


class WarmProcess:
    """The process, seen from the one that started it.

    Args:
        job: one of the jobs that it will get; its suite says which models to load.
        side_by_side: how many cells it will compute at a time.
    """

    def __init__(self, job: Job, side_by_side: int = 1) -> None:
        self.limits, self.started, self.ready = job.suite.limits, time.monotonic(), False
        self.running: dict[str, float] = {}
        gib = self.limits.memory_gib
        memory = SHARE * machine_memory() / side_by_side if gib is None else gib * GIB
        self.control, theirs = multiprocessing.Pipe()
        self.process = context().Process(target=_serve, args=(job, int(memory), theirs))
        self.process.start()
        theirs.close()

    @staticmethod
    def prepare() -> None:
        """Start what processes are forked from, which takes seconds, before the first is needed."""
        context()
        forkserver.ensure_running()

    @property
    def alive(self) -> bool:
        return not self.control.closed

    def start(self, job: Job) -> None:
        self.running[job.cell.id] = time.monotonic()
        with suppress(OSError):  # it has died: `events` tells
            self.control.send(job)

    def events(self, seconds: float) -> list[Event]:
        """What has happened, after waiting up to `seconds` for anything to happen."""
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

    def _give_up(self, status: Status, reason: str) -> list[Event]:
        self.close()
        told = f"{reason}, while it held the models of the suite"
        now, lost = time.monotonic(), dict(self.running)
        self.running.clear()
        return [Ended(cell, status, now - started, told) for cell, started in lost.items()]

    def close(self) -> None:
        """End the process and all cells that it computes."""
        self.control.close()
        self.process.join(1)
        self.process.kill()
        self.process.join()


_READY = "ready"


@dataclass
class _Child:
    """A cell that is being computed."""

    job: Job
    process: Any
    pipe: Connection
    output: IO[bytes]
    started: float = field(default_factory=time.monotonic)


def _serve(job: Job, memory: int, control: Connection) -> None:
    """Entry point of the zygote: start a cell for each job that comes, and tell how it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
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
                for event in _look(child, memory):
                    control.send(event)
                    if isinstance(event, Ended):
                        children.remove(child)
    except (EOFError, OSError):
        pass  # whoever started us has gone, and nobody waits for what we compute
    finally:
        for child in children:
            _end(child)


def _loaded(job: Job) -> Bench | None:
    """The models; None where they cannot be forked, or not loaded: then each cell sees for
    itself, and fails by itself."""
    before = thread_count()
    try:
        bench = open_bench(job)
        _ = bench.renderer, bench.judge, bench.recognisers, bench.sigma, bench.density
    except Exception:
        return None
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
    die_with(parent)
    control.close()
    os.setsid()
    os.dup2(output, 1)
    os.dup2(output, 2)
    faulthandler.enable(2)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    _seed(job.cell.seed)
    cell, started = job.cell.id, time.monotonic()

    def ended(status: Status, error: str = "", staged: str = "") -> None:
        pipe.send(Ended(cell, status, time.monotonic() - started, _short(error), staged))

    try:
        bench = bench or open_bench(job)
        staged = compute(job, bench, lambda *told: pipe.send(Progressed(cell, *told)))
        ended("ok", staged=str(staged))
    except LatentEditError as error:
        ended("failed", str(error))
    except MemoryError as error:
        ended("oom", f"there was no memory left: {error}")
    except Exception:
        ended("failed", traceback.format_exc())


def _short(text: str) -> str:
    """The beginning and the end of a text that is longer than anybody reads."""
    if len(text) <= OUTPUT_BYTES:
        return text
    half = OUTPUT_BYTES // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters …\n{text[-half:]}"


def _seed(seed: int) -> None:
    """What a plugin draws from the global generators is at least the same every time."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def _look(child: _Child, memory: int) -> list[Event]:
    """What a cell has told since the last look; and whether it ended, or must be."""
    running = child.process.is_alive()
    events = _told(child)
    if not (events and isinstance(events[-1], Ended)):
        verdict = _over_limit(child, memory) if running else _unexpected(child)
        if verdict is None:
            return events
        events.append(verdict)
    _end(child)
    return events


def _told(child: _Child) -> list[Event]:
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


def _verdict(child: _Child, status: Status, reason: str) -> Ended:
    seconds = time.monotonic() - child.started
    return _with_output(child, Ended(child.job.cell.id, status, seconds, reason))


def _with_output(child: _Child, ended: Ended) -> Ended:
    size = child.output.seek(0, os.SEEK_END)
    child.output.seek(max(0, size - OUTPUT_BYTES))
    text = child.output.read().decode(errors="replace")
    return Ended(ended.cell_id, ended.status, ended.seconds, ended.error, "", text)


def _end(child: _Child) -> None:
    """End a cell's process and those that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, signal.SIGKILL)
    child.process.kill()
    child.process.join()
    child.pipe.close()
    child.output.close()
