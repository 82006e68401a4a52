"""Turns of one session: one request runs, one waits, and the latest wins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

Result = TypeVar("Result")


class Superseded(Exception):
    """A newer request took the place of this one."""


class Busy(Exception):
    """A request that must not be dropped waits already."""


class Turns:
    """Order of the requests of one session.

    At most one runs and one waits. A request that waits gives way to a newer one if it may be
    dropped, such as a slider's position on its way.
    """

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.running = False
        self._waiting: asyncio.Future[None] | None = None
        self._droppable = False

    async def run(self, work: Callable[[], Result], *, droppable: bool = False) -> Result:
        """The result of `work`, computed by the executor when its turn comes.

        Raises:
            Superseded: a newer request came before its turn.
            Busy: another request waits that may not be dropped.
        """
        if self.running:
            await self._turn(droppable)
        self.running = True
        # Shielded: what has begun goes on if its visitor leaves, and the next turn waits for it.
        return await asyncio.shield(self._started(work))

    async def _turn(self, droppable: bool) -> None:
        if self._waiting is not None:
            if not self._droppable:
                raise Superseded if droppable else Busy
            self._waiting.set_exception(Superseded())
        self._waiting = asyncio.get_running_loop().create_future()
        self._droppable = droppable
        mine = self._waiting
        try:
            await mine
        except asyncio.CancelledError:
            if self._waiting is mine:
                self._waiting = None
            elif mine.done() and not mine.cancelled() and mine.exception() is None:
                self._pass_on()  # the turn had come, and nobody is here to take it
            raise

    def _started(self, work: Callable[[], Result]) -> asyncio.Future[Result]:
        future = asyncio.get_running_loop().run_in_executor(self.executor, work)
        future.add_done_callback(lambda done: self._pass_on())
        return future

    def _pass_on(self) -> None:
        """Let the waiting request start; nobody else can slip in between."""
        waiting, self._waiting = self._waiting, None
        if waiting is None or waiting.done():
            self.running = False
        else:
            waiting.set_result(None)
