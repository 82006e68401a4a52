"""The last resort of the command line: closed streams, and unexpected errors."""

from __future__ import annotations

import atexit
import errno
import os
import sys
import tempfile
import traceback
from contextlib import suppress
from typing import NoReturn

import click

BAD_INPUT, ENVIRONMENT, BUG = 2, 3, 4
"""Exit codes of bad input, of a missing resource, and of an error in latentedit itself."""
LEAST_ADDRESSES = 1 << 30
"""Bytes of address space that importing torch and its libraries needs."""
_NO_MEMORY = (
    "can't allocate memory",
    "cannot allocate memory",
    "failed to map segment",
    "not enough memory",
    "out of memory",
)
"""What torch says in a plain RuntimeError on the CPU, and the system of a library."""


def open_streams() -> None:
    """Make stdin, stdout and stderr usable, whatever the caller closed or how it encodes text.

    A closed stream becomes the null device. Otherwise the next file that is opened would get its
    number, and output would be written into that file.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number: this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a locale without the character must not end a command
            stream.reconfigure(errors="backslashreplace")


def check_addresses() -> None:
    """Raise `MemoryError` where the libraries of numpy and torch would not find room.

    Some of them end the process themselves then, with a code of their own.
    """
    try:
        import resource
    except ImportError:  # not on Unix
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESSES:
        raise MemoryError(
            f"{limit >> 20} MiB of address space are allowed (ulimit -v), and latentedit needs "
            f"{LEAST_ADDRESSES >> 20}"
        )


def flush() -> None:
    """Write what is buffered. What cannot be written is given up, and `OSError` raised."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # Python flushes again when it ends, and would report the error a second time.
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            raise


def leave(code: object) -> NoReturn:
    """End the process with an exit code, after what was registered for its end.

    Python would then wait for threads and unload libraries. Some crash while they are unloaded, as
    Ray does after its cluster's head was lost, and the process would end with another code.
    """
    with suppress(OSError):
        flush()
    atexit._run_exitfuncs()
    os._exit(code if isinstance(code, int) else bool(code))


def explain(error: BaseException) -> int:
    """Print one line about an unexpected error, and return the exit code."""
    if _is_out_of_memory(error):
        why = f": {error}" if isinstance(error, MemoryError) and error.args else ""
        say(f"out of memory{why}; free some, or ask for less at a time")
        return ENVIRONMENT
    if isinstance(error, OSError):
        if error.errno == errno.EPIPE:  # the reader went away, as in `| head`
            return 1
        where = f" {str(error.filename)[:200]}" if error.filename is not None else ""
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            say(f"{where.strip()} is not the name of a file: {error.strerror}")
            return BAD_INPUT
        say(f"the system refused{where}: {error.strerror or error}")
        return ENVIRONMENT
    if isinstance(error, ImportError) and not (error.name or "").startswith("latentedit"):
        say(
            f"cannot import {error.name or 'a library'}: {_first_line(error)}. Install latentedit "
            "again, or free what the system lacks"
        )
        return ENVIRONMENT
    if isinstance(error, UnicodeError):
        say(f"text cannot be read or written in this encoding: {error}; set PYTHONUTF8=1")
        return ENVIRONMENT
    say(
        f"a bug in latentedit: {type(error).__name__}: {_first_line(error)}. "
        f"{_written(error)}; please report it"
    )
    return BUG


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError | ImportError | OSError) and any(
        sign in said for sign in _NO_MEMORY
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0][:200] if lines else ""


def _written(error: BaseException) -> str:
    text = "".join(traceback.format_exception(error))
    try:
        handle, path = tempfile.mkstemp(prefix="latentedit-traceback-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        say(text)
        return "The traceback stands above"
    return f"The traceback is in {path}"


def say(text: str) -> None:
    """Print an error; one that cannot be printed does not change the exit code."""
    with suppress(OSError):
        click.echo(f"error: {text}", err=True)
