"""Serving the studio: addresses, the token, and what is said at the start."""

from __future__ import annotations

import logging
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import uvicorn

from latentedit.errors import EnvironmentFault, InputError
from latentedit.studio.page.access import LOOPBACK, Access
from latentedit.studio.page.app import Studio

MOST_CONNECTIONS = 512
SCHEME = "http"


@dataclass(frozen=True)
class Place:
    """Where the studio is served.

    Args:
        host, port: to listen on; port 0 takes a free one.
        remote: serve other machines too; needed for any host but loopback.
        token: wanted from visitors; made up if remote and not given.
        hosts: further names of this server in addresses.
        public: no token, for anyone, and embedded by other pages.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    remote: bool = False
    token: str | None = None
    hosts: tuple[str, ...] = ()
    public: bool = False

    def __post_init__(self) -> None:
        if not self.local and not (self.remote or self.public):
            raise InputError(
                f"{self.host} can be reached from other machines; add --remote to serve them, with "
                "a token, or leave --host out"
            )
        if self.public and self.token:
            raise InputError("--public serves everyone, without a token; leave one of the two out")

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in LOOPBACK or self.host == "::1"

    def access(self, port: int) -> Access:
        """What the server answers to, at the port that it got."""
        wanted = self.token or (secrets.token_urlsafe(24) if not self.local else None)
        names = self.hosts if self.local or _wildcard(self.host) else (*self.hosts, self.host)
        return Access(
            port,
            None if self.public else wanted,
            names,
            addresses=not self.local,
            public=self.public,
        )


def serve(
    studio: Studio, place: Place, say: Callable[[str], None], warn: Callable[[str], None]
) -> None:
    """Serve until interrupted.

    Args:
        say: is told the address.
        warn: is told that other machines can reach it.

    Raises:
        EnvironmentFault: the port is taken, or the host is none of this machine's.
    """
    with _bound(place.host, place.port) as listening:
        port = int(listening.getsockname()[1])
        access = place.access(port)
        if place.public:
            warn("warning: anyone who can reach this machine can use the studio, without a token")
        elif not place.local:
            warn("warning: other machines can reach the studio; whoever has the token can use it")
        say(address(place, access))
        server = uvicorn.Server(configuration(studio, access))
        with suppress(KeyboardInterrupt):
            server.run([listening])


def address(place: Place, access: Access) -> str:
    """The address to open, with the token if one is wanted."""
    host = place.host if not _wildcard(place.host) else socket.gethostname()
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    query = f"?token={access.token}" if access.token else ""
    return f"{SCHEME}://{shown}:{access.port}/{query}"


def configuration(studio: Studio, access: Access) -> uvicorn.Config:
    """A quiet server without websockets, bounded in connections."""
    return uvicorn.Config(
        studio.app(access),
        ws="none",
        lifespan="off",
        access_log=False,
        log_level=logging.WARNING,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=3,
    )


def _wildcard(host: str) -> bool:
    return host in ("0.0.0.0", "::", "[::]")  # noqa: S104  (a comparison)


def _bound(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        found = socket.socket(family)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host.strip("[]"), port))
        found.listen()  # so that the address can be opened as soon as it is said
    except OSError as error:
        raise EnvironmentFault(
            f"cannot listen on {host}, port {port}: {error.strerror}; choose another --port, or 0 "
            "for a free one"
        ) from None
    return found
