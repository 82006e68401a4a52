"""Regular files, opened without waiting on pipes, sockets or devices."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from latentedit.errors import EnvironmentFault, InputError

_BAD_NAMES = (errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR)


def usable_name(path: Path) -> Path:
    """`path`, which need not exist.

    Raises:
        InputError: no file or folder can have this name, or it leads in a circle of links.
    """
    try:
        os.stat(path)
    except ValueError as error:
        raise _no_name(path, error) from None
    except OSError as error:
        if error.errno in _BAD_NAMES:
            raise _no_name(path, error) from None
    return path


def open_regular(path: Path) -> BufferedReader:
    """`path`, opened for reading in binary.

    Raises:
        InputError: there is no such file, it is a folder, a pipe or a device, or no file can have
            this name.
        EnvironmentFault: the system refuses to open it.
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits until another process writes into it.
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; give a regular file") from None
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except ValueError as error:
        raise _no_name(path, error) from None
    except OSError as error:
        if error.errno in _BAD_NAMES:
            raise _no_name(path, error) from None
        if error.errno == errno.ENXIO:  # a socket cannot be opened at all
            raise _no_regular(path) from None
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise _no_regular(path)
    return file


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """A regular file, open for reading; raises as `open_regular` does.

    Raises:
        EnvironmentFault: the system refuses to read it.
    """
    with open_regular(path) as file:
        try:
            yield file
        except OSError as error:
            raise _unreadable(path, error) from error


def read_bytes(path: Path, limit: int | None = None) -> bytes:
    """All bytes of a regular file; raises as `opened` does.

    Raises:
        InputError: it has more than `limit` bytes.
    """
    with opened(path) as file:
        size = file_size(file)
        if limit is not None and size > limit:
            raise InputError(f"{path} has {size:,} bytes, more than {limit:,}")
        return file.read()


def file_size(file: BufferedReader) -> int:
    """Bytes of an open file."""
    return os.fstat(file.fileno()).st_size


def _no_name(path: Path, error: OSError | ValueError) -> InputError:
    reason = error.strerror if isinstance(error, OSError) else error
    return InputError(f"{str(path)[:200]!r} is not the name of a file: {reason}")


def _no_regular(path: Path) -> InputError:
    return InputError(f"{path} is a pipe, a socket or a device; give a regular file")


def _unreadable(path: Path, error: OSError) -> EnvironmentFault:
    return EnvironmentFault(
        f"cannot read {path}: {error.strerror}. Check the disk and the file's permissions"
    )
