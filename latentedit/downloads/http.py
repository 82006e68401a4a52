"""Downloads of large files: resumed where they were cut, whole under their own name or not there.

    FOLDER/network.pkl             complete, and of the expected SHA-256
    FOLDER/network.pkl.part        what has arrived so far
    FOLDER/network.pkl.part.json   of which version of the file, as the server names it

A download goes on with ``Range`` and ``If-Range`` (RFC 9110, sections 13.1.5 and 14.2), so that the
server sends the rest only of the very file that was begun. httpx2 speaks HTTP; pooch, which caches
files by their hash, was considered and begins again after a cut.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import httpx2

from latentedit.errors import CorruptArtefact, EnvironmentFault, InputError
from latentedit.files.artefacts import Digest, file_digest, write_json
from latentedit.files.records import StrictRecord, read_record
from latentedit.files.staging import remove_abandoned
from latentedit.interfaces.runtime import Progress, silent

ATTEMPTS = 5
"""Connections in a row that bring nothing new before a download gives up."""
HOPS = 5
TIMEOUT = httpx2.Timeout(60.0, connect=20.0)


@dataclass(frozen=True)
class Request:
    """What to download.

    Args:
        url: https; or http on this machine.
        limit: bytes that the file may have at most.
        size: bytes that it must have, where that is known.
        sha256: that it must have, where that is known.
    """

    url: str
    limit: int
    size: int | None = None
    sha256: Digest | None = None


def download(
    request: Request,
    path: Path,
    progress: Progress = silent,
    client: httpx2.Client | None = None,
    pause: float = 1.0,
) -> Digest:
    """Put the file at `request.url` at `path`; return its SHA-256.

    Args:
        client: one with a configuration of its own.
        pause: seconds before the second connection; twice as many before the third, and so on.

    Raises:
        InputError: an address, or a redirect to one, that is not secure.
        CorruptArtefact: the file is larger than allowed, or not the expected one; nothing is kept.
        EnvironmentFault: no connection, or it was cut too often; the same call goes on.
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
                "and run the same command again: it goes on from there"
            ) from error
        os.fsync(file.fileno())
        os.replace(part, path)
        _forget(part)
    return found


