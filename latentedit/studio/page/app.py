"""The routes of the studio."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from latentedit.errors import InputError, LatentEditError
from latentedit.files.records import parsed_record
from latentedit.studio.page.access import Access, AccessCheck
from latentedit.studio.page.actions import Action, ExportRequest, Preview
from latentedit.studio.page.bodies import LARGEST_UPLOAD, read_body, read_message
from latentedit.studio.page.messages import (
    bench_message,
    face_sheet,
    map_message,
    preview_message,
    session_message,
)
from latentedit.studio.page.rooms import Room, Rooms
from latentedit.studio.page.turns import Busy, Superseded
from latentedit.studio.session.edit_session import EditSession
from latentedit.studio.session.exports import codes_npy, picture_png, sweep_gif, sweep_mp4
from latentedit.studio.session.face_map import MAPS
from latentedit.studio.session.record import parsed_session, restored
from latentedit.studio.session.workbench import Workbench

STATIC = {
    "studio.css": "text/css",
    "studio.js": "text/javascript",
    "requests.js": "text/javascript",
    "controls.js": "text/javascript",
    "faces.js": "text/javascript",
    "pictures.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
"""Files of the page. Nothing else on disk has an address."""
EXPORTS = {
    "png": "image/png",
    "gif": "image/gif",
    "mp4": "video/mp4",
    "npy": "application/octet-stream",
}
_KEPT_SHEETS = 8


class Studio:
    """The server's state: one set of models, one thread that computes, and the visitors' rooms.

    Args:
        opened_with: arguments of the command that opens the studio, for the commands it shows.
        body_seconds: how long a body may take to arrive.
        photographs: whether they may be sent. An inversion keeps all other visitors waiting.
        inverter: options of the inverter.
    """

    def __init__(
        self,
        bench: Workbench,
        opened_with: str = "",
        body_seconds: float = 30.0,
        photographs: bool = True,
        inverter: dict[str, Any] | None = None,
    ) -> None:
        self.bench, self.opened_with, self.body_seconds = bench, opened_with, body_seconds
        self.photographs, self.inverter = photographs, inverter or {}
        # One thread: plugins are guarded by comparing state of the whole process.
        self.executor = ThreadPoolExecutor(1, thread_name_prefix="studio")
        self.rooms = Rooms(self.executor)
        self.sheet = lru_cache(maxsize=_KEPT_SHEETS)(lambda start: face_sheet(bench, start))

    def app(self, access: Access) -> Starlette:
        """The application, behind the checks of `access`."""
        routes = [
            Route("/", self.page),
            Route("/static/{name}", self.static),
            Route("/api/bench", self.told),
            Route("/api/faces/{start:int}", self.faces),
            Route("/api/map/{way}", self.map),
            Route("/api/sessions", self.begin, methods=["POST"]),
            Route("/api/sessions/{room}", self.act, methods=["POST"]),
            Route("/api/sessions/{room}/photograph", self.photograph, methods=["POST"]),
            Route("/api/sessions/{room}/export", self.export, methods=["POST"]),
            Route("/api/sessions/{room}/end", self.end, methods=["POST"]),
        ]
        handlers: dict[Any, Callable[[Request, Any], Awaitable[Response]]] = {
            HTTPException: _http_error,
            LatentEditError: _refused,
            Superseded: _superseded,
            Busy: _busy,
        }
        checks = [Middleware(AccessCheck, access=access)]
        return Starlette(routes=routes, middleware=checks, exception_handlers=handlers)

    async def page(self, request: Request) -> Response:
        return Response(_file("index.html"), media_type="text/html")

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in STATIC:
            raise HTTPException(404, "there is no such file")
        return Response(_file(name), media_type=STATIC[name])

    async def told(self, request: Request) -> Response:
        message = await self._computed(lambda: bench_message(self.bench))
        return JSONResponse(message | ({} if self.photographs else {"photographs": False}))

    async def faces(self, request: Request) -> Response:
        start = request.path_params["start"]
        if start >= len(self.bench.test):
            raise HTTPException(404, "there is no such image")
        return Response(await self._computed(lambda: self.sheet(start)), media_type="image/png")

    async def map(self, request: Request) -> Response:
        way = request.path_params["way"]
        if way not in MAPS:
            raise HTTPException(404, f"there is no such map; maps are {', '.join(MAPS)}")
        return JSONResponse(await self._computed(lambda: map_message(self.bench, way)))

    async def begin(self, request: Request) -> Response:
        """A new room: with an empty object, or with the record of a saved session."""
        record = await read_message(request, self.body_seconds)

        def start() -> EditSession:
            if record:
                return restored(self.bench, parsed_session(record, "the session"))
            return EditSession(self.bench)

        session = await self._computed(start)
        name = self.rooms.add(session)
        answer = await self._shown(self._room(name))
        return JSONResponse({"room": name, **answer})

    async def act(self, request: Request) -> Response:
        room = self._room(request.path_params["room"])
        value = await read_message(request, self.body_seconds)
        action = parsed_record(value, Action, Path("the request")).root
        if type(action) is Preview:
            message = await room.turns.run(
                lambda: preview_message(
                    room.session.view(action.request(room.session), exact=False)
                ),
                droppable=True,
            )
            return JSONResponse(message)

        def work() -> dict[str, Any]:
            room.session = action.do(room.session)
            return session_message(room.session, room.session.view(), self.opened_with)

        return JSONResponse(await room.turns.run(work))

    async def photograph(self, request: Request) -> Response:
        room = self._room(request.path_params["room"])
        if not self.photographs:
            raise HTTPException(403, "this studio takes no photographs")
        data = await read_body(request, LARGEST_UPLOAD, self.body_seconds)
        name = request.headers.get("x-file-name", "photograph")[:100]

        def work() -> dict[str, Any]:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "photograph"
                path.write_bytes(data)
                try:
                    room.session.choose_photograph(path, name=name, options=self.inverter)
                except InputError as error:
                    raise type(error)(str(error).replace(str(path), "the file")) from None
            return session_message(room.session, room.session.view(), self.opened_with)

        return JSONResponse(await room.turns.run(work))

    async def export(self, request: Request) -> Response:
        room = self._room(request.path_params["room"])
        value = await read_message(request, self.body_seconds)
        wanted = parsed_record(value, ExportRequest, Path("the request"))
        data = await room.turns.run(lambda: exported(room.session, wanted))
        headers = {"content-disposition": f'attachment; filename="studio.{wanted.kind}"'}
        return Response(data, media_type=EXPORTS[wanted.kind], headers=headers)

    async def end(self, request: Request) -> Response:
        self.rooms.close(request.path_params["room"])
        return Response(status_code=204)

    def _room(self, name: str) -> Room:
        room = self.rooms.find(name)
        if room is None:
            raise HTTPException(410, "this session has ended")
        return room

    async def _shown(self, room: Room) -> dict[str, Any]:
        return await room.turns.run(
            lambda: session_message(room.session, room.session.view(), self.opened_with)
        )

    async def _computed(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.executor, work)


def exported(session: EditSession, wanted: ExportRequest) -> bytes:
    """The file that is wanted of a session."""
    match wanted.kind:
        case "png":
            return picture_png(session)
        case "gif":
            return sweep_gif(session, wanted.attribute, wanted.frames)
        case "mp4":
            return sweep_mp4(session, wanted.attribute, wanted.frames)
        case "npy":
            session.bench.editor(wanted.column)
            return codes_npy(session.view()[wanted.column])


@cache
def _file(name: str) -> bytes:
    return (files("latentedit.studio.page") / "static" / name).read_bytes()


async def _http_error(request: Request, error: HTTPException) -> Response:
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _refused(request: Request, error: LatentEditError) -> Response:
    status = 422 if isinstance(error, InputError) else 500
    return JSONResponse({"error": str(error)}, status)


async def _superseded(request: Request, error: Superseded) -> Response:
    return JSONResponse({"error": "a newer request took the place of this one"}, 409)


async def _busy(request: Request, error: Busy) -> Response:
    return JSONResponse({"error": "this session has a request waiting; wait for it"}, 429)
