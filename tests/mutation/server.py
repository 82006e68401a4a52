"""A process that has loaded the libraries, and runs pytest in a fork of itself for each request.

A request is a line of JSON on standard input: `pytest` arguments, a limit in seconds, another for
one test of each file, and a file for the lines that tests run. An answer is a line on standard
output. Nothing of the code under test is loaded here. Each fork reads it anew, and so does every
process that a test starts, by the ``PYTHONPATH`` that this one was started with.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import importlib.util
import json
import os
import shutil
import signal
import sys
import time
import types
from pathlib import Path
from typing import Any

TICK = 0.02
"""How often a fork is looked at, in seconds."""
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
"""Of prctl(2)."""


class Watcher:
    """What pytest tells while it runs: the tests that failed, and seconds of each.

    With a file for it, also the lines of code that each test runs in this process.
    """

    def __init__(self, lines: str, limits: dict[str, float]) -> None:
        self.failed: list[str] = []
        self.seconds: dict[str, float] = {}
        self.passed = 0
        self.coverage = _coverage(lines) if lines else None
        self.limits = limits

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        file = nodeid.partition("::")[0]
        signal.setitimer(signal.ITIMER_REAL, self.limits.get(file, 0))
        if self.coverage:
            self.coverage.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed and report.nodeid not in self.failed:
            self.failed.append(report.nodeid)
        self.passed += report.when == "call" and report.passed

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_unconfigure(self) -> None:
        if self.coverage:
            self.coverage.stop()
            self.coverage.save()


def _coverage(file: str) -> Any:
    """Begun, of all code of the copy but its tests."""
    from coverage import Coverage

    found = Coverage(data_file=file, config_file=False, source=["."], omit=["tests/*"])
    found.set_option("run:relative_files", True)
    found.start()
    return found


def main() -> None:
    """Serve until standard input ends."""
    request = json.loads(sys.stdin.readline())
    sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() != Path(__file__).parent]
    sys.dont_write_bytecode = True
    if sys.platform == "linux":  # what a test starts and leaves behind comes to us, to be ended
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, _leave)
    for module in request["preload"]:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    wrong = _elsewhere(request["packages"], Path(request["copy"]))
    if loaded := [name for name in request["packages"] if name in sys.modules]:
        wrong += f"already loaded: {', '.join(loaded)}"
    gc.freeze()
    _answer({"ready": not wrong, "wrong": wrong})
    for line in sys.stdin:
        _answer(_run(request["copy"], json.loads(line)))


def _leave(*_: object) -> None:
    """End with all that was started."""
    for group in _children():
        _end(group)
        _end_orphans(group)
    os._exit(1)


def _elsewhere(packages: list[str], copy: Path) -> str:
    """What would not be read from the copy."""
    found = {name: importlib.util.find_spec(name) for name in packages}
    return "".join(
        f"{name} would be read from {spec.origin}. "
        for name, spec in found.items()
        if spec and spec.origin and not Path(spec.origin).resolve().is_relative_to(copy.resolve())
    )


def _answer(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _run(copy: str, request: dict[str, Any]) -> dict[str, Any]:
    scratch = Path(request["scratch"])
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        _test(copy, request, scratch)
    code, timed_out = None, False
    while code is None:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            timed_out = code == -signal.SIGALRM
        elif time.monotonic() - started > request["limit"]:
            timed_out, code = True, -signal.SIGKILL
            _end(child)
            os.waitpid(child, 0)
        else:
            time.sleep(TICK)
    seconds = time.monotonic() - started
    _end_orphans(child)
    told: dict[str, Any] = {"failed": [], "seconds": {}, "passed": 0}
    with contextlib.suppress(OSError, ValueError):
        told = json.loads((scratch / "told.json").read_text())
    output = ""
    with contextlib.suppress(OSError):
        output = (scratch / "output").read_text(errors="replace")[-4000:]
    shutil.rmtree(scratch, ignore_errors=True)
    return told | {"code": code, "timed_out": timed_out, "wall": seconds, "output": output}


def _test(copy: str, request: dict[str, Any], scratch: Path) -> None:
    """The fork: never returns."""
    code = 70
    try:
        for number in (signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.chdir(copy)
        with (scratch / "output").open("wb") as output, open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        sys.stdin, sys.stdout, sys.stderr = (
            open(number, mode, closefd=False)  # noqa: SIM115
            for number, mode in ((0, "r"), (1, "w"), (2, "w"))
        )
        (scratch / "tmp").mkdir()
        os.environ["TMPDIR"] = str(scratch / "tmp")
        sys.argv = ["pytest"]
        sys.modules["__main__"] = types.ModuleType("__main__")  # read anew by processes of tests
        import pytest

        watcher = Watcher(request["lines"], request["limits"])
        base = f"--basetemp={scratch / 'base'}"
        code = int(pytest.main([*request["arguments"], base], plugins=[watcher]))
        told = {"failed": watcher.failed, "seconds": watcher.seconds, "passed": watcher.passed}
        (scratch / "told.json").write_text(json.dumps(told))
        sys.stdout.flush()
    finally:
        os._exit(code)


def _end(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _end_orphans(group: int) -> None:
    """End every process that descends from this one, until there is none."""
    if sys.platform != "linux":
        _end(group)
    while children := _children():
        for pid in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _children() -> list[int]:
    """Of this process, as /proc tells."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = stat.read_text(errors="replace").rpartition(")")[2].split()[1]
            if int(parent) == os.getpid():
                found.append(int(stat.parent.name))
    return found


if __name__ == "__main__":
    main()