@contextmanager
def _part_of(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """The unfinished file beside `path`, open for this process alone."""
    part = _part(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = part.open("ab", buffering=0)
    except OSError as error:
        raise EnvironmentFault(f"could not write {part}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = os.fstat(file.fileno()).st_ino == part.stat().st_ino
        except OSError:  # held by another process, or finished by it just now
            ours = False
        if not ours:
            raise EnvironmentFault(f"another process is downloading {path}; wait for it")
        try:
            yield file, part
        finally:
            if part.is_file() and not part.stat().st_size:
                _forget(part)


class _PartRecord(StrictRecord):
    """Which version of the file a part begins, as the server names it."""

    url: str
    validator: str | None


def tidy(path: Path) -> None:
    """Remove what the download of `path`, which is complete, left if it was killed at the end."""
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
    progress: Progress,
    pause: float,
) -> None:
    """Connect until the file is complete."""
    failures = 0
    while True:
        before = file.tell()
        try:
            _receive(http, request, file, part, progress)
            return
        except (httpx2.TransportError, httpx2.StreamError) as error:
            goes_on = _validator_of(part, request.url) is not None
            failures = 1 if goes_on and file.tell() > before else failures + 1
            if failures >= ATTEMPTS:
                raise EnvironmentFault(
                    f"{request.url}: the connection failed {ATTEMPTS} times in a row, with "
                    f"{file.tell():,} bytes received ({type(error).__name__}: {error}). "
                    "Run the same command again: it goes on from there"
                ) from error
            time.sleep(pause * failures)


def _receive(
    http: httpx2.Client, request: Request, file: BinaryIO, part: Path, progress: Progress
) -> None:
    """One connection: append the rest of the file, or begin again where there is no going on."""
    headers = {"Accept-Encoding": "identity"}
    validator = _validator_of(part, request.url)
    if validator is None:
        _begin_again(file)
    elif file.tell():
        headers |= {"Range": f"bytes={file.tell()}-", "If-Range": validator}
    with _answer(http, request.url, headers) as answer:
        if _is_complete(answer, file.tell()):
            return
        offer = _offer(answer, request, file.tell())
        if offer.start == 0:
            _begin_again(file)
            record = _PartRecord(url=request.url, validator=offer.validator)
            write_json(_record_of(part), record.model_dump())
        _check_space(part, (offer.total or 0) - file.tell())
        for chunk in answer.iter_raw():
            file.write(chunk)
            if file.tell() > request.limit:
                raise _too_large(request, "more")
            progress(file.tell() / (offer.total or request.limit), f"{file.tell() / 1e6:,.0f} MB")
    if offer.total is not None and file.tell() != offer.total:
        raise httpx2.ReadError(f"received {file.tell():,} of {offer.total:,} bytes")


def _begin_again(file: BinaryIO) -> None:
    file.seek(0)
    file.truncate()


def _is_complete(answer: httpx2.Response, have: int) -> bool:
    """Whether the server has nothing after what is here, which is all of the same file."""
    return answer.status_code == 416 and answer.headers.get("content-range") == f"bytes */{have}"


def _validator_of(part: Path, url: str) -> str | None:
    """What the server called the version of the file that `part` begins, if it can be gone on."""
    try:
        record = read_record(_record_of(part), _PartRecord)
    except InputError:  # there is none, or it is broken: the download begins again
        return None
    return record.validator or None if record.url == url else None


@contextmanager
def _answer(http: httpx2.Client, url: str, headers: dict[str, str]) -> Iterator[httpx2.Response]:
    """The answer at the end of a chain of redirects, none of which may leave https."""
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
    told = f"{before} redirects to {url}" if before else f"{url}"
    raise InputError(f"{told}, which is not https; use an address that keeps to https")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True)
class _Offer:
    """What an answer brings: bytes from `start` on, of `total` where the server says so."""

    start: int
    total: int | None
    validator: str | None


def _offer(answer: httpx2.Response, request: Request, have: int) -> _Offer:
    if answer.status_code == 416:  # what is here is not a beginning of what is there
        raise CorruptArtefact(
            f"{request.url} has no bytes from {have:,} on: another file is there now. "
            "What had arrived was removed; run the same command again"
        )
    if answer.status_code >= 500:
        raise httpx2.ReadError(f"the server answered {answer.status_code}")
    if answer.status_code not in (200, 206):
        raise EnvironmentFault(
            f"{answer.url} answered {answer.status_code} {answer.reason_phrase}; "
            "look for the file's new address"
        )
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise EnvironmentFault(f"{answer.url} was sent compressed though that was not asked for")
    offer = _Offer(0, _length(answer), _strong_validator(answer))
    if answer.status_code == 206:
        offer = _partial(answer, offer)
        if offer.start != have:
            raise EnvironmentFault(f"{answer.url} answered from byte {offer.start}, not {have}")
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
        raise EnvironmentFault(f"{answer.url} sent a part without saying which")
    return replace(offer, start=int(found[1]), total=int(found[2]))


def _length(answer: httpx2.Response) -> int | None:
    text = answer.headers.get("content-length", "")
    return int(text) if re.fullmatch(r"\d{1,15}", text) else None


def _strong_validator(answer: httpx2.Response) -> str | None:
    """The entity tag, unless it is weak: only a strong one may stand in If-Range."""
    tag = answer.headers.get("etag", "")
    return tag if tag and not tag.startswith("W/") else None


def _too_large(request: Request, found: str) -> CorruptArtefact:
    return CorruptArtefact(
        f"{request.url} may have at most {request.limit:,} bytes, the server sends {found}. "
        "Nothing was kept"
    )


def _check_space(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise EnvironmentFault(
            f"{part.parent} has {free / 1e6:,.0f} MB free, {needed / 1e6:,.0f} MB are needed; "
            "free space or choose another folder with --out"
        )
