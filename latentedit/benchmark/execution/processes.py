"""Processes of a run: a clean start, and an end together with their parent."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from multiprocessing import forkserver, util
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from latentedit.errors import EnvironmentFault
from latentedit.guard import told

_PR_SET_PDEATHSIG = 1
"""The option of prctl(2) that names the signal which a process gets when its parent ends."""

SOCKETS = "latentedit-sockets-"
"""Begins the names of folders for sockets; the id of their process follows."""
SOCKET_FOLDER = 36
"""Longest folder, in bytes, in which sockets are made: the names below it have up to 71."""
_server_lock = threading.Lock()


def context() -> Any:
    """A multiprocessing context whose processes share no state with the caller.

    They are forked from a server that has already imported torch, which saves seconds each.
    """
    # Not "fork": the caller may hold threads and locks, which a fork would copy in any state.
    # Not "spawn": every process would import torch again.
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["latentedit.benchmark.execution.preloaded"])
    return server


def ensure_server() -> None:
    """Start the server from which processes are forked; this takes seconds.

    Its socket is in a folder that names this process, so that a later one can remove what a kill
    left. The name of a socket may have 107 bytes: a long TMPDIR is passed over.
    """
    with _server_lock:
        before = tempfile.tempdir
        try:
            tempfile.tempdir = _socket_folder()
            context()
            forkserver.ensure_running()
        finally:
            tempfile.tempdir = before


@cache
def _socket_folder() -> str:
    parents = [tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"]  # noqa: S108
    short = [Path(p) for p in parents if len(os.fsencode(p)) <= SOCKET_FOLDER and os.access(p, 3)]
    if not short:
        raise EnvironmentFault(
            f"the folder for temporary files has a name of {len(parents[0])} characters, too long "
            f"for a socket: {parents[0]}; set TMPDIR to a folder with a shorter name"
        )
    _remove_left_behind(short[0])
    folder = tempfile.mkdtemp(prefix=f"{SOCKETS}{os.getpid()}-", dir=short[0])
    # After multiprocessing has removed its own folder in it, which has priority -100.
    util.Finalize(None, shutil.rmtree, args=(folder, True), exitpriority=-200)
    return folder


def _remove_left_behind(parent: Path) -> None:
    """Remove the sockets of processes that have ended without removing them, and their folders.

    Nothing but sockets and empty folders is removed.
    """
    for folder in parent.glob(f"{SOCKETS}*-*"):
        pid = folder.name.removeprefix(SOCKETS).partition("-")[0]
        with suppress(OSError, ValueError):
            if folder.lstat().st_uid == os.getuid() and not _alive(int(pid)):
                for path in sorted(folder.rglob("*"), reverse=True):
                    (path.unlink if path.is_socket() else path.rmdir)()
                folder.rmdir()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def start(process: Any) -> None:
    """Start a process of `context`.

    Raises:
        EnvironmentFault: the server from which it is to be forked was ended.
    """
    ensure_server()
    try:
        process.start()
    except (EOFError, OSError) as error:
        raise EnvironmentFault(
            f"the server from which processes are forked has ended ({told(error)}); finished cells "
            "are kept, run the same command again"
        ) from error


def end_with_parent(parent: int) -> None:
    """End this process when its parent ends (Linux only). Call it right after the fork."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have ended before prctl took effect; then the signal will never come.
    if os.getppid() != parent:
        os._exit(1)


def end_with_pipe(pipe: Connection) -> None:
    """End this process when the other end of `pipe` is closed."""

    def listen() -> None:
        with suppress(EOFError, OSError):
            pipe.recv()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=listen, daemon=True).start()


def exit_reason(code: int) -> str:
    """An exit code of `multiprocessing` in words; a negative code is a signal."""
    if code < 0:
        return f"the process was ended by {signal.Signals(-code).name}"
    return f"the process exited with code {code}"


def own_memory(pid: int) -> int:
    """Anonymous memory of a process in bytes; 0 if the system does not report it.

    Pages backed by files are left out: the kernel can drop them, and all cells share them.
    """
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def machine_memory() -> int:
    """Memory of this machine in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def thread_count() -> int | None:
    """Threads of this process, with those of libraries; None if the system does not report them."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.is_dir() else None


def in_process(
    target: Callable[..., None], args: tuple[Any, ...], progress: Callable[[float, str], None]
) -> None:
    """Call ``target(*args, pipe)`` in a fresh process, and raise the error that it sends.

    Raises:
        EnvironmentFault: the process ended without sending an error.
    """
    ours, theirs = multiprocessing.Pipe()
    process = context().Process(target=target, args=(*args, theirs), daemon=True)
    start(process)
    # With our copy closed, the end of the process closes the pipe and `recv` raises EOFError.
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
                f"{exit_reason(process.exitcode)} before its work was done. Its output is above. "
                "Run the same command again."
            ) from None
    finally:
        process.kill()
        process.join()
