"""Processes of a run: started clean, ended with the one that started them."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from latentedit.errors import EnvironmentFault

_PR_SET_PDEATHSIG = 1
"""Of prctl(2)."""


def context() -> Any:
    """Processes that start from a server with torch loaded, and share none of our state."""
    forkserver = multiprocessing.get_context("forkserver")
    forkserver.set_forkserver_preload(
        ["latentedit.benchmark.execution.warm_process", "sklearn.svm", "scipy.stats"]
    )
    return forkserver


def die_with(parent: int) -> None:
    """End this process when its parent ends; call it right after the fork (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def die_with_pipe(pipe: Connection) -> None:
    """End this process when nobody holds the other end of `pipe` any more."""

    def listen() -> None:
        with suppress(EOFError, OSError):
            pipe.recv()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=listen, daemon=True).start()


def exit_reason(code: int) -> str:
    """What an exit code of `multiprocessing` says: below zero, the signal."""
    if code < 0:
        return f"the process was ended by {signal.Signals(-code).name}"
    return f"the process left with exit code {code}"


def own_memory(pid: int) -> int:
    """Bytes that a process holds and no file backs; 0 where the system does not tell."""
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def machine_memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def thread_count() -> int | None:
    """Threads of this process, those of libraries too; None where the system does not tell."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.is_dir() else None


def in_process(
    target: Callable[..., None], args: tuple[Any, ...], progress: Callable[[float, str], None]
) -> None:
    """Call ``target(*args, pipe)`` in a fresh process; raise the error that it sends.

    Raises:
        EnvironmentFault: the process ended otherwise.
    """
    ours, theirs = multiprocessing.Pipe()
    process = context().Process(target=target, args=(*args, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        while True:
            message = ours.recv()
            if isinstance(message, Exception):
                raise message
            progress(*message)
    except EOFError:
        process.join()
        if process.exitcode:
            raise EnvironmentFault(
                f"{exit_reason(process.exitcode)} before its work was done; what it printed is "
                "above. Run the same command again."
            ) from None
    finally:
        process.kill()
        process.join()
