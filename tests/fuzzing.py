"""Reads mutants of every kind of file, and counts what should never be.

    python tests/fuzzing.py --count 1000000

Every mutant is read, or refused with one of the project's own errors. Counted are other exceptions,
mutants that take more than a second of processor time, and those that take more than 64 MiB over
their own size. The first of each are kept. Each share of the mutants has a process of its own.
Prints a table with a line a kind; ends with 1 if anything was counted.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
from fuzz_kinds import KINDS, Kind, made_once

from latentedit import LatentEditError

SECONDS, STUCK = 1.0, 20.0
OVER_SIZE = 64 << 20
WARM = 20
"""Mutants that a process reads first, uncounted: what they import is no cost of later ones."""
SHARE = 5_000
"""Mutants of a process, at most."""
MOST_KEPT = 5
"""Files of each kind."""
MEMORY = Path("/dev/shm")
"""Files here are written to no disk, which takes longer than to read them."""
CLEAR, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


class Stuck(BaseException):
    """A mutant took more than `STUCK` seconds of processor time."""


@dataclass
class Found:
    """What was counted of one kind.

    Args:
        read: mutants that were accepted.
        foreign: other exceptions than the project's own, or own errors that blame no input.
        slow, large: over a second, over 64 MiB.
        slowest, largest: seconds and bytes.
        seconds: of the processor, for all mutants.
        kept: files of the first of each.
    """

    kind: str
    mutants: int = 0
    read: int = 0
    foreign: int = 0
    slow: int = 0
    large: int = 0
    slowest: float = 0.0
    largest: int = 0
    seconds: float = 0.0
    kept: list[str] = field(default_factory=list)

    @property
    def faults(self) -> int:
        return self.foreign + self.slow + self.large

    def add(self, other: Found) -> None:
        """Count what another process found of the same or another kind."""
        for name in ("mutants", "read", "foreign", "slow", "large", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.slowest = max(self.slowest, other.slowest)
        self.largest = max(self.largest, other.largest)
        self.kept += other.kept

    def line(self) -> str:
        """A line under `HEADER`."""
        counts = (self.mutants, self.read, self.foreign, self.slow, self.large)
        return (
            f"{self.kind:32}"
            + "".join(f"{count:>11,}" for count in counts)
            + (f"{self.slowest:>11.3f}{self.largest / 2**20:>11.1f}{self.seconds:>11,.0f}")
        )


HEADER = f"{'kind':32}" + "".join(
    f"{name:>11}"
    for name in ("mutants", "read", "foreign", "over 1 s", "over 64 M", "slowest s", "most MiB",
                 "core-s")
)  # fmt: skip


@dataclass(frozen=True)
class Share:
    """Mutants that one process reads: `count` of `kind`, from `seed`."""

    kind: str
    count: int
    seed: int
    keep: Path


def shares(kinds: Sequence[str], count: int, seed: int, keep: Path) -> list[Share]:
    """`count` mutants, the same number of each kind or one more, in shares of equal seeds."""
    found = []
    for i, kind in enumerate(kinds):
        left = count // len(kinds) + (i < count % len(kinds))
        for number in range(-(-left // SHARE)):
            found.append(Share(kind, min(SHARE, left - number * SHARE), seed + number, keep))
    return found


def fuzz(share: Share, folder: Path) -> Found:
    """Read the mutants of a share, each as a file in an empty folder."""
    kind, found = KINDS[share.kind](folder), Found(share.kind)
    signal.signal(signal.SIGPROF, _stuck)
    for data in islice(kind.mutants(-1 - share.seed), WARM):
        _try(kind, data, Found(share.kind))
    for i, data in enumerate(islice(kind.mutants(share.seed), share.count)):
        fault = _try(kind, data, found)
        if fault and len(found.kept) < MOST_KEPT:
            share.keep.mkdir(parents=True, exist_ok=True)
            name = share.kind.replace("/", "-").replace(" ", "-")
            place = share.keep / f"{name}-{share.seed}-{i}"
            place.write_bytes(data)
            found.kept.append(f"{place}: {fault}")
    return found


def _try(kind: Kind, data: bytes, found: Found) -> str:
    """Read one mutant; what is wrong with that, in words."""
    kind.file.write_bytes(data)
    before, started = _most_memory(clear=True), time.process_time()
    signal.setitimer(signal.ITIMER_PROF, STUCK)
    fault = ""
    found.mutants += 1
    try:
        kind.read(kind.file)
        found.read += 1
    except LatentEditError as error:
        if error.exit_code != 2 or not str(error):
            fault = f"{type(error).__name__} with exit code {error.exit_code}: {error}"
    except Stuck:
        fault = f"more than {STUCK} s"
    except Exception as error:
        fault = f"{error!r}"[:300]
    signal.setitimer(signal.ITIMER_PROF, 0)
    seconds = time.process_time() - started
    over = _most_memory() - before - len(data)
    found.foreign += bool(fault)
    found.slow += seconds > SECONDS
    found.large += over > OVER_SIZE
    found.seconds += seconds
    found.slowest, found.largest = max(found.slowest, seconds), max(found.largest, over)
    if seconds > SECONDS:
        fault += f" {seconds:.1f} s"
    if over > OVER_SIZE:
        fault += f" {over >> 20} MiB"
    return fault


def _most_memory(*, clear: bool = False) -> int:
    """Bytes that this process held at most since the last clearing; since it began where the
    system does not clear, so that only a mutant that takes more than all before is seen."""
    if not CLEAR.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    if clear:
        CLEAR.write_text("5")
    text = STATUS.read_text()
    return int(text[text.index("VmHWM") :].split(maxsplit=2)[1]) << 10


def _stuck(*_: object) -> None:
    raise Stuck


def fuzz_all(waiting: list[Share], workers: int) -> Iterator[Found]:
    """What each share found, as its process ends."""
    processes = multiprocessing.get_context("fork")
    running: dict[Connection, tuple[BaseProcess, Share]] = {}
    while waiting or running:
        while waiting and len(running) < workers:
            receiving, sending = processes.Pipe(duplex=False)
            share = waiting.pop(0)
            process = processes.Process(target=_work, args=(share, sending))
            process.start()
            sending.close()
            running[receiving] = process, share
        for ready in wait(list(running)):
            assert isinstance(ready, Connection)
            process, share = running.pop(ready)
            try:
                yield ready.recv()
            except EOFError:
                process.join()
                yield Found(share.kind, foreign=1, kept=[f"{share} ended with {process.exitcode}"])


def _work(share: Share, sending: Connection) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        sending.send(fuzz(share, Path(folder)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000_000, help="of all kinds together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--kind", choices=list(KINDS), nargs="+", default=list(KINDS))
    parser.add_argument("--keep", type=Path, default=Path("runs/fuzzing"), help="for what is found")
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    made_once()
    found = {name: Found(name) for name in given.kind}
    for part in fuzz_all(shares(given.kind, given.count, given.seed, given.keep), given.workers):
        found[part.kind].add(part)
        for fault in part.kept:
            print(f"{part.kind}: {fault}", file=sys.stderr, flush=True)
    total = Found("all")
    print(HEADER)
    for kind in found.values():
        total.add(kind)
        print(kind.line())
    print(total.line())
    sys.exit(1 if total.faults or total.mutants != given.count else 0)


if __name__ == "__main__":
    main()
