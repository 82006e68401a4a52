"""An HTTP server on this machine that serves one file, well or badly."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """What the server sends, and what it was asked.

    Args:
        data: the file.
        etag: its version; None sends none.
        cuts: for each of the next answers, after how many bytes the connection breaks.
        ranges: answer Range with a part.
        length: what Content-Length says; None says the truth, 0 sends none.
        redirects: path to address.
        status: instead of 200.
        slow: seconds between blocks of 64 KiB.
        asked: (path, Range) of every request.
    """

    data: bytes
    etag: str | None = '"one"'
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    length: int | None = None
    redirects: dict[str, str] = field(default_factory=dict)
    status: int = 200
    slow: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(served: Served) -> Iterator[Served]:
    """Serve; `served.url` is the address."""
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            served.asked.append((self.path, self.headers["Range"]))
            self.close_connection = True
            if self.path in served.redirects:
                self.send_response(302)
                self.send_header("Location", served.redirects[self.path])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = self._start()
            if start is not None and start >= len(served.data):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(served.data)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self._send(start)

        def _start(self) -> int | None:
            found = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
            fits = self.headers["If-Range"] == served.etag
            return int(found[1]) if found and fits and served.ranges else None

        def _send(self, start: int | None) -> None:
            body = served.data[start or 0 :]
            self.send_response(served.status if start is None else 206)
            if start is not None:
                total = len(served.data)
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            if served.etag:
                self.send_header("ETag", served.etag)
            for name, value in served.headers.items():
                self.send_header(name, value)
            if served.length != 0:
                self.send_header("Content-Length", str(served.length or len(body)))
            self.end_headers()
            if served.cuts:
                body = body[: served.cuts.pop(0)]
            for at in range(0, len(body), 1 << 16):
                self.wfile.write(body[at : at + (1 << 16)])
                if served.slow and stop.wait(served.slow):
                    return

        def handle(self) -> None:
            with suppress(OSError):  # the client went away, as tests have it do
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}/network.pkl"
    try:
        yield served
    finally:
        stop.set()
        server.shutdown()
        server.server_close()
        thread.join()
