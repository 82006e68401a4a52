"""Execution of cells on a Ray cluster: one actor per worker, each with the models loaded once.

The run folder must be on a file system that all nodes see under one path: workers read the bank
and fitted editors there, and leave results there for the run's own process to publish.
"""

from __future__ import annotations

import logging
import socket
import time
from collections import Counter
from importlib.metadata import version
from typing import Any, ClassVar

from pydantic import Field

from latentedit import (
    Ended,
    EnvironmentFault,
    Event,
    Executor,
    ExecutorOptions,
    Job,
    __version__,
)
from latentedit_ray.worker import Worker

KNOCK_SECONDS = 5.0


class RayOptions(ExecutorOptions):
    """How to use a cluster that is running.

    Args:
        address: ``host:port`` of its head, ``auto`` on one of its nodes.
        cpus, gpus: what each worker reserves; fractions share a device.
        reruns: how often a cell is computed again because its node was lost.
        start_seconds: how long to wait for the first worker.
    """

    address: str = "auto"
    cpus: float = Field(default=1, gt=0)
    gpus: float = Field(default=0, ge=0)
    reruns: int = Field(default=3, ge=0)
    start_seconds: float = Field(default=300, gt=0)


class RayExecutor(Executor):
    """Computes cells on the workers of a cluster; those of a lost node are computed again.

    Raises:
        EnvironmentFault: Ray is not installed, no cluster answers, or its nodes do not fit this
            machine: another version of latentedit or torch, or no sight of the run folder.
    """

    Options: ClassVar[type[RayOptions]] = RayOptions
    options: RayOptions

    def __init__(self, options: RayOptions | None = None) -> None:
        super().__init__(options)
        self.ray = _connected(self.options.address)
        self.hired: dict[Any, Any] = {}  # actors by the answer that they owe, before the first job
        self.idle: list[Any] = []
        self.computing: dict[Any, tuple[Any, Job, float]] = {}
        self.again: list[Job] = []
        self.lost: Counter[str] = Counter()
        self.started, self.seen_one = time.monotonic(), False
        for _ in range(self.options.workers or self._room()):
            self._hire()

    def _room(self) -> int:
        """How many workers the cluster has room for; at least one, for one that is growing."""
        total = self.ray.cluster_resources()
        rooms = [total.get("CPU", 0) / self.options.cpus]
        if self.options.gpus:
            rooms.append(total.get("GPU", 0) / self.options.gpus)
        return max(1, int(min(rooms)))

    def _hire(self) -> None:
        remote = self.ray.remote(num_cpus=self.options.cpus, num_gpus=self.options.gpus)(Worker)
        actor = remote.remote(self.options.cpus)
        versions = {"latentedit": __version__, "torch": version("torch")}
        self.hired[actor.greet.remote(versions)] = actor

    def free(self) -> int:
        return max(0, len(self.idle) - len(self.again))

    def start(self, job: Job) -> None:
        actor = self.idle.pop()
        self.computing[actor.compute.remote(job)] = (actor, job, time.monotonic())

    def events(self, seconds: float) -> list[Event]:
        if owed := [*self.hired, *self.computing]:
            self.ray.wait(owed, num_returns=1, timeout=seconds)
        for answer in self._answered(self.hired):
            self._welcome(answer)
        ended = [self._ended(answer) for answer in self._answered(self.computing)]
        while self.again and self.idle:
            self.start(self.again.pop())
        if not self.seen_one and time.monotonic() - self.started > self.options.start_seconds:
            raise EnvironmentFault(
                f"no worker with {self.options.cpus:g} CPUs and {self.options.gpus:g} GPUs could "
                f"start in {self.options.start_seconds:g} s; the cluster has "
                f"{self.ray.cluster_resources()}. Ask for less, or add nodes."
            )
        return [event for event in ended if event is not None]

    def _answered(self, owed: dict[Any, Any]) -> list[Any]:
        if not owed:
            return []
        answered: list[Any] = self.ray.wait(list(owed), num_returns=len(owed), timeout=0)[0]
        return answered

    def _welcome(self, answer: Any) -> None:
        actor = self.hired.pop(answer)
        try:
            complaint = self.ray.get(answer)
        except self.ray.exceptions.RayActorError as error:
            if not self.seen_one:
                raise EnvironmentFault(f"a Ray worker could not start: {error}") from error
            self._hire()
            return
        if complaint:
            raise EnvironmentFault(complaint)
        self.seen_one = True
        self.idle.append(actor)

    def _ended(self, answer: Any) -> Event | None:
        """How a cell ended; nothing where it will be computed again."""
        actor, job, started = self.computing.pop(answer)
        try:
            ended: Ended = self.ray.get(answer)
        except self.ray.exceptions.RayActorError as error:
            self.ray.kill(actor)  # where only the way to it is lost
            self._hire()
            self.lost[job.cell.id] += 1
            if self.lost[job.cell.id] <= self.options.reruns:
                self.again.append(job)
                return None
            told = f"lost with its node {self.lost[job.cell.id]} times: {error}"
            return Ended(job.cell.id, "crashed", time.monotonic() - started, told)
        except self.ray.exceptions.RayError as error:
            ended = Ended(job.cell.id, "failed", time.monotonic() - started, str(error))
        self.idle.append(actor)
        return ended

    def close(self) -> None:
        busy = [actor for actor, _, _ in self.computing.values()]
        for actor in [*self.hired.values(), *self.idle, *busy]:
            self.ray.kill(actor)
        self.ray.shutdown()


def _connected(address: str) -> Any:
    """Ray, connected to the cluster at `address`."""
    try:
        import ray  # noqa: PLC0415
    except ImportError as error:
        raise EnvironmentFault(
            "the executor 'ray' needs Ray; install it with: pip install 'latentedit[ray]'"
        ) from error

    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        raise EnvironmentFault(
            f"no Ray cluster answers at {address!r}: {error}. Start one with: ray start --head"
        ) from error
    return ray


def _knock(address: str) -> None:
    """Raise `OSError` where nothing listens: Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and "/" not in host:
        socket.create_connection((host, int(port)), KNOCK_SECONDS).close()
