"""Regular files, opened without waiting on pipes, sockets or devices."""

from __future__ import annotations

import os
import stat
from io import BufferedReader
from pathlib import Path

from latentedit.errors import EnvironmentFault, InputError


def open_regular(path: Path) -> BufferedReader:
    """`path`, opened for reading in binary.

    Raises:
        InputError: there is no such file, or it is a folder, a pipe or a device.
        EnvironmentFault: the system refuses to open it.
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits until another process writes into it.
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; give a regular file") from None
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"there is no file {path}") from None
    except ValueError as error:  # a NUL in the name
        raise InputError(f"{str(path)!r} is not the name of a file: {error}") from None
    except OSError as error:
        raise EnvironmentFault(f"cannot open {path}: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise InputError(f"{path} is a pipe, a socket or a device; give a regular file")
    return file


def read_bytes(path: Path, limit: int | None = None) -> bytes:
    """All bytes of a regular file.

    Raises:
        InputError: as `open_regular`, or it has more than `limit` bytes.
        EnvironmentFault: the system refuses to read it.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if limit is not None and size > limit:
            raise InputError(f"{path} has {size:,} bytes, more than {limit:,}")
        try:
            return file.read()
        except OSError as error:
            raise EnvironmentFault(f"cannot read {path}: {error.strerror}") from None
