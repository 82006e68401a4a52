"""Execution of cells on a Ray cluster: one actor per worker, each with the models loaded once.

All nodes must see the run folder under the same path. Workers read the bank and the fitted editors
there, and stage their results there. The process of the run publishes them.
"""

from __future__ import annotations

import atexit
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

CONNECT_SECONDS = 5.0
"""Timeout of the test connection to the cluster's head."""
LOOK_SECONDS = 2.0
"""Between two such connections while cells are computed."""


class RayOptions(ExecutorOptions):
    """Options of the executor on a running cluster.

    Args:
        address: ``host:port`` of the cluster's head; ``auto`` on one of its nodes.
        cpus, gpus: reserved by each worker; workers with fractions share a device.
        reruns: limit on computing a cell again after its node was lost.
        start_seconds: longest wait for the first worker.
    """

    address: str = "auto"
    cpus: float = Field(default=1, gt=0)
    gpus: float = Field(default=0, ge=0)
    reruns: int = Field(default=3, ge=0)
    start_seconds: float = Field(default=300, gt=0)


class RayExecutor(Executor):
    """Computes cells on the workers of a cluster, and again if their node is lost.

    Raises:
        EnvironmentFault: Ray is not installed, no cluster answers, its head is lost, or a node has
            another version of latentedit, of torch, or of a plugin.
    """

    Options: ClassVar[type[RayOptions]] = RayOptions
    options: RayOptions

    def __init__(self, options: RayOptions | None = None) -> None:
        super().__init__(options)
        self.ray = _connected(self.options.address)
        self.head: str = self.ray.get_runtime_context().gcs_address
        self.next_look, self.has_head = 0.0, True
        # Actors are keyed by the Ray object that will hold their next answer.
        self.starting: dict[Any, Any] = {}
        self.idle: list[Any] = []
        self.computing: dict[Any, tuple[Any, Job, float]] = {}
        self.again: list[Job] = []  # jobs of lost nodes, which take the next idle workers
        self.lost: Counter[str] = Counter()
        self.started, self.seen_one = time.monotonic(), False
        for _ in range(self.options.workers or self._room()):
            self._start_worker()

    def _room(self) -> int:
        """Number of workers that fit into the cluster; at least 1, since it may still grow."""
        total = self.ray.cluster_resources()
        rooms = [total.get("CPU", 0) / self.options.cpus]
        if self.options.gpus:
            rooms.append(total.get("GPU", 0) / self.options.gpus)
        return max(1, int(min(rooms)))

    def _start_worker(self) -> None:
        remote = self.ray.remote(num_cpus=self.options.cpus, num_gpus=self.options.gpus)(Worker)
        actor = remote.remote(self.options.cpus)
        versions = {"latentedit": __version__, "torch": version("torch")}
        self.starting[actor.version_problem.remote(versions)] = actor

    def free(self) -> int:
        return max(0, len(self.idle) - len(self.again))

    def start(self, job: Job) -> None:
        actor = self.idle.pop()
        self.computing[actor.compute.remote(job)] = (actor, job, time.monotonic())

    def events(self, seconds: float) -> list[Event]:
        self._check_head()
        if pending := [*self.starting, *self.computing]:
            self.ray.wait(pending, num_returns=1, timeout=seconds)
        for answer in self._answered(self.starting):
            self._add_worker(answer)
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

    def _check_head(self) -> None:
        """Raise `EnvironmentFault` once the cluster's head is lost.

        Ray itself would wait a minute for the head, and then end this process without a word.
        """
        if time.monotonic() < self.next_look:
            return
        self.next_look = time.monotonic() + LOOK_SECONDS
        try:
            _check_listening(self.head)
        except OSError as error:
            self.has_head = False
            raise EnvironmentFault(
                f"the head of the Ray cluster at {self.head} was lost: {error}. Finished cells are "
                "kept. Start the cluster again, and run the same command with its address"
            ) from None

    def _answered(self, pending: dict[Any, Any]) -> list[Any]:
        if not pending:
            return []
        answered: list[Any] = self.ray.wait(list(pending), num_returns=len(pending), timeout=0)[0]
        return answered

    def _add_worker(self, answer: Any) -> None:
        actor = self.starting.pop(answer)
        try:
            problem = self.ray.get(answer)
        except self.ray.exceptions.RayActorError as error:
            if not self.seen_one:
                raise EnvironmentFault(f"a Ray worker could not start: {error}") from error
            self._start_worker()
            return
        if problem:
            raise EnvironmentFault(problem)
        self.seen_one = True
        self.idle.append(actor)

    def _ended(self, answer: Any) -> Event | None:
        """The end of a cell; None if it will be computed again."""
        actor, job, started = self.computing.pop(answer)
        try:
            ended: Ended | str = self.ray.get(answer)
        except self.ray.exceptions.RayActorError as error:
            self.ray.kill(actor)  # it may still run, if only the connection to it was lost
            self._start_worker()
            self.lost[job.cell.id] += 1
            if self.lost[job.cell.id] <= self.options.reruns:
                self.again.append(job)
                return None
            reason = f"lost with its node {self.lost[job.cell.id]} times: {error}"
            return Ended(job.cell.id, "crashed", time.monotonic() - started, reason)
        except self.ray.exceptions.RayError as error:
            ended = Ended(job.cell.id, "failed", time.monotonic() - started, str(error))
        if isinstance(ended, str):
            self.starting[answer] = actor  # for `close`
            raise EnvironmentFault(ended)
        self.idle.append(actor)
        return ended

    def close(self) -> None:
        if not self.has_head:
            # Without a head, every call would wait for it, and so would Ray at the end of Python.
            atexit.unregister(self.ray.shutdown)
            return
        busy = [actor for actor, _, _ in self.computing.values()]
        for actor in [*self.starting.values(), *self.idle, *busy]:
            self.ray.kill(actor)
        self.ray.shutdown()


def _connected(address: str) -> Any:
    """The module `ray`, connected to the cluster at `address`."""
    try:
        import ray  # noqa: PLC0415
    except ImportError as error:
        raise EnvironmentFault(
            "the executor 'ray' needs Ray; install it with: pip install 'latentedit[ray]'"
        ) from error

    try:
        _check_listening(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        raise EnvironmentFault(
            f"no Ray cluster answers at {address!r}: {error}. Start one with: ray start --head"
        ) from error
    return ray


def _check_listening(address: str) -> None:
    """Raise `OSError` if nothing listens at `address`; Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and "/" not in host:  # not "auto", and not a URL such as ray://host:port
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
