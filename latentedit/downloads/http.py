"""Downloads of large files: resumed after a cut, and complete or absent.

    FOLDER/network.pkl             the complete file, with the expected SHA-256
    FOLDER/network.pkl.part        the bytes received so far
    FOLDER/network.pkl.part.json   the version of the file, as its entity tag

A download is resumed with ``Range`` and ``If-Range`` (RFC 9110, sections 13.1.5 and 14.2). The
server then sends the rest only if the file has not changed. pooch, which caches files by their
hash, was considered, but it restarts after a cut.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import httpx2

from latentedit.errors import CorruptArtefact, EnvironmentFault, InputError
from latentedit.files.artefacts import Digest, file_digest, read_json, write_json
from latentedit.files.staging import remove_abandoned

ATTEMPTS = 5
"""Number of consecutive connections without new bytes after which a download fails."""
HOPS = 5
TIMEOUT = httpx2.Timeout(60.0, connect=20.0)

ProgressCallback = Callable[[float, str], None]


@dataclass(frozen=True)
class Request:
    """What to download.

    Args:
        url: https; http only on this machine.
        limit: largest accepted size in bytes.
        size: exact size in bytes, if known.
        sha256: expected SHA-256, if known.
    """

    url: str
    limit: int
    size: int | None = None
    sha256: Digest | None = None


def download(
    request: Request,
    path: Path,
    progress: ProgressCallback = lambda fraction, message: None,
    client: httpx2.Client | None = None,
    pause: float = 1.0,
) -> Digest:
    """Download `request.url` to `path`, and return its SHA-256.

    Args:
        client: an HTTP client to use instead of the default one.
        pause: seconds before the second connection; twice as many before the third, and so on.

    Raises:
        InputError: the address, or a redirect, is not https.
        CorruptArtefact: the file is too large or not the expected one; nothing is kept.
        EnvironmentFault: the connection failed too often; the same call resumes the download.
    """
    with _part_of(path) as (file, part), client or httpx2.Client(timeout=TIMEOUT) as http:
        try:
            _collect(http, request, file, part, progress, pause)
            progress(1.0, "checking its SHA-256")
            found = file_digest(part)
            if request.sha256 not in (None, found):
                raise CorruptArtefact(
                    f"{request.url} has sha256 {found}, expected {request.sha256}: it was changed "
                    "on the way or at its origin. Nothing was kept; try again, or use another copy"
                )
        except CorruptArtefact:
            _forget(part)
            raise
        except OSError as error:
            raise EnvironmentFault(
                f"could not write {part}: {error.strerror}. Free space or choose another folder, "
                "and run the same command again: it continues from there"
            ) from error
        os.fsync(file.fileno())
        os.replace(part, path)
        _forget(part)
    return found


@contextmanager
def _part_of(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """The unfinished file of `path`, locked for this process."""
    part = _part(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = part.open("ab", buffering=0)
    except OSError as error:
        raise EnvironmentFault(f"could not write {part}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between open and flock, another process may have finished and renamed this file.
            ours = os.fstat(file.fileno()).st_ino == part.stat().st_ino
        except OSError:  # locked by another process, or just renamed by it
            ours = False
        if not ours:
            raise EnvironmentFault(f"another process is downloading {path}; wait for it")
        try:
            yield file, part
        finally:
            if part.is_file() and not part.stat().st_size:
                _forget(part)


def tidy(path: Path) -> None:
    """Remove leftovers of a complete download of `path` that was killed in its last step."""
    record = _record_of(_part(path))
    record.unlink(missing_ok=True)
    remove_abandoned(record)


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _record_of(part).unlink(missing_ok=True)


def _record_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _collect(
    http: httpx2.Client,
    request: Request,
    file: BinaryIO,
    part: Path,
    progress: ProgressCallback,
    pause: float,
) -> None:
    """Connect again until the file is complete."""
    failures = 0
    while True:
        before = file.tell()
        try:
            _receive(http, request, file, part, progress)
            return
        except (httpx2.TransportError, httpx2.StreamError) as error:
            resumable = _validator_of(part, request.url) is not None
            # Progress resets the count, but only if the next connection can build on it.
            failures = 1 if resumable and file.tell() > before else failures + 1
            if failures >= ATTEMPTS:
                raise EnvironmentFault(
                    f"{request.url}: the connection failed {ATTEMPTS} times in a row, with "
                    f"{file.tell():,} bytes received ({type(error).__name__}: {error}). "
                    "Run the same command again: it continues from there"
                ) from error
            time.sleep(pause * failures)


def _receive(
    http: httpx2.Client, request: Request, file: BinaryIO, part: Path, progress: ProgressCallback
) -> None:
    """One connection: append the rest of the file, or restart if it cannot be resumed."""
    # Offsets count bytes of the file; a compressed transfer would have others.
    headers = {"Accept-Encoding": "identity"}
    validator = _validator_of(part, request.url)
    if validator is None:
        _restart(file)
    elif file.tell():
        headers |= {"Range": f"bytes={file.tell()}-", "If-Range": validator}
    with _answer(http, request.url, headers) as answer:
        if _is_complete(answer, file.tell()):
            return
        offer = _offer(answer, request, file.tell())
        if offer.start == 0:  # the server ignored the range, or its file has changed
            _restart(file)
            write_json(_record_of(part), {"url": request.url, "validator": offer.validator})
        _check_space(part, (offer.total or 0) - file.tell())
        for chunk in answer.iter_raw():
            file.write(chunk)
            if file.tell() > request.limit:
                raise _too_large(request, "more")
            progress(file.tell() / (offer.total or request.limit), f"{file.tell() / 1e6:,.0f} MB")
    if offer.total is not None and file.tell() != offer.total:
        raise httpx2.ReadError(f"received {file.tell():,} of {offer.total:,} bytes")


def _restart(file: BinaryIO) -> None:
    file.seek(0)
    file.truncate()


def _is_complete(answer: httpx2.Response, have: int) -> bool:
    """Whether the server's file has exactly the `have` bytes that were received already."""
    return answer.status_code == 416 and answer.headers.get("content-range") == f"bytes */{have}"


