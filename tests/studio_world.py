"""A workbench of the toy world for the studio, and a server on a port of its own."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import toy_photos
import uvicorn

from latentedit import Registry, Workbench, fit_editor, make_bank
from latentedit.studio.page.access import Access
from latentedit.studio.page.app import Studio
from latentedit.studio.page.serving import configuration

QUICK = {"pictures": 64, "w_steps": 10, "rows_steps": 0}
"""Of the inverter."""
EDITORS = ("exact", "leaky", "timid", "draws")


def fitted_world(folder: Path, editors: tuple[str, ...] = EDITORS, seed: int = 0) -> Path:
    """A bank and fitted editors in `folder`."""
    registry = toy_photos.registry()
    bank = make_bank(
        registry,
        folder / "bank",
        generator="toy",
        labeller="toy-labeller",
        n_fit=120,
        n_test=60,
        seed=seed,
    )
    for name in editors:
        fit_editor(registry, name, bank).save(folder / name)
    return folder


def opened(
    folder: Path, editors: tuple[str, ...] = EDITORS, registry: Registry | None = None
) -> Workbench:
    from latentedit import LatentBank

    return Workbench.open(
        registry or toy_photos.registry(),
        LatentBank.open(folder / "bank"),
        {name: folder / name for name in editors},
        judge="toy-judge",
        recognisers=["toy-identity"],
    )


class Server:
    """A studio that is served by a thread."""

    def __init__(self, studio: Studio, port: int = 0, **access: Any) -> None:
        self.studio = studio
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", port))
        self.port = int(self.socket.getsockname()[1])
        self.access = Access(self.port, **access)
        self.server = uvicorn.Server(configuration(studio, self.access))
        self.thread = threading.Thread(target=self.server.run, args=([self.socket],), daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.server.should_exit = self.server.force_exit = True
        self.thread.join()
        self.socket.close()


@contextlib.contextmanager
def served(studio: Studio, **access: Any) -> Iterator[Server]:
    server = Server(studio, **access)
    try:
        yield server
    finally:
        server.stop()
