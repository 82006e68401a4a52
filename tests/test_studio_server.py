"""The studio's server: who may ask, what may be sent, and the order of requests."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import resource
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from studio_world import QUICK, Server, fitted_world, opened, served
from toy_photos import as_picture

from latentedit import EditSession, EnvironmentFault, InputError
from latentedit.studio.page.access import Access
from latentedit.studio.page.app import Studio
from latentedit.studio.page.rooms import Rooms
from latentedit.studio.page.serving import Place, address, serve
from latentedit.studio.page.turns import Busy, Superseded, Turns

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fitted_world(tmp_path_factory.mktemp("studio"), ("exact", "leaky"))


@pytest.fixture(scope="module")
def server(world: Path) -> Iterator[Server]:
    bench = opened(world, ("exact", "leaky"))
    with served(Studio(bench, "--bank B", inverter=QUICK)) as found:
        yield found


def ask(
    server: Server,
    method: str,
    path: str,
    body: bytes | dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    host: str | None = None,
) -> tuple[int, dict[str, str], bytes]:
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    link.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    link.putheader("Host", host if host is not None else f"127.0.0.1:{server.port}")
    data = json.dumps(body).encode() if isinstance(body, dict) else body or b""
    sent = (JSON if isinstance(body, dict) else {}) | (headers or {})
    for name, value in sent.items():
        link.putheader(name, value)
    if "content-length" not in sent and method == "POST":
        link.putheader("content-length", str(len(data)))
    link.endheaders(data)
    answer = link.getresponse()
    found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    link.close()
    return found


def resident() -> int:
    """Bytes of memory of this process, in which the server runs."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def begun(server: Server) -> str:
    status, _, body = ask(server, "POST", "/api/sessions", {})
    assert status == 200, body
    room: str = json.loads(body)["room"]
    return room


ROUTES = [
    ("GET", "/"),
    ("GET", "/static/studio.js"),
    ("GET", "/static/none"),
    ("GET", "/api/bench"),
    ("GET", "/api/faces/0"),
    ("GET", "/api/map/pca"),
    ("GET", "/api/map/none"),
    ("GET", "/nothing"),
    ("POST", "/api/sessions"),
    ("POST", "/api/sessions/x"),
    ("POST", "/api/sessions/x/photograph"),
    ("POST", "/api/sessions/x/export"),
    ("POST", "/api/sessions/x/end"),
]
ORIGINS = [
    "null",
    "http://evil.example",
    "https://evil.example",
    "http://127.0.0.1",
    "http://127.0.0.1:1",
    "http://localhost.evil.example:{port}",
    "file://",
    "http://127.0.0.1:{port}@evil.example",
]
HOSTS = [
    "",
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1",
    "127.0.0.1:1",
    "127.0.0.1:{port}.evil.example",
    "127.0.0.1.evil.example:{port}",
    "localhost",
    "localhost.:{port}",
    "localhost.evil.example:{port}",
    "0.0.0.0:{port}",
    "10.0.0.1:{port}",
    "[::2]:{port}",
    "[::1]",
    "2130706433:{port}",
    "0x7f.1:{port}",
    "127.1:{port}",
    "user@127.0.0.1:{port}",
    "127.0.0.1:{port}/",
    "127.0.0.1:{port}, evil.example",
]
OWN = ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}"]


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_another_host_or_origin_is_refused_on_every_route(
    server: Server, route: tuple[str, str]
) -> None:
    def status(host: str, origin: str | None) -> int:
        headers = {} if origin is None else {"Origin": origin.format(port=server.port)}
        return ask(server, *route, headers=headers, host=host.format(port=server.port))[0]

    for host in HOSTS:
        assert status(host, None) in (400, 403), host
        assert status(host, "http://" + host) in (400, 403), host
    for origin in ORIGINS:
        for host in OWN:
            assert status(host, origin) == 403, (host, origin)
    for host in OWN:
        assert status(host, None) not in (400, 403) or route[0] == "POST"
        assert status(host, f"http://{host}") != 403, host


