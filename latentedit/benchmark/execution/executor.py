"""Executors, which compute cells, and the loop that decides which cell starts next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Protocol

from pydantic import Field

from latentedit.benchmark.cells.store import CellStore, Outcome, Status
from latentedit.benchmark.execution.events import Ended, Event
from latentedit.benchmark.execution.worker import Job
from latentedit.interfaces.editor import Options

POLL_SECONDS = 0.2
"""Longest wait for events before the loop looks for jobs to start again."""


class Observer(Protocol):
    """Receives the progress and the end of every cell; `fraction` is within the cell, in [0, 1]."""

    def progressed(self, cell_id: str, fraction: float, message: str) -> None: ...

    def finished(self, cell_id: str, status: Status, error: str) -> None: ...


class ExecutorOptions(Options):
    """Options of every executor.

    Args:
        workers: number of cells computed at the same time; by default as many as fit.
    """

    workers: int | None = Field(default=None, ge=1)


class Executor(ABC):
    """Computes cells.

    Every started job ends in exactly one `Ended`, even if its process or its machine is lost.
    Staged results count only after the core has published them.
    """

    Options: ClassVar[type[ExecutorOptions]] = ExecutorOptions

    def __init__(self, options: ExecutorOptions | None = None) -> None:
        self.options = self.Options() if options is None else options

    @abstractmethod
    def free(self) -> int:
        """The number of further jobs that can be started now."""

    @abstractmethod
    def start(self, job: Job) -> None:
        """Start to compute a cell and return immediately."""

    @abstractmethod
    def events(self, seconds: float) -> list[Event]:
        """Events since the last call; waits at most `seconds` for the first one."""

    @abstractmethod
    def close(self) -> None:
        """Stop all jobs that are still running."""


def run_jobs(executor: Executor, jobs: Sequence[Job], store: CellStore, observer: Observer) -> None:
    """Compute all jobs. A job fails without a start if a cell in its `after` did not finish.

    Raises:
        EnvironmentFault: results cannot be written.
    """
    waiting, running = list(jobs), dict[str, Job]()
    while waiting or running:
        while executor.free() > 0 and (job := _next(waiting, running)) is not None:
            waiting.remove(job)
            if obstacle := _obstacle(job, store):
                _conclude(job, Ended(job.cell.id, "failed", 0.0, obstacle), store, observer)
            else:
                running[job.cell.id] = job
                executor.start(job)
        for event in executor.events(POLL_SECONDS):
            # An executor may still deliver events of a job that it has already ended.
            if event.cell_id not in running:
                continue
            if isinstance(event, Ended):
                _conclude(running.pop(event.cell_id), event, store, observer)
            else:
                observer.progressed(event.cell_id, event.fraction, event.message)


def _next(waiting: list[Job], running: dict[str, Job]) -> Job | None:
    """The first job that does not wait for another one."""
    pending = running.keys() | {job.cell.id for job in waiting}
    return next((job for job in waiting if pending.isdisjoint(job.after)), None)


def _obstacle(job: Job, store: CellStore) -> str:
    """The reason why a job cannot be started; empty if it can."""
    for before in job.after:
        record = store.record(before)
        if record is None or record.status != "ok":
            return f"{before} did not finish: {record.error.strip() if record else 'no record'}"
    return ""


def _conclude(job: Job, ended: Ended, store: CellStore, observer: Observer) -> None:
    if ended.status == "ok":
        store.publish(job.cell, Path(ended.staged))
    else:
        outcome = Outcome(ended.status, ended.seconds, ended.error, output=ended.output)
        store.commit(job.cell, outcome)
    observer.finished(job.cell.id, ended.status, ended.error)
