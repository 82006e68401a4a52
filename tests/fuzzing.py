"""Reads mutants of every kind of file, and counts what should never be.

    python tests/fuzzing.py --count 1000000

Every mutant is read, or refused with one of the project's own errors. Counted are other exceptions,
mutants that take more than a second of processor time, and those that take more than 64 MiB over
their own size. The first of each is kept. Prints one line of JSON a kind; ends with 1 if anything
was counted.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from fuzz_kinds import KINDS, Kind

from latentedit import LatentEditError

SECONDS, STUCK = 1.0, 20.0
OVER_SIZE = 64 << 20
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Stuck(BaseException):
    """A mutant took more than `STUCK` seconds of processor time."""


@dataclass
class Found:
    """What was counted of one kind.

    Args:
        read: mutants that were accepted.
        foreign: other exceptions than the project's own, or own errors that blame no input.
        slow, large: over a second, over 64 MiB.
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
    kept: list[str] = field(default_factory=list)

    @property
    def faults(self) -> int:
        return self.foreign + self.slow + self.large


def fuzz(name: str, folder: Path, count: int, seed: int, keep: Path) -> Found:
    """Read `count` mutants of the kind `name`."""
    kind, found = KINDS[name](folder), Found(name)
    signal.signal(signal.SIGPROF, _stuck)
    # What the first files import is no cost of theirs.
    warm = min(count, 50)
    for i, data in zip(range(count + warm), kind.mutants(seed), strict=False):
        counted = found if i >= warm else Found(name)
        fault = _try(kind, data, counted)
        if fault and (i >= warm or counted.foreign):
            if i < warm:
                found.mutants, found.foreign = found.mutants + 1, found.foreign + 1
            if len(found.kept) < 5:
                keep.mkdir(parents=True, exist_ok=True)
                place = keep / f"{name.replace('/', '-').replace(' ', '-')}-{seed}-{i}"
                place.write_bytes(data)
                found.kept.append(f"{place}: {fault}")
    return found


def _try(kind: Kind, data: bytes, found: Found) -> str:
    """Read one mutant; what is wrong with that, in words."""
    kind.file.write_bytes(data)
    before, started = _memory("VmRSS", clear=True), time.process_time()
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
    over = _memory("VmHWM") - before - len(data)
    found.foreign += bool(fault)
    found.slow += seconds > SECONDS
    found.large += over > OVER_SIZE
    found.slowest, found.largest = max(found.slowest, seconds), max(found.largest, over)
    if seconds > SECONDS:
        fault += f" {seconds:.1f} s"
    if over > OVER_SIZE:
        fault += f" {over >> 20} MiB"
    return fault


def _memory(what: str, *, clear: bool = False) -> int:
    """Bytes of memory of this process, now or at most since the last clearing."""
    if clear:
        CLEAR.write_text("5")
    text = STATUS.read_text()
    return int(text[text.index(what) :].split(maxsplit=2)[1]) << 10


def _stuck(*_: object) -> None:
    raise Stuck


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000_000, help="of all kinds together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=list(KINDS), nargs="+", default=list(KINDS))
    parser.add_argument("--keep", type=Path, default=Path("runs/fuzzing"), help="for what is found")
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    faults = 0
    for name in given.kind:
        with tempfile.TemporaryDirectory() as folder:
            found = fuzz(
                name, Path(folder), -(-given.count // len(given.kind)), given.seed, given.keep
            )
        faults += found.faults
        print(json.dumps(asdict(found)), flush=True)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
