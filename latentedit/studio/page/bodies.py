"""Bodies of requests, bounded in size and time before anything is decoded."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from latentedit.files.strict_json import strict_json

LARGEST_UPLOAD = 32 << 20
"""Bytes of a photograph."""
LARGEST_MESSAGE = 4 << 20
"""Bytes of any other body; a saved session is the largest."""
_CLOSE = {"connection": "close"}


async def read_body(request: Request, most: int, seconds: float) -> bytes:
    """The body of a request.

    Raises:
        HTTPException: 413 for more than `most` bytes, 408 after `seconds`, 400 for a wrong length.
    """
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal():
        raise HTTPException(400, "the length of the body is no number", _CLOSE)
    if int(announced[:20]) > most:
        raise HTTPException(413, _too_large(most), _CLOSE)
    found = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                found += part
                if len(found) > most:
                    raise HTTPException(413, _too_large(most), _CLOSE)
    except TimeoutError:
        raise HTTPException(408, f"the body took more than {seconds:g} s", _CLOSE) from None
    except ClientDisconnect:
        raise HTTPException(400, "the body ended early", _CLOSE) from None
    return bytes(found)


async def read_message(request: Request, seconds: float) -> Any:
    """The JSON of a request; raises as `read_body` does, and 400 for anything else than JSON.

    Bodies must say that they are JSON: forms of other pages cannot, without being asked for first.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "send application/json", _CLOSE)
    body = await read_body(request, LARGEST_MESSAGE, seconds)
    try:
        return strict_json(body)
    except ValueError as error:
        raise HTTPException(400, f"this is no JSON: {error}") from None


def _too_large(most: int) -> str:
    return f"the body is larger than {most:,} bytes; send a smaller file"
