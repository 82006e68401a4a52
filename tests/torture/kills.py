"""Stops commands at random points, and looks at what they leave behind.

    python tests/torture/kills.py --kills 50

Each command (bank make, fit, edit, import, fetch, invert, bench run) is killed, interrupted and
terminated. After every stop the target is absent or complete to the byte, and beside it lies at
most one unfinished thing of each name. Of a run this holds for its bank, its records and each of
its cells, and no finished cell is written again. At last the same command runs through, and nothing
else remains. Half of the stops come at a random moment, half just before a random operation on
files. An interrupted command ends with 130 and a terminated one with 143.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatch
from importlib import import_module
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import pickles
import torch
import toy_networks
import toy_photos
from file_server import Served, serving
from processes_of import family

import latentedit_linear
import latentedit_styleflow
import latentedit_stylegan
from latentedit import Registry, fit_editor, make_bank
from latentedit.benchmark.execution.processes import ensure_server
from latentedit.cli import interrupts, main
from latentedit.downloads.catalogue import PublishedNetwork

Tree = dict[str, str]
"""Path in a folder → sha256."""
SUITE: dict[str, Any] = {
    "name": "small",
    "bank": {"generator": "toy", "labeller": "toy-labeller", "n_fit": 60, "n_test": 8},
    "judge": "toy-judge",
    "identity": ["toy-identity"],
    "editors": {"exact": {"plugin": "exact"}, "leaky": {"plugin": "leaky"}},
    "controls": [],
    "tasks": [{"attribute": "age", "change": 10}, {"attribute": "glasses", "change": "flip"}],
    "sequences": [{"name": "both", "edits": ["age", "glasses"]}],
    "show_images": 2,
}


@dataclass
class Command:
    """A command that writes to a folder.

    Args:
        arguments: of the command line; the folder is where it runs.
        target: what it writes there, a file or a folder.
        remains: files beside the target that a complete run leaves too.
        resumes: files that a killed run may leave, to go on from.
        again: a whole target is accepted, and what is left beside it is removed.
        timed: patterns of files that record how long something took, or for whom, so that their
            bytes differ.
        parts: of a target that grows: patterns of folders in it that are whole or absent.
        grows: files of the target that say how far it is, so that only a whole run has the last
            content of them.
    """

    arguments: tuple[str, ...]
    target: str
    remains: frozenset[str] = frozenset()
    resumes: frozenset[str] = frozenset()
    again: bool = False
    timed: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    grows: frozenset[str] = frozenset()

    def run(self) -> int:
        """The exit code of the command."""
        sys.argv = ["latentedit", *self.arguments]
        try:
            main.main()
        except SystemExit as error:
            return error.code if isinstance(error.code, int) else 1
        return 0

    def tree(self, folder: Path) -> Tree:
        """Every file, and every empty folder, which has no hash; nor have timed files."""
        return {
            name: "" if any(fnmatch(name, pattern) for pattern in self.timed) else digest
            for name, digest in tree(folder).items()
        }

    def part(self, name: str) -> str:
        """What is there as a whole or not at all, of which the file `name` in the target is one."""
        ends = [at for at, sign in enumerate(name) if sign == "/"]
        prefixes = [name[:end] for end in ends]
        whole = (p for p in prefixes if any(fnmatch(p, pattern) for pattern in self.parts))
        return next(whole, name) if self.parts else self.target

    def within(self, found: Tree) -> Tree:
        """The files of the target."""
        return {
            k: v for k, v in found.items() if k == self.target or k.startswith(self.target + "/")
        }

    def is_there(self, folder: Path, whole: Tree) -> bool:
        """Whether the target is there, and nothing of it is missing."""
        expected = set(self.within(whole) if self.parts else ())
        return (folder / self.target).exists() and expected <= set(tree(folder))


@dataclass
class Outcome:
    """What was seen after the kills.

    Args:
        kills: processes that were stopped; others had ended before.
        complete: of these, how often the target was there, and whole.
        most_left: unfinished things beside the target, at most.
        faults: what should never be.
    """

    kills: int = 0
    complete: int = 0
    most_left: int = 0
    faults: list[str] = field(default_factory=list)


class Undisturbed(NamedTuple):
    """What a run writes that nobody stops, how long it takes, and its operations on files."""

    whole: Tree
    seconds: float
    operations: int


def torture(
    command: Command, alone: Undisturbed, folder: Path, kills: int, rng: random.Random, number: int
) -> Outcome:
    """Stop `command` so many times by a signal in one folder, then let it run through."""
    whole = alone.whole
    folder.mkdir()
    outcome = Outcome()
    while outcome.kills < kills:
        before = written(folder)
        if outcome.kills % 2:
            killed = run_forked(command, folder, number, moment=rng.uniform(0, alone.seconds))
        else:
            killed = run_forked(command, folder, number, operation=rng.randint(1, alone.operations))
        outcome.kills += killed
        settle()
        examine(command, folder, whole, outcome)
        again = {name for name, when in written(folder).items() if before.get(name, when) != when}
        outcome.faults += [f"written again: {sorted(again)}"] if again else []
        if command.is_there(folder, whole):
            outcome.complete += killed
            if command.again:
                finish(command, folder, whole, outcome)
            remove(folder, command)
    finish(command, folder, whole, outcome)
    return outcome


def finish(command: Command, folder: Path, whole: Tree, outcome: Outcome) -> None:
    """Run through: what was left unfinished is gone then."""
    run_forked(command, folder)
    if command.tree(folder) != whole:
        outcome.faults.append(f"a whole run differs in {differing(command.tree(folder), whole)}")


def rehearse(command: Command, folder: Path) -> Undisturbed:
    """A run that nobody stops.

    It runs once here before, so that no kill is spent on the loading of modules; but for a run,
    which loads them in processes of its own.
    """
    (folder / "first").mkdir(parents=True)
    if not command.parts:
        with _silently(folder / "first"):
            command.run()
    folder = folder / "second"
    folder.mkdir()
    reading, writing = os.pipe()
    started = time.perf_counter()
    run_forked(command, folder, report=writing)
    os.close(writing)
    with os.fdopen(reading) as told:
        operations = int(told.read())
    return Undisturbed(command.tree(folder), time.perf_counter() - started, operations)


def run_forked(
    command: Command,
    folder: Path,
    number: int = signal.SIGKILL,
    *,
    moment: float | None = None,
    operation: int | None = None,
    report: int | None = None,
) -> bool:
    """Run `command` in a process of its own; return whether it was stopped.

    Args:
        number: of the signal.
        moment: seconds after which it comes.
        operation: on files in `folder`, before which it comes.
        report: where to write how many operations there were.
    """
    # A signal waits until the process answers it.
    signal.pthread_sigmask(signal.SIG_BLOCK, interrupts.SIGNALS)
    process = os.fork()
    if not process:
        _work(command, folder, (operation, number), report)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, interrupts.SIGNALS)
    if moment is not None:
        time.sleep(moment)
        os.kill(process, number)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    stopped = -number if number == signal.SIGKILL else 128 + number
    if status not in (0, stopped):
        raise SystemExit(f"{' '.join(command.arguments)} ended with {status} in {folder}")
    return status != 0


def _work(command: Command, folder: Path, stop: tuple[int | None, int], report: int | None) -> None:
    """What the process does; never returns."""
    status = 1
    try:
        interrupts.begin(is_program=True)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, interrupts.SIGNALS)
        with _silently(folder):
            seen = _count_operations(folder, *stop)
            status = command.run()
        if report is not None:
            os.write(report, str(seen()).encode())
    finally:
        os._exit(status)


@contextmanager
def _silently(folder: Path) -> Iterator[None]:
    """Work in `folder`, and say nothing."""
    home, spoken = Path.cwd(), [os.dup(1), os.dup(2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.chdir(folder)
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        yield
    finally:
        os.chdir(home)
        for stream, before in enumerate(spoken, 1):
            os.dup2(before, stream)
        for handle in (nowhere, *spoken):
            os.close(handle)


def _count_operations(folder: Path, last: int | None, number: int) -> Callable[[], int]:
    """Count what this process does to files in `folder`; stop it before the last one."""
    count, inside = 0, str(folder)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event != "open" and not event.startswith(("os.", "shutil.")):
            return
        named = [os.fspath(a) for a in arguments if isinstance(a, str | Path)]
        if any(os.path.abspath(name).startswith(inside) for name in named):
            count += 1
            if count == last:
                os.kill(os.getpid(), number)

    sys.addaudithook(hook)
    return lambda: count


def examine(command: Command, folder: Path, whole: Tree, outcome: Outcome) -> None:
    """Look at what lies in `folder` after a kill."""
    found, target = command.tree(folder), command.target
    unfinished = {name for name in found if ".unfinished." in name}
    empty = {name for name in found if command.parts and (folder / name).is_dir()}
    left_out = unfinished | empty | command.grows
    of_target = {k: v for k, v in command.within(found).items() if k not in left_out}
    parts = {command.part(name) for name in of_target}
    expected = {k: v for k, v in command.within(whole).items() if command.part(k) in parts}
    if of_target != expected:
        outcome.faults.append(f"{target} differs in {differing(of_target, expected)}")
    beside = {name.split("/")[0] if "/" not in target else name for name in found}
    beside = {name for name in beside if name not in unfinished} | set(map(_unfinished, unfinished))
    others = beside - {target.split("/")[0], target} - command.remains - command.resumes
    if strange := sorted(name for name in others if ".unfinished." not in name):
        outcome.faults.append(f"left behind: {strange}")
    per_name = Counter(name.partition(".unfinished.")[0] for name in others)
    outcome.most_left = max(outcome.most_left, len(others))
    if any(number > 1 for number in per_name.values()):
        outcome.faults.append(f"unfinished things heap up: {sorted(others)}")


def tree(folder: Path) -> Tree:
    """Every file, and every empty folder, which has no hash."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else ""
        for path in sorted(folder.rglob("*"))
        if path.is_file() or (path.is_dir() and not any(path.iterdir()))
    }


