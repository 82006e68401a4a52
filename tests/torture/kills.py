"""Kills import, fetch and invert at random points, and looks at what they leave behind.

    python tests/torture/kills.py --kills 50

After every kill the target is absent or complete to the byte, and beside it lies at most one
unfinished thing of each name. At last the same command runs through, and nothing else remains.
Half of the kills come at a random moment, half just before a random operation on files.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import pickles
import torch
import toy_networks
import toy_photos
from file_server import Served, serving

import latentedit_stylegan
from latentedit import Registry
from latentedit.cli.main import cli
from latentedit.downloads.catalogue import PublishedNetwork

Tree = dict[str, str]
"""Path in a folder → sha256."""


@dataclass
class Command:
    """A command that writes to a folder.

    Args:
        arguments: of the command line; the folder is where it runs.
        target: what it writes there, a file or a folder.
        remains: files beside the target that a complete run leaves too.
        resumes: files that a killed run may leave, to go on from.
    """

    arguments: tuple[str, ...]
    target: str
    remains: frozenset[str] = frozenset()
    resumes: frozenset[str] = frozenset()

    def run(self) -> None:
        cli.main(list(self.arguments), standalone_mode=False)


@dataclass
class Outcome:
    """What was seen after the kills.

    Args:
        kills: processes that were killed; others had ended before.
        complete: of these, how often the target was there, and whole.
        most_left: unfinished things beside the target, at most.
        faults: what should never be.
    """

    kills: int = 0
    complete: int = 0
    most_left: int = 0
    faults: list[str] = field(default_factory=list)


def torture(command: Command, folder: Path, kills: int, rng: random.Random) -> Outcome:
    """Kill `command` so many times in one folder, then let it run through."""
    whole, seconds, operations = rehearse(command, folder.with_name(f"{folder.name}-rehearsal"))
    folder.mkdir()
    outcome = Outcome()
    while outcome.kills < kills:
        if outcome.kills % 2:
            killed = run_forked(command, folder, moment=rng.uniform(0, seconds))
        else:
            killed = run_forked(command, folder, operation=rng.randint(1, operations))
        outcome.kills += killed
        examine(command, folder, whole, outcome)
        if (folder / command.target).exists():
            outcome.complete += killed
            if command.resumes:
                finish(command, folder, whole, outcome)
            remove(folder, [command.target, *command.remains])
    finish(command, folder, whole, outcome)
    return outcome


def finish(command: Command, folder: Path, whole: Tree, outcome: Outcome) -> None:
    """Run through: what was left unfinished is gone then."""
    run_forked(command, folder)
    if tree(folder) != whole:
        outcome.faults.append(f"after a whole run: {sorted(tree(folder))}, not {sorted(whole)}")


def rehearse(command: Command, folder: Path) -> tuple[Tree, float, int]:
    """What an undisturbed run writes, how long it takes, and its operations on files.

    It runs once here before, so that no kill is spent on the loading of modules.
    """
    (folder / "first").mkdir(parents=True)
    with _silently(folder / "first"):
        command.run()
    folder = folder / "second"
    folder.mkdir()
    reading, writing = os.pipe()
    started = time.perf_counter()
    run_forked(command, folder, report=writing)
    os.close(writing)
    with os.fdopen(reading) as told:
        return tree(folder), time.perf_counter() - started, int(told.read())


def run_forked(
    command: Command,
    folder: Path,
    *,
    moment: float | None = None,
    operation: int | None = None,
    report: int | None = None,
) -> bool:
    """Run `command` in a process of its own; return whether it was killed.

    Args:
        moment: seconds after which it is killed.
        operation: on files in `folder`, before which it is killed.
        report: where to write how many operations there were.
    """
    process = os.fork()
    if not process:
        _work(command, folder, operation, report)
    if moment is not None:
        time.sleep(moment)
        os.kill(process, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if status not in (0, -signal.SIGKILL):
        raise SystemExit(f"{' '.join(command.arguments)} failed in {folder}")
    return status != 0


def _work(command: Command, folder: Path, operation: int | None, report: int | None) -> None:
    """What the process does; never returns."""
    status = 1
    try:
        with _silently(folder):
            seen = _count_operations(folder, operation)
            command.run()
        if report is not None:
            os.write(report, str(seen()).encode())
        status = 0
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


def _count_operations(folder: Path, last: int | None) -> Callable[[], int]:
    """Count what this process does to files in `folder`; kill it before the last one."""
    count, inside = 0, str(folder)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event != "open" and not event.startswith(("os.", "shutil.")):
            return
        named = [os.fspath(a) for a in arguments if isinstance(a, str | Path)]
        if any(os.path.abspath(name).startswith(inside) for name in named):
            count += 1
            if count == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return lambda: count


def examine(command: Command, folder: Path, whole: Tree, outcome: Outcome) -> None:
    """Look at what lies in `folder` after a kill."""
    found, target = tree(folder), command.target
    of_target = {k: v for k, v in found.items() if k == target or k.startswith(f"{target}/")}
    expected = {k: v for k, v in whole.items() if k in of_target or k.startswith(f"{target}/")}
    if of_target and of_target != expected:
        outcome.faults.append(f"{target} holds {sorted(of_target)}, not {sorted(expected)}")
    beside = {name.split("/")[0] if "/" not in target else name for name in found}
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


def remove(folder: Path, names: list[str]) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        name = str(path.relative_to(folder))
        if any(name == target or name.startswith(f"{target}/") for target in names):
            path.rmdir() if path.is_dir() else path.unlink()


@contextmanager
def served(data: bytes) -> Iterator[str]:
    """The address of `data`, served slowly by another process: forks need a single thread here."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        with serving(Served(data, slow=0.005)) as server:
            os.write(writing, server.url.encode())
            signal.pause()
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
    return {
        "import": Command(("import", str(folder / "n.pkl"), "--out", "G"), "G"),
        "fetch": Command(
            ("fetch", "small", "--yes", "--out", "cache"),
            f"{home}/network.pkl",
            frozenset({f"{home}/fetched.json"}),
            frozenset({"cache", home, f"{home}/network.pkl.part", f"{home}/network.pkl.part.json"}),
        ),
        "invert": Command(
            ("invert", str(folder / "photos"), *toy, *quick, "--out", "code"), "code"
        ),
    }


def registry() -> Registry:
    found = toy_photos.registry()
    found.add(latentedit_stylegan, "stylegan")
    found.add(toy_networks.plugin, "networks")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    Registry.discover = staticmethod(registry)  # type: ignore[method-assign]
    data, rng = random.Random(0).randbytes(1_500_000), random.Random(given.seed)
    faults = 0
    with tempfile.TemporaryDirectory() as name, served(data) as url:
        for what, command in commands(Path(name), url, data).items():
            outcome = torture(command, Path(name) / what, given.kills, rng)
            faults += len(outcome.faults)
            print(json.dumps({"command": what, **vars(outcome)}), flush=True)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
