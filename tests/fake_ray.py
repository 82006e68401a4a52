"""A cluster in this process with Ray's interface: actors compute when they are asked to."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


class ActorError(Exception):
    """As `ray.exceptions.RayActorError`."""


@dataclass(eq=False)
class Answer:
    """What an actor will give: computed on first use."""

    compute: Callable[[], Any]


@dataclass
class FakeRay:
    """The part of the module `ray` that the executor uses.

    Args:
        nodes: number of workers that fit.
        head: ``host:port`` at which something listens.
        made: the actors, in order.
        prepare: called with each new actor and its number.
    """

    nodes: int
    head: str
    prepare: Callable[[Any, int], None] = lambda actor, number: None
    made: list[Any] = field(default_factory=list)
    killed: list[Any] = field(default_factory=list)
    closed: int = 0
    exceptions: Any = field(
        default_factory=lambda: SimpleNamespace(RayActorError=ActorError, RayError=ActorError)
    )

    def init(self, **_: Any) -> None:
        pass

    def shutdown(self) -> None:
        self.closed += 1

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": self.nodes}

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(gcs_address=self.head)

    def remote(self, **_: Any) -> Callable[[type], Any]:
        return lambda worker: SimpleNamespace(remote=lambda *a: self._actor(worker(*a)))

    def _actor(self, worker: Any) -> Any:
        self.prepare(worker, len(self.made))
        methods = {
            name: SimpleNamespace(remote=_later(getattr(worker, name)))
            for name in ("compute", "version_problem")
        }
        self.made.append(SimpleNamespace(**methods))
        return self.made[-1]

    def wait(
        self, pending: Sequence[Answer], num_returns: int = 1, timeout: float = 0
    ) -> tuple[list[Answer], list[Answer]]:
        return list(pending[:num_returns]), list(pending[num_returns:])

    def get(self, answer: Answer) -> Any:
        return answer.compute()

    def kill(self, actor: Any) -> None:
        self.killed.append(actor)


def _later(method: Callable[..., Any]) -> Callable[..., Answer]:
    return lambda *arguments: Answer(lambda: method(*arguments))


@contextmanager
def listening() -> Iterator[tuple[str, socket.socket]]:
    """An address at which something listens, and its socket: closed, the head is lost."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}", server
