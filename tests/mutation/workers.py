"""Copies of the checkout, each with a server, in which mutants are tried."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from mutation.plan import Plan

SERVER = Path(__file__).parent / "server.py"
OPTIONS = ["-x", "-q", "--tb=short"] + [
    word for name in ("randomly", "cacheprovider", "xdist") for word in ("-p", f"no:{name}")
]
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
LEFT_OUT = {".git", ".venv", "__pycache__", "runs", "build", "dist", "node_modules"}


class Worker:
    """One copy and its server, which is started anew where it ends."""

    def __init__(self, root: Path, folder: Path, plan: Plan) -> None:
        self.root, self.plan = root, plan
        self.copy, self.scratch = folder / "c", folder / "s"
        copy_checkout(root, self.copy, plan.built)
        self.server: subprocess.Popen[str] | None = None

    def run(
        self,
        tests: Iterable[str],
        limit: float,
        *,
        leave_out: Iterable[str] = (),
        stop: bool,
        lines: Path | None = None,
        limits: Mapping[str, float] | None = None,
    ) -> dict[str, Any]:
        """What pytest made of some tests, or files of them.

        Args:
            stop: at the first failure.
            lines: a file that is to say, as `coverage` does, which lines each test runs.
            limits: by test file, the seconds that one of its tests may take.
        """
        options = OPTIONS if stop else OPTIONS[1:]
        deselected = [f"--deselect={name}" for name in leave_out]
        request = {
            "arguments": [*options, *deselected, *tests],
            "limit": limit,
            "lines": str(lines or ""),
            "limits": dict(limits or {}),
            "scratch": str(self.scratch),
        }
        server = self.server or self._start()
        assert server.stdin
        assert server.stdout
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        if answer := server.stdout.readline():
            return dict(json.loads(answer))
        self.close()
        return {
            "code": -1,
            "failed": [],
            "seconds": {},
            "passed": 0,
            "timed_out": False,
            "wall": 0.0,
            "output": "the server ended",
            "lost": True,
        }

    @contextlib.contextmanager
    def with_code(self, path: str, code: str) -> Iterator[None]:
        """Other code in a file of the copy, for a while. With a fault a test may remove files."""
        file = self.copy / path
        before = file.read_bytes()
        file.write_text(code, encoding="utf-8")
        try:
            yield
        finally:
            if all((self.copy / name).is_file() for name in kept(self.root)):
                file.write_bytes(before)
            else:
                self.close()
                copy_checkout(self.root, self.copy, self.plan.built)

    def close(self) -> None:
        if self.server:
            for pipe in (self.server.stdin, self.server.stdout):
                with contextlib.suppress(OSError):
                    if pipe:
                        pipe.close()
            self.server.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.server.wait(10)
            self.server.kill()
            self.server.wait()
            self.server = None

    def _start(self) -> subprocess.Popen[str]:
        paths = [str(self.copy / folder) for folder in self.plan.import_from]
        kept = os.environ.get("PYTHONPATH")
        environment = (
            os.environ
            | ONE_THREAD
            | {
                "PYTHONPATH": os.pathsep.join([*paths, kept] if kept else paths),
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONHASHSEED": "0",
            }
        )
        self.server = subprocess.Popen(
            [sys.executable, str(SERVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self.copy,
            env=environment,
            start_new_session=True,
        )
        assert self.server.stdin
        assert self.server.stdout
        told = {
            "preload": self.plan.preload,
            "packages": self.plan.packages,
            "copy": str(self.copy),
        }
        self.server.stdin.write(json.dumps(told) + "\n")
        self.server.stdin.flush()
        answer = json.loads(self.server.stdout.readline() or '{"wrong": "the server ended"}')
        if answer["wrong"]:
            self.close()
            raise SystemExit(f"mutants cannot be tried: {answer['wrong']}")
        return self.server


class Pool:
    """Workers side by side. Use it as a context: the copies are gone afterwards."""

    def __init__(self, root: Path, plan: Plan, count: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mutants-"))
        self.workers = [Worker(root, self.folder / str(i), plan) for i in range(count)]

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def each(self, jobs: Iterable[Any], work: Callable[[Worker, Any], Any]) -> Iterator[Any]:
        """``work(worker, job)`` for each job, in the order in which they end."""
        waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        done: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        for job in jobs:
            waiting.put(job)
        stopped = threading.Event()

        def serve(worker: Worker) -> None:
            try:
                while not stopped.is_set():
                    done.put(("done", work(worker, waiting.get_nowait())))
            except queue.Empty:
                done.put(("over", None))
            except BaseException as error:
                done.put(("error", error))
            else:
                done.put(("over", None))

        threads = [threading.Thread(target=serve, args=(w,), daemon=True) for w in self.workers]
        for thread in threads:
            thread.start()
        running = len(threads)
        try:
            while running:
                what, value = done.get()
                if what == "error":
                    raise value
                if what == "done":
                    yield value
                else:
                    running -= 1
        finally:
            stopped.set()


def copy_checkout(root: Path, target: Path, built: Iterable[str]) -> None:
    """What git keeps or would, what was `built`, and the names under which plugins are found."""
    ignored = {p.relative_to(root).as_posix() for pattern in built for p in root.glob(pattern)}
    for path in sorted(ignored.union(kept(root))):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / path, target / path)
    _name_plugins(target)


def kept(root: Path) -> list[str]:
    """Files of a checkout: what git keeps or would."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    found = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    if found.returncode == 0 and found.stdout:
        paths = found.stdout.split("\0")
    else:
        paths = list(_walked(root))
    return [path for path in paths if path and (root / path).is_file()]


def _walked(root: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in LEFT_OUT and name[:1] != "."]
        for name in names:
            yield (Path(folder) / name).relative_to(root).as_posix()


def _name_plugins(target: Path) -> None:
    """Entry points of the copy, where the project is not installed."""
    project = target / "pyproject.toml"
    said = tomllib.loads(project.read_text(encoding="utf-8")) if project.is_file() else {}
    if not (groups := said.get("project", {}).get("entry-points")):
        return
    name = said["project"]["name"]
    with contextlib.suppress(metadata.PackageNotFoundError):
        metadata.distribution(name)
        return
    source = target / said["tool"]["hatch"]["version"]["path"]
    found = re.search(r'^__version__ = "(.+)"', source.read_text(encoding="utf-8"), re.MULTILINE)
    version = found[1] if found else "0"
    folder = target / f"{name}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8"
    )
    lines = [
        line
        for group, names in groups.items()
        for line in (f"[{group}]", *(f"{key} = {value}" for key, value in names.items()), "")
    ]
    (folder / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
