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


class Observer(Protocol):
    """Is told what happens to cells; `fraction` is within the cell."""

    def progressed(self, cell_id: str, fraction: float, message: str) -> None: ...

    def finished(self, cell_id: str, status: Status, error: str) -> None: ...


class ExecutorOptions(Options):
    """What every executor takes.

    Args:
        workers: cells at a time; as many as there is room for if not given.
    """

    workers: int | None = Field(default=None, ge=1)


class Executor(ABC):
    """Computes cells somewhere.

    A job that was started ends in exactly one `Ended`, whatever becomes of its process or its
    machine; what it has staged counts only when the core has published it.
    """

    Options: ClassVar[type[ExecutorOptions]] = ExecutorOptions

    def __init__(self, options: ExecutorOptions | None = None) -> None:
        self.options = self.Options() if options is None else options

    @abstractmethod
    def free(self) -> int:
        """How many more jobs can be started now."""

    @abstractmethod
    def start(self, job: Job) -> None:
        """Begin to compute a cell; returns at once."""

    @abstractmethod
    def events(self, seconds: float) -> list[Event]:
        """What has happened since the last call, after waiting up to `seconds` for something."""

    @abstractmethod
    def close(self) -> None:
        """End everything that was started and has not ended."""


def carry_out(
    executor: Executor, jobs: Sequence[Job], store: CellStore, observer: Observer
) -> None:
    """Compute every job; one whose `after` did not all finish fails without being started.

    Raises:
        EnvironmentFault: results cannot be written.
    """
    waiting, running = list(jobs), dict[str, Job]()
    while waiting or running:
        while executor.free() > 0 and (job := _next(waiting, running)) is not None:
            waiting.remove(job)
            if blame := _blame(job, store):
                _conclude(job, Ended(job.cell.id, "failed", 0.0, blame), store, observer)
            else:
                running[job.cell.id] = job
                executor.start(job)
        for event in executor.events(POLL_SECONDS):
            if event.cell_id not in running:
                continue
            if isinstance(event, Ended):
                _conclude(running.pop(event.cell_id), event, store, observer)
            else:
                observer.progressed(event.cell_id, event.fraction, event.message)


def _next(waiting: list[Job], running: dict[str, Job]) -> Job | None:
    """The first job that need not wait for another."""
    pending = running.keys() | {job.cell.id for job in waiting}
    return next((job for job in waiting if pending.isdisjoint(job.after)), None)


def _blame(job: Job, store: CellStore) -> str:
    """Why a job cannot be started, or nothing."""
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
