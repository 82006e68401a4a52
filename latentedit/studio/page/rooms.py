"""Sessions of the page's visitors, a bounded number of them."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from concurrent.futures import Executor
from dataclasses import dataclass

from latentedit.studio.page.turns import Turns
from latentedit.studio.session.edit_session import EditSession

MOST_ROOMS = 64


@dataclass
class Room:
    """A visitor's session, and the order of its requests."""

    session: EditSession
    turns: Turns


class Rooms:
    """Rooms by a name that nobody can guess. The one unused for longest makes way for a new one."""

    def __init__(self, executor: Executor, most: int = MOST_ROOMS) -> None:
        self.executor, self.most = executor, most
        self._rooms: OrderedDict[str, Room] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rooms)

    def add(self, session: EditSession) -> str:
        """The name of a new room."""
        name = secrets.token_urlsafe(16)
        self._rooms[name] = Room(session, Turns(self.executor))
        while len(self._rooms) > self.most:
            self._rooms.popitem(last=False)
        return name

    def find(self, name: str) -> Room | None:
        """The room called `name`, if it is still there."""
        if name in self._rooms:
            self._rooms.move_to_end(name)
        return self._rooms.get(name)

    def close(self, name: str) -> None:
        """Forget a room."""
        self._rooms.pop(name, None)