def differing(found: Tree, expected: Tree) -> list[str]:
    """The files that are missing, too many, or have other bytes."""
    return sorted({name for name, _ in found.items() ^ expected.items()})


def _unfinished(name: str) -> str:
    """The unfinished file or folder to which `name` belongs."""
    names = name.split("/")
    return "/".join(names[: next(i for i, n in enumerate(names, 1) if ".unfinished." in n)])


def written(folder: Path) -> dict[str, tuple[int, int]]:
    """By cell that has ended, what changes whenever it is written again."""
    return {
        path.parent.name: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.glob("*/cells/[!.]*/cell.json")
    }


def remove(folder: Path, command: Command) -> None:
    """Remove what a whole run leaves."""
    for name in (command.target, *command.remains):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def settle() -> None:
    """Wait until all that descends from the stopped process has ended."""
    mine = {os.getpid(), *SERVERS}
    while left := set(family(os.getpid())) - mine:
        for process in left:
            with suppress(ChildProcessError):
                os.waitpid(process, os.WNOHANG)
        time.sleep(0.01)


SERVERS: set[int] = set()
"""Processes of this one that go on."""
_PR_SET_CHILD_SUBREAPER = 36
"""The option of prctl(2) by which what a child leaves behind becomes this process's own."""


def share_server() -> None:
    """Start the server of processes that all runs here use, as each takes seconds to load torch."""
    before = set(family(os.getpid()))
    ensure_server()
    SERVERS.update(set(family(os.getpid())) - before)
    # It would look for the server among the children of the process that calls it.
    module: Any = forkserver
    server = module.connect_to_new_process.__self__
    module.ensure_running = server.ensure_running = lambda: None


