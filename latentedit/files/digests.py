"""Digests of files: computed once a process, and checked where a file is used."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from latentedit.errors import CorruptArtefact
from latentedit.files.artefacts import Digest, file_digest

_REMEMBERED = 4096
"""Digests of so many files are kept."""


def known_digest(path: Path) -> Digest:
    """The SHA-256 of a file, read again only if its time, size or place on disk has changed.

    Raises:
        InputError: there is no file.
    """
    try:
        found = path.stat()
    except OSError:
        return file_digest(path)  # raises the error that names the file
    return _digest(path, found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)


@lru_cache(_REMEMBERED)
def _digest(path: Path, *stamp: int) -> Digest:
    return file_digest(path)


def check_digest(path: Path, recorded: Digest, record: str, remedy: str) -> None:
    """Raise `CorruptArtefact` unless the file has the SHA-256 that was recorded.

    Args:
        record: the file that holds `recorded`, for the message.
        remedy: what to do instead, a sentence.
    """
    found = known_digest(path)
    if found != recorded:
        raise CorruptArtefact(
            f"{path} has sha256 {found[:12]}…, {record} records {recorded[:12]}…: "
            f"the file was changed or cut. {remedy}"
        )


def content_digest(path: Path) -> Digest | None:
    """SHA-256 of a file, or over names and contents of all files in a folder.

    None if there is neither. Hidden files do not count, and links to folders are not followed.
    """
    if path.is_file():
        return known_digest(path)
    if not path.is_dir():
        return None
    digest = hashlib.sha256()
    for parent, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(parent, name)
            if not name.startswith(".") and file.is_file():
                digest.update(f"{file.relative_to(path).as_posix()}\n".encode(errors="replace"))
                digest.update(bytes.fromhex(known_digest(file)))
    return digest.hexdigest()
