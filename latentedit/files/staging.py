"""Staging: unfinished files and folders next to the path that they will replace.

    FOLDER/.NAME.unfinished.RANDOM      locked by the process that writes it

A killed process cannot clean up, but the system releases its lock. The next process that writes
NAME removes everything of this pattern that is not locked.
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
"""Errors of a file system without locks."""


@contextmanager
def unfinished_file(path: Path) -> Iterator[Path]:
    """Yield a new, empty file next to `path`.

    The caller moves it to `path` within the block. If it is still there at the end of the block, it
    is removed.
    """

    def make() -> Path:
        handle, name = tempfile.mkstemp(prefix=_prefix(path), dir=path.parent)
        os.close(handle)
        return Path(name)

    with _claimed(path, make) as temporary:
        yield temporary


@contextmanager
def unfinished_folder(path: Path, hand_over: bool = False) -> Iterator[Path]:
    """Yield a new folder next to `path`; otherwise like `unfinished_file`.

    Args:
        hand_over: keep the folder, unlocked, if the block ends without error. Another process then
            moves it.
    """

    def make() -> Path:
        return Path(tempfile.mkdtemp(prefix=_prefix(path), dir=path.parent))

    with _claimed(path, make, hand_over) as temporary:
        yield temporary


def remove_abandoned(path: Path) -> None:
    """Remove the unfinished files and folders of killed processes for `path`.

    Those of running processes are locked and stay. On a file system without locks everything stays.
    """
    names = re.compile(rf"{re.escape(_prefix(path))}[a-z0-9_]{{8}}")
    with suppress(FileNotFoundError), os.scandir(path.parent) as entries:
        found = [Path(entry.path) for entry in entries if names.fullmatch(entry.name)]
        for left in found:
            with suppress(OSError):  # another process holds its lock, or has removed it
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
    """The file or folder that `make` creates, and its lock.

    Between creation and locking, another process may take it for abandoned and remove it. Then a
    new one is created.
    """
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
        # The lock may belong to a name that was removed just before; then it protects nothing.
        if temporary.exists():
            return temporary, handle
        os.close(handle)
    raise BlockingIOError(errno.EAGAIN, "other processes keep removing the new unfinished files")


def _lock(path: Path) -> int:
    """A handle that holds the lock of `path`; the lock ends when the handle or the process does.

    Raises:
        BlockingIOError: another process holds it.
        OSError: there is no such file, or the file system has no locks.
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