def _validator_of(part: Path, url: str) -> str | None:
    """The recorded entity tag of the file in `part`; None if it cannot be resumed from `url`."""
    try:
        record = read_json(_record_of(part))
        return str(record["validator"] or "") or None if record["url"] == url else None
    except (InputError, KeyError, TypeError):
        return None


@contextmanager
def _answer(http: httpx2.Client, url: str, headers: dict[str, str]) -> Iterator[httpx2.Response]:
    """The response at the end of a chain of redirects, all of which must be https."""
    # The client's own redirects would follow a step from https to http.
    at = _secure(httpx2.URL(url), None)
    for _ in range(HOPS):
        request = http.build_request("GET", at, headers=headers)
        answer = http.send(request, stream=True, follow_redirects=False)
        if answer.next_request is None:
            break
        answer.close()
        at = _secure(answer.next_request.url, at)
    else:
        raise InputError(f"{url} redirects more than {HOPS} times")
    try:
        yield answer
    finally:
        answer.close()


def _secure(url: httpx2.URL, before: httpx2.URL | None) -> httpx2.URL:
    if url.scheme == "https":
        return url
    if url.scheme == "http" and _is_here(url.host) and (before is None or before.scheme == "http"):
        return url
    route = f"{before} redirects to {url}" if before else f"{url}"
    raise InputError(f"{route}, which is not https; use an address with https throughout")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True)
class _Offer:
    """The content of a response: bytes from `start`, of `total` if the server states it."""

    start: int
    total: int | None
    validator: str | None


def _offer(answer: httpx2.Response, request: Request, have: int) -> _Offer:
    if answer.status_code == 416:  # range not satisfiable: the file is shorter than `part`
        raise CorruptArtefact(
            f"{request.url} has no bytes after {have:,}: the file has changed. "
            "The received bytes were removed; run the same command again"
        )
    if answer.status_code >= 500:
        raise httpx2.ReadError(f"the server answered {answer.status_code}")
    if answer.status_code not in (200, 206):
        raise EnvironmentFault(
            f"{answer.url} answered {answer.status_code} {answer.reason_phrase}; "
            "look for the file's new address"
        )
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise EnvironmentFault(
            f"{answer.url} was sent compressed, which was not requested; try again without a proxy"
        )
    offer = _Offer(0, _length(answer), _strong_validator(answer))
    if answer.status_code == 206:
        offer = _partial(answer, offer)
        if offer.start != have:
            raise EnvironmentFault(
                f"{answer.url} answered from byte {offer.start}, not {have}; try again later"
            )
    if offer.total is not None and offer.total > request.limit:
        raise _too_large(request, f"{offer.total:,}")
    if request.size is not None and offer.total not in (None, request.size):
        raise CorruptArtefact(
            f"{request.url} has {offer.total:,} bytes, expected {request.size:,}: it is another "
            "file. Nothing was kept"
        )
    return offer


def _partial(answer: httpx2.Response, offer: _Offer) -> _Offer:
    found = re.fullmatch(
        r"bytes (\d{1,15})-\d{1,15}/(\d{1,15})", answer.headers.get("content-range", "")
    )
    if found is None:
        raise EnvironmentFault(
            f"{answer.url} sent a part of the file without a valid Content-Range; try again later"
        )
    return replace(offer, start=int(found[1]), total=int(found[2]))


def _length(answer: httpx2.Response) -> int | None:
    text = answer.headers.get("content-length", "")
    return int(text) if re.fullmatch(r"\d{1,15}", text) else None


def _strong_validator(answer: httpx2.Response) -> str | None:
    """The entity tag, unless it is weak: If-Range needs a strong one (RFC 9110, 13.1.5)."""
    tag = answer.headers.get("etag", "")
    return tag if tag and not tag.startswith("W/") else None


def _too_large(request: Request, found: str) -> CorruptArtefact:
    return CorruptArtefact(
        f"{request.url} may have at most {request.limit:,} bytes, but the server sends {found}. "
        "Nothing was kept"
    )


def _check_space(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise EnvironmentFault(
            f"{part.parent} has {free / 1e6:,.0f} MB free, {needed / 1e6:,.0f} MB are needed; "
            "free space or choose another folder with --out"
        )