def test_every_origin_is_refused_with_every_host(server: Server) -> None:
    for host in (*HOSTS, *OWN):
        for origin in ORIGINS:
            headers = {"Origin": origin.format(port=server.port)}
            place = host.format(port=server.port)
            found, told, body = ask(server, "GET", "/api/bench", headers=headers, host=place)
            assert found in (400, 403), (host, origin)
            assert b"exact" not in body
            assert "access-control-allow-origin" not in told


def test_a_page_elsewhere_may_link_to_the_studio_and_no_further(server: Server) -> None:
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    assert ask(server, "GET", "/", headers=elsewhere)[0] == 200
    assert ask(server, "GET", "/api/bench", headers=elsewhere)[0] == 403
    assert (
        ask(server, "GET", "/static/studio.js", headers={"Sec-Fetch-Site": "same-site"})[0] == 403
    )
    assert ask(server, "GET", "/api/bench", headers={"Sec-Fetch-Site": "same-origin"})[0] == 200


def test_without_the_token_nothing_is_served(world: Path) -> None:
    studio = Studio(opened(world, ("exact",)))
    with served(studio, token="right") as server:
        for method, path in ROUTES:
            assert ask(server, method, path)[0] == 403
            assert ask(server, method, f"{path}?token=wrong")[0] == 403
            assert ask(server, method, path, headers={"Cookie": "studio-token=right"})[0] == 403
            assert ask(server, method, path, headers={"Authorization": "Bearer righ"})[0] == 403
        status, told, _ = ask(server, "GET", "/?token=right")
        assert (status, told["location"]) == (303, "/")
        assert "httponly" in told["set-cookie"].lower()
        assert "samesite=strict" in told["set-cookie"].lower()
        cookie = told["set-cookie"].partition(";")[0]
        assert ask(server, "GET", "/", headers={"Cookie": cookie})[0] == 200
        assert ask(server, "GET", "/api/bench", headers={"Authorization": "Bearer right"})[0] == 200


def test_answers_forbid_scripts_and_frames_of_others(server: Server) -> None:
    for path in ("/", "/api/bench", "/static/studio.js", "/nothing"):
        _, told, _ = ask(server, "GET", path)
        assert "default-src 'none'" in told["content-security-policy"]
        assert "frame-ancestors 'none'" in told["content-security-policy"]
        assert "unsafe" not in told["content-security-policy"]
        assert told["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static/%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/static//etc/passwd",
        "/static/studio.js/..",
        "/static/index.html",
        "/static/studio.js%00.png",
        "/../../etc/passwd",
        "/etc/passwd",
        "/api/faces/60",
        "/api/faces/-1",
        "/api/faces/1.5",
        "/api/faces/../bench",
        "/docs",
        "/openapi.json",
        "/file=/etc/passwd",
    ],
)
def test_what_has_no_address_is_not_found(server: Server, path: str) -> None:
    status, _, body = ask(server, "GET", path)
    assert status == 404
    assert b"root:" not in body


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (10, 200, 30)).save(buffer, kind)
    return buffer.getvalue()


