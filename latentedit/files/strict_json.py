"""A strict JSON reader: every name once, numbers that fit, limited depth, regular files only."""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

from latentedit.errors import CorruptArtefact, EnvironmentFault, InputError

MAX_BYTES = 256 << 20
"""Larger records are refused before they are read."""
MAX_DEPTH = 100
_MAX_DIGITS = 400
"""More digits than any finite number needs."""
_BAD_NAMES = (errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR)


def usable_name(path: Path) -> Path:
    """`path`, which need not exist.

    Raises:
        InputError: no file or folder can have this name, or it leads in a circle of links.
    """
    try:
        os.stat(path)
    except ValueError as error:
        raise InputError(f"{str(path)[:200]!r} is no name of a file: {error}") from None
    except OSError as error:
        if error.errno in _BAD_NAMES:
            raise InputError(f"{str(path)[:200]!r} cannot be a file: {error.strerror}") from None
    return path


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """A regular file, open for reading. Anything else is refused, and nothing waits for a FIFO.

    Raises:
        InputError: there is no file, it is no regular file, or no file can have this name.
        EnvironmentFault: it cannot be opened or read.
    """
    try:
        # Without O_NONBLOCK, opening a FIFO waits for somebody to write.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except ValueError as error:
        raise InputError(f"{str(path)[:200]!r} is no name of a file: {error}") from None
    except OSError as error:
        if error.errno in _BAD_NAMES:
            raise InputError(f"{str(path)[:200]!r} cannot be a file: {error.strerror}") from None
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise InputError(f"{path} is not a regular file; only regular files are read")
    with os.fdopen(handle, "rb") as file:
        try:
            yield file
        except OSError as error:
            raise _unreadable(path, error) from error


def regular_bytes(path: Path, limit: int | None = None) -> bytes:
    """The bytes of a regular file; raises as `opened` does.

    Raises:
        CorruptArtefact: it has more than `limit` bytes.
    """
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if limit is not None and size > limit:
            raise CorruptArtefact(f"{path} has {size} bytes; such a record has at most {limit}")
        return file.read()


def _unreadable(path: Path, error: OSError) -> EnvironmentFault:
    return EnvironmentFault(
        f"could not read {path}: {error.strerror}. Check the disk and the file's permissions"
    )


def strict_json(data: bytes) -> Any:
    """Plain data from JSON in UTF-8.

    Raises:
        ValueError: it is not JSON, a name occurs twice in one object, a number is not finite or
            too long, or values are nested more than `MAX_DEPTH` deep.

    >>> strict_json(b'{"a": [1, 2.5]}')
    {'a': [1, 2.5]}
    >>> strict_json(b'{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ValueError: the name 'a' occurs twice
    """
    try:
        found = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_short,
        )
    except RecursionError:
        raise ValueError(f"values are nested more than {MAX_DEPTH} deep") from None
    _check_depth(found)
    return found


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"values are nested more than {MAX_DEPTH} deep")
        lists = (part.values() if isinstance(part, dict) else part for part in level
                 if isinstance(part, dict | list))  # fmt: skip
        level = [part for parts in lists for part in parts if isinstance(part, dict | list)]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice[:80]!r} occurs twice")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:20]}… is too large")
    return number


def _short(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"the number {text[:20]}… has {len(text)} digits")
    number = int(text)
    # A field that takes any number takes it as a float, too.
    _ = _finite(text)
    return number
