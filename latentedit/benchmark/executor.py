"""Runs jobs on this machine: one process each, so many at a time."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from typing import Any, Protocol

from latentedit.benchmark.cells import CellStore, Status
from latentedit.benchmark.worker import Job, work

POLL_SECONDS = 0.2


class Observer(Protocol):
    """Is told what happens to cells; `fraction` is within the cell."""

    def progressed(self, cell_id: str, fraction: float, message: str) -> None: ...

    def finished(self, cell_id: str, status: Status, error: str) -> None: ...


def context() -> Any:
    """Processes that start from a server with torch loaded, and share none of our state."""
    forkserver = multiprocessing.get_context("forkserver")
    forkserver.set_forkserver_preload(["latentedit.benchmark.worker", "sklearn.svm", "scipy.stats"])
    return forkserver


@dataclass
class _Running:
    job: Job
    process: ForkServerProcess
    pipe: Connection
    started: float = field(default_factory=time.monotonic)


class LocalExecutor:
    """Runs each job in a process of its own, `workers` at a time."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def run(self, jobs: Sequence[Job], store: CellStore, observer: Observer) -> None:
        """Compute every job; a job whose `after` is not done fails without being started.

        Interrupting (Ctrl-C) ends all processes; finished cells stay.
        """
        waiting, running = list(jobs), list[_Running]()
        pending = {job.cell.id for job in jobs}
        try:
            while waiting or running:
                while len(running) < self.workers and (job := _next(waiting, pending)) is not None:
                    waiting.remove(job)
                    if blame := _blame(job, store):
                        store.commit(job.cell, "failed", 0.0, error=blame)
                        pending.discard(job.cell.id)
                        observer.finished(job.cell.id, "failed", blame)
                    else:
                        running.append(_start(job))
                wait(
                    [r.pipe for r in running] + [r.process.sentinel for r in running], POLL_SECONDS
                )
                for one in list(running):
                    _drain(one, observer)
                    if _is_over(one, store):
                        running.remove(one)
                        pending.discard(one.job.cell.id)
                        record = store.record(one.job.cell.id)
                        if record is not None:
                            observer.finished(record.id, record.status, record.error)
        finally:
            for one in running:
                one.process.kill()
                one.process.join()


def _next(waiting: list[Job], pending: set[str]) -> Job | None:
    """The first job that need not wait for another."""
    return next((job for job in waiting if job.after not in pending), None)


def _blame(job: Job, store: CellStore) -> str:
    """Why a job cannot be started, or nothing."""
    if not job.after:
        return ""
    record = store.record(job.after)
    if record is not None and record.status == "ok":
        return ""
    return f"{job.after} did not finish: {record.error.strip() if record else 'no record'}"


def _start(job: Job) -> _Running:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = context().Process(target=work, args=(job, sender), daemon=True)
    process.start()
    sender.close()
    return _Running(job, process, receiver)


def _drain(one: _Running, observer: Observer) -> None:
    try:
        while one.pipe.poll():
            fraction, message = one.pipe.recv()
            observer.progressed(one.job.cell.id, fraction, message)
    except (EOFError, OSError):
        pass


def _is_over(one: _Running, store: CellStore) -> bool:
    """Whether a process has ended; where it left no record, or must be ended, write one."""
    limit = one.job.suite.limits.seconds
    seconds = time.monotonic() - one.started
    if one.process.is_alive():
        if seconds < limit:
            return False
        one.process.kill()
        one.process.join()
        store.commit(
            one.job.cell, "timeout", seconds, error=f"took longer than limits.seconds = {limit:g}"
        )
        return True
    one.process.join()
    one.pipe.close()
    if one.process.exitcode != 0:
        store.commit(
            one.job.cell, "crashed", seconds, error=_exit_reason(one.process.exitcode or 0)
        )
    return True


def _exit_reason(code: int) -> str:
    if code < 0:
        return f"the process was ended by {signal.Signals(-code).name}"
    return f"the process left with exit code {code}"


def in_process(
    target: Callable[..., None], args: tuple[Any, ...], progress: Callable[[float, str], None]
) -> None:
    """Call ``target(*args, pipe)`` in a fresh process; raise the error that it sends."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = context().Process(target=target, args=(*args, sender), daemon=True)
    process.start()
    sender.close()
    try:
        while True:
            message = receiver.recv()
            if isinstance(message, Exception):
                raise message
            progress(*message)
    except EOFError:
        process.join()
        if process.exitcode:
            raise RuntimeError(_exit_reason(process.exitcode)) from None
    finally:
        process.kill()
        process.join()