def payloads() -> list[bytes]:
    """A hundred bodies that are no photograph."""
    script = b"<script>document.title='x'</script>"
    svg = (
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>'
    )
    found = [
        b"",
        b"\0",
        script,
        svg,
        b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><svg>&b;</svg>",
        b"<html><body onload=alert(1)></body></html>",
        b"GIF89a" + b"\0" * 40,
        encoded("GIF"),
        b"%!PS-Adobe-3.0 EPSF-3.0\n(/etc/passwd) run",
        b"PK\x03\x04" + b"\0" * 60,
        b"\x80\x04\x95" + b"cos\nsystem\n(S'true'\ntR.",
        b"RIFF\xff\xff\xff\xffWEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff",
        b"RIFF\x20\0\0\0WEBPVP8L\x10\0\0\0\x2f\xff\xff\xff\xff" + b"\0" * 20,
        b"BM" + struct.pack("<IHHIIiiHHI", 54, 0, 0, 54, 40, 2**30, 2**30, 1, 24, 0) + b"\0" * 30,
        b"II*\0\x08\0\0\0" + b"\xff" * 64,
        png_header(65_535, 65_535),
        png_header(2**31 - 1, 2**31 - 1),
        png_header(4_001, 4_000),
        png_header(1, 16_000_001),
        png_header(0, 0),
    ]
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "TIFF"):
        whole = encoded(kind)
        found += [whole[:4], whole[:10], whole[: len(whole) // 3], whole[:2] + script]
    for seed in range(60):
        noise = torch.randint(256, (1_000,), generator=torch.Generator().manual_seed(seed))
        found.append((b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")[seed % 3] + bytes(noise.tolist()))
    return found


def test_a_hundred_bodies_that_are_no_photograph_are_refused(server: Server) -> None:
    room, bodies = begun(server), payloads()
    assert len(bodies) == 100
    before = resident()
    for body in bodies:
        headers = {"x-file-name": "<img src=x onerror=alert(1)>.svg"}
        path = f"/api/sessions/{room}/photograph"
        status, told, answer = ask(server, "POST", path, body, headers)
        assert status == 422, body[:40]
        assert told["content-type"] == "application/json"
        assert "/tmp" not in json.loads(answer)["error"]
    assert resident() < before + (64 << 20)
    status, _, answer = ask(server, "POST", f"/api/sessions/{room}", {"action": "show"})
    assert json.loads(answer)["face"] == "face 0"


def test_a_photograph_is_found_and_its_name_is_text(server: Server) -> None:
    room = begun(server)
    codes = server.studio.bench.generator.sample(1, 3)
    buffer = io.BytesIO()
    as_picture(server.studio.bench.generator.synthesize(codes)[0]).save(buffer, "PNG")
    name = "<b>me</b>.png"
    path = f"/api/sessions/{room}/photograph"
    status, _, answer = ask(server, "POST", path, buffer.getvalue(), {"x-file-name": name})
    assert status == 200, answer
    assert json.loads(answer)["face"] == f"photograph {name}"


def test_photographs_can_be_switched_off(world: Path) -> None:
    with served(Studio(opened(world, ("exact",)), photographs=False)) as server:
        assert json.loads(ask(server, "GET", "/api/bench")[2])["photographs"] is False
        path = f"/api/sessions/{begun(server)}/photograph"
        assert ask(server, "POST", path, encoded("PNG"))[0] == 403


def test_a_body_that_is_too_large_is_refused_before_it_is_read(server: Server) -> None:
    room = begun(server)
    for path, size in (("/photograph", 33 << 20), ("", 5 << 20), ("/export", 10**15)):
        headers = {"content-length": str(size), **JSON}
        status, told, _ = ask(server, "POST", f"/api/sessions/{room}{path}", b"x", headers)
        assert status == 413
        assert told["connection"] == "close"


def sent_raw(server: Server, head: str, parts: list[bytes]) -> int:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as link:
        link.sendall(f"{head}Host: 127.0.0.1:{server.port}\r\n\r\n".encode())
        try:
            for part in parts:
                link.sendall(part)
        except OSError:
            pass  # the server has answered and closed
        return int(link.recv(100).split()[1])


def test_a_body_without_a_length_is_bounded_too(server: Server) -> None:
    room = begun(server)
    head = f"POST /api/sessions/{room}/photograph HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
    part = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    before = resident()
    assert sent_raw(server, head, [part] * 40) == 413
    assert resident() < before + (100 << 20)


def test_a_body_that_does_not_arrive_is_given_up(world: Path) -> None:
    with served(Studio(opened(world, ("exact",)), body_seconds=0.2)) as server:
        room = begun(server)
        head = f"POST /api/sessions/{room}/photograph HTTP/1.1\r\nContent-Length: 100\r\n"
        assert sent_raw(server, head, [b"x"]) == 408
        assert ask(server, "GET", "/api/bench")[0] == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff", 400),
        (b'{"action": "undo", "action": "redo"}', 400),
        (b"[" * 10_000, 400),
        (b'{"action": "choose", "index": NaN}', 400),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"action": "quit"}', 422),
        (b'{"action": "choose"}', 422),
        (b'{"action": "choose", "index": -1}', 422),
        (b'{"action": "choose", "index": 1e9}', 422),
        (b'{"action": "choose", "index": 99999}', 422),
        (b'{"action": "choose", "index": 1, "path": "/etc/passwd"}', 422),
        (b'{"action": "edit", "values": {"agee": 3}}', 422),
        (b'{"action": "edit", "values": {"age": 1e300}}', 422),
        (b'{"action": "edit", "values": {"age": [1, 2]}}', 422),
        (b'{"action": "edit", "values": {}}', 422),
        (b'{"action": "edit", "values": {"age": 3}, "layers": [99]}', 200),
        (b'{"action": "compare", "columns": []}', 422),
        (b'{"action": "match", "effect": 7}', 422),
        (b'{"action": "undo"}', 422),
        (b'{"action": "load", "record": {}}', 422),
    ],
)
def test_messages_are_checked_and_leave_the_session_as_it_was(
    server: Server, body: bytes, status: int
) -> None:
    room = begun(server)
    found, _, answer = ask(server, "POST", f"/api/sessions/{room}", body, JSON)
    assert found == status, answer
    if status != 200:
        assert json.loads(answer)["error"]
        _, _, answer = ask(server, "POST", f"/api/sessions/{room}", {"action": "show"})
        assert json.loads(answer)["edits"] == []


def test_a_form_of_another_page_is_no_message(server: Server) -> None:
    room = begun(server)
    body = b'{"action": "reset"}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        path = f"/api/sessions/{room}"
        assert ask(server, "POST", path, body, {"content-type": kind})[0] == 415


def test_an_edit_is_shown_kept_and_saved(server: Server) -> None:
    room = begun(server)
    path = f"/api/sessions/{room}"
    asked = {"action": "preview", "values": {"age": 50}}
    _, _, preview = ask(server, "POST", path, asked)
    _, _, kept = ask(server, "POST", path, asked | {"action": "edit"})
    moving = [picture["image"] for picture in json.loads(preview)["pictures"]]
    images = [picture["image"] for picture in json.loads(kept)["pictures"]]
    assert len(moving) == 3  # the counterfactual follows when the slider is let go
    assert images[:3] == moving
    message = json.loads(kept)
    assert message["edits"] == ["age = 50"]
    assert message["commands"][0].startswith("latentedit studio --bank B --session session.json")
    status, _, again = ask(server, "POST", "/api/sessions", message["record"])
    assert status == 200
    assert [picture["image"] for picture in json.loads(again)["pictures"]] == images


@pytest.mark.parametrize(
    ("kind", "begins"), [("png", b"\x89PNG"), ("gif", b"GIF8"), ("npy", b"\x93NUMPY")]
)
def test_files_are_exported(server: Server, kind: str, begins: bytes) -> None:
    wanted = {"kind": kind, "attribute": "age", "frames": 4, "column": "exact"}
    status, told, body = ask(server, "POST", f"/api/sessions/{begun(server)}/export", wanted)
    assert (status, body[:4]) == (200, begins[:4])
    assert told["content-disposition"] == f'attachment; filename="studio.{kind}"'


def test_a_session_that_has_ended_is_gone(server: Server) -> None:
    room = begun(server)
    assert ask(server, "POST", f"/api/sessions/{room}/end")[0] == 204
    assert ask(server, "POST", f"/api/sessions/{room}", {"action": "show"})[0] == 410


def test_rooms_are_bounded_and_the_unused_ones_go_first(world: Path) -> None:
    session = EditSession(opened(world, ("exact",)))
    rooms = Rooms(ThreadPoolExecutor(1), most=3)
    first, second, third = (rooms.add(session) for _ in range(3))
    rooms.find(first)
    rooms.add(session)
    assert len(rooms) == 3
    assert rooms.find(second) is None
    assert rooms.find(first) is not None
    assert rooms.find(third) is not None


class Held:
    """Work that waits to be let go, and a list of what has run."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.gate = threading.Event()

    def work(self, i: int) -> int:
        self.gate.wait(30)
        self.done.append(i)
        return i


def test_of_a_thousand_slider_positions_the_first_and_the_last_are_computed() -> None:
    held = Held()

    async def flood() -> list[Any]:
        turns = Turns(ThreadPoolExecutor(1))
        jobs = []
        for i in range(1_000):
            jobs.append(asyncio.create_task(turns.run(lambda i=i: held.work(i), droppable=True)))
            await asyncio.sleep(0)
        held.gate.set()
        return await asyncio.gather(*jobs, return_exceptions=True)

    found = asyncio.run(flood())
    assert held.done == [0, 999]
    assert (found[0], found[-1]) == (0, 999)
    assert all(isinstance(result, Superseded) for result in found[1:-1])


def test_an_edit_that_waits_is_never_dropped() -> None:
    held = Held()

    async def edits() -> list[Any]:
        turns = Turns(ThreadPoolExecutor(1))
        jobs = []
        for i, droppable in enumerate((True, True, False, True, False)):
            jobs.append(
                asyncio.create_task(turns.run(lambda i=i: held.work(i), droppable=droppable))
            )
            await asyncio.sleep(0)
        held.gate.set()
        return await asyncio.gather(*jobs, return_exceptions=True)

    found = asyncio.run(edits())
    assert held.done == [0, 2]
    assert [type(result) for result in found] == [int, Superseded, int, Superseded, Busy]


def test_a_visitor_who_leaves_holds_nobody_up() -> None:
    held = Held()

    async def leave() -> int:
        turns = Turns(ThreadPoolExecutor(1))
        running = asyncio.create_task(turns.run(lambda: held.work(0)))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(turns.run(lambda: held.work(1)))
        await asyncio.sleep(0)
        waiting.cancel()
        running.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)
        last = asyncio.create_task(turns.run(lambda: held.work(2)))
        await asyncio.sleep(0)
        held.gate.set()
        return await last

    assert asyncio.run(leave()) == 2
    assert held.done == [0, 2]


def test_a_failure_lets_the_next_one_in() -> None:
    async def fail_then_work() -> int:
        turns = Turns(ThreadPoolExecutor(1))
        first = asyncio.create_task(turns.run(lambda: 1 // 0))
        await asyncio.sleep(0)
        second = asyncio.create_task(turns.run(lambda: 5))
        with pytest.raises(ZeroDivisionError):
            await first
        return await second

    assert asyncio.run(fail_then_work()) == 5


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ({"host": "0.0.0.0"}, "0.0.0.0 can be reached from other machines; add --remote"),
        ({"host": "192.168.0.7"}, "add --remote"),
        ({"public": True, "token": "t"}, "leave one of the two out"),
    ],
)
def test_other_machines_are_served_on_request_alone(place: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Place(**place)


def test_a_remote_studio_has_a_token_and_a_public_one_none() -> None:
    remote = Place("0.0.0.0", remote=True)
    access = remote.access(7860)
    assert access.token is not None
    assert len(access.token) > 20
    assert f"?token={access.token}" in address(remote, access)
    assert remote.access(7860).token != access.token
    assert access.host_known("192.168.0.7:7860")
    assert not access.host_known("evil.example:7860")
    named = Place("0.0.0.0", remote=True, hosts=("studio.example",)).access(7860)
    assert named.host_known("studio.example:7860")
    assert Place("0.0.0.0", public=True).access(7860).token is None
    assert Place().access(7860).token is None
    assert address(Place(), Place().access(80)) == "http://127.0.0.1:80/"
    assert Access(443).host_known("localhost")


def test_a_port_that_is_taken_is_told(server: Server) -> None:
    with pytest.raises(EnvironmentFault, match="choose another --port, or 0 for a free one"):
        serve(server.studio, Place(port=server.port), print, print)


def test_the_address_is_told_and_a_remote_studio_warns(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: None)
    studio, said, warned = Studio(opened(world, ("exact",))), list[str](), list[str]()
    serve(studio, Place(port=0), said.append, warned.append)
    assert said[0].startswith("http://127.0.0.1:")
    assert warned == []
    serve(studio, Place("127.0.0.1", port=0, public=True), said.append, warned.append)
    assert "without a token" in warned[0]
    serve(studio, Place("0.0.0.0", port=0, remote=True), said.append, warned.append)
    assert "whoever has the token" in warned[1]


def test_many_visitors_leave_no_more_than_the_last_sessions(server: Server) -> None:
    server.studio.rooms.most = 8
    rooms = [begun(server) for _ in range(12)]
    assert len(server.studio.rooms) == 8
    found = [ask(server, "POST", f"/api/sessions/{r}", {"action": "show"})[0] for r in rooms]
    assert found == [410] * 4 + [200] * 8