@contextmanager
def served(data: bytes) -> Iterator[str]:
    """The address of `data`, served slowly by another process: forks need a single thread here."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        with serving(Served(data, slow=0.005)) as server:
            os.write(writing, server.url.encode())
            signal.pause()
    SERVERS.add(process)
    try:
        yield os.read(reading, 1_000).decode()
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


def commands(folder: Path, url: str, data: bytes) -> dict[str, Command]:
    """The commands, on small inputs that are made in `folder`."""
    toy_photos.write_photos(folder / "photos", 2)
    pickles.write(folder / "n.pkl", pickles.nvidia_pickle(pickles.random_network()))
    sha256 = hashlib.sha256(data).hexdigest()
    toy_networks.NETWORKS["small"] = PublishedNetwork(
        url, 1, "none", "numbers", "none", len(data), sha256, "this script"
    )
    quick = [f"--option={name}" for name in ("pictures=32", "w_steps=20", "rows_steps=10")]
    toy = ("--generator", "toy", "--labeller", "toy-labeller", "--inverter", "optimisation")
    home = "cache/small"
    labelled = ("--generator", "toy", "--labeller", "toy-labeller", "--n", "60", "--test", "8")
    bank = make_bank(registry(), folder / "B", generator="toy", labeller="toy-labeller",
                     n_fit=60, n_test=8)  # fmt: skip
    fit_editor(registry(), "regression", bank).save(folder / "E")
    (folder / "small.yaml").write_text(json.dumps(SUITE))
    small = [f"--option={name}" for name in ("hidden=8", "steps=60", "batch=16")]
    edited = ("--editor", str(folder / "E"), "--bank", str(folder / "B"), "--set", "age+=5")
    return {
        "bank make": Command(("bank", "make", *labelled, "--out", "B"), "B"),
        "fit": Command(
            ("fit", "coupling-flow", "--bank", str(folder / "B"), *small, "--out", "E"),
            "E",
            resumes=frozenset({"E.checkpoint"}),
            timed=("E/config.json", "E/README.md"),
        ),
        "edit": Command(("edit", *edited, "--index", "0..3", "--out", "grid.png"), "grid.png"),
        "import": Command(
            ("import", str(folder / "n.pkl"), "--as", "stylegan2", "--out", "G"), "G"
        ),
        "fetch": Command(
            ("fetch", "small", "--yes", "--out", "cache"),
            f"{home}/network.pkl",
            frozenset({f"{home}/fetched.json"}),
            frozenset({"cache", home, f"{home}/network.pkl.part", f"{home}/network.pkl.part.json"}),
            again=True,
        ),
        "invert": Command(
            ("invert", str(folder / "photos"), *toy, *quick, "--out", "code"), "code"
        ),
        "bench run": Command(
            ("bench", "run", str(folder / "small.yaml"), "--out", "run", "--workers", "1"),
            "run",
            timed=(
                *("run/run.lock", "run/costs.json", "run/report/*", "*/cell.json"),
                *("*/editor/config.json", "*/editor/README.md"),
            ),
            parts=("run/bank", "run/cells/*"),
            grows=frozenset({"run/run.json"}),
        ),
    }


def registry() -> Registry:
    found = toy_photos.registry()
    for plugin in (latentedit_stylegan, latentedit_styleflow, latentedit_linear):
        found.add(plugin, plugin.__name__)
    found.add(toy_networks.plugin, "networks")
    return found


IMPORTED = (
    "latentedit.benchmark.execution.local",
    "latentedit.benchmark.results.summary",
    "latentedit.report.page",
    "sklearn.metrics",
)
"""What a run imports once its processes are there; here once, in place of once in every fork."""
HOW = {"kill": signal.SIGKILL, "interrupt": signal.SIGINT, "terminate": signal.SIGTERM}


def torture_all() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="of each command, and of each kind")
    parser.add_argument("--how", choices=list(HOW), nargs="+", default=list(HOW))
    parser.add_argument("--command", nargs="+", help="only these commands")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    Registry.discover = staticmethod(registry)  # type: ignore[method-assign]
    data, rng = random.Random(0).randbytes(1_500_000), random.Random(given.seed)
    faults = 0
    share_server()
    for module in IMPORTED:
        import_module(module)
    with tempfile.TemporaryDirectory() as name, served(data) as url:
        for what, command in commands(Path(name), url, data).items():
            if given.command and what not in given.command:
                continue
            alone = rehearse(command, Path(name) / f"{what}-rehearsal")
            for how in given.how:
                folder = Path(name) / f"{what}-{how}"
                outcome = torture(command, alone, folder, given.kills, rng, HOW[how])
                faults += len(outcome.faults)
                print(json.dumps({"command": what, "how": how, **vars(outcome)}), flush=True)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    torture_all()
