"""Staging: unfinished files and folders next to the path that they will replace.

    FOLDER/.NAME.unfinished.RANDOM      locked by the process that writes it

A process that is killed cannot tidy up. Its lock ends with it, though: the next one that writes
NAME finds what is no longer locked, and removes it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_MARK = "unfinished"
_TRIES = 100
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)
"""What a file system answers that has no locks."""


@contextmanager
def unfinished_file(path: Path) -> Iterator[Path]:
    """The name of a new, empty file that is to become `path`.

    Whoever moves it there does so within the block; what is left under its name is removed.
    """

    def make() -> Path:
        handle, name = tempfile.mkstemp(prefix=_prefix(path), dir=path.parent)
        os.close(handle)
        return Path(name)

    with _claimed(path, make) as temporary:
        yield temporary


@contextmanager
def unfinished_folder(path: Path, hand_over: bool = False) -> Iterator[Path]:
    """The name of a new folder that is to become `path`; otherwise as `unfinished_file`.

    Args:
        hand_over: the folder stays when the block ends without error, for another process to move.
            Its lock ends with the block.
    """

    def make() -> Path:
        return Path(tempfile.mkdtemp(prefix=_prefix(path), dir=path.parent))

    with _claimed(path, make, hand_over) as temporary:
        yield temporary


def remove_abandoned(path: Path) -> None:
    """Remove what processes that were killed had written of `path`.

    What a process is writing just now stays, and so does everything where the file system has no
    locks.
    """
    names = re.compile(rf"{re.escape(_prefix(path))}[a-z0-9_]{{8}}")
    with suppress(FileNotFoundError), os.scandir(path.parent) as entries:
        found = [Path(entry.path) for entry in entries if names.fullmatch(entry.name)]
        for left in found:
            with suppress(OSError):  # somebody writes it, or it is gone already
                handle = _lock(left)
                _remove(left)
                os.close(handle)


def _prefix(path: Path) -> str:
    return f".{path.name}.{_MARK}."


@contextmanager
def _claimed(path: Path, make: Callable[[], Path], hand_over: bool = False) -> Iterator[Path]:
    remove_abandoned(path)
    temporary, handle = _claim(make)
    done = False
    try:
        yield temporary
        done = True
    finally:
        if not (done and hand_over):
            _remove(temporary)
        if handle is not None:
            os.close(handle)


def _claim(make: Callable[[], Path]) -> tuple[Path, int | None]:
    """What `make` makes and its lock; anew where another process took it for abandoned."""
    for _ in range(_TRIES):
        temporary = make()
        try:
            handle = _lock(temporary)
        except (BlockingIOError, FileNotFoundError):
            continue
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return temporary, None
            _remove(temporary)
            raise
        if temporary.exists():
            return temporary, handle
        os.close(handle)
    raise BlockingIOError(errno.EAGAIN, "other processes remove what this one begins to write")


def _lock(path: Path) -> int:
    """A handle that holds the lock of `path`.

    Raises:
        BlockingIOError: another process has it.
        OSError: there is no such file, or there are no locks.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
