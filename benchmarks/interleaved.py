"""Variants of one computation, timed in turns in one process.

Other work on the machine then slows all variants alike. Ratios are medians over turns, each of two
neighbouring calls. The order is drawn anew each turn, since a variant starts with the caches that
the one before it left.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

Call = Callable[[], Any]


class Turns(NamedTuple):
    """Seconds of processor time by variant, turn by turn."""

    seconds: dict[str, list[float]]

    def milliseconds(self, name: str) -> float:
        return 1000 * median(self.seconds[name])

    def ratio(self, name: str, against: str) -> float:
        """Median over turns of the time of `name` divided by that of `against`."""
        pairs = zip(self.seconds[name], self.seconds[against], strict=True)
        return median(ours / theirs for ours, theirs in pairs)


class Figure(NamedTuple):
    """One line of the page of speed.

    Args:
        name: what was measured.
        value: a ratio or an amount.
        unit: of the value; "×" for a ratio.
        against: what a ratio compares with.
        bar: the value that the project wants, at most; None if there is none.
        note: how it was measured, or why not.
    """

    name: str
    value: float | None
    unit: str
    against: str
    bar: float | None = None
    note: str = ""


def in_turns(variants: Mapping[str, Call], turns: int, calls: int = 1) -> Turns:
    """Time every variant once a turn, after one call each to warm up.

    Args:
        calls: of a variant in a turn, timed together.
    """
    for call in variants.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    order = random.Random(0)
    for _ in range(turns):
        for name, call in order.sample([*variants.items()], len(variants)):
            started = time.process_time()
            for _ in range(calls):
                call()
            seconds[name].append((time.process_time() - started) / calls)
    return Turns(seconds)


def peak_memory() -> float:
    """Largest memory of this process in MiB, by the kernel's own mark.

    `resource.getrusage` would begin with the size of the parent process.
    """
    status = Path("/proc/self/status").read_text("utf-8")
    return float(status.split("VmHWM:")[1].split()[0]) / 1024


def load() -> float:
    """Processes that wanted to run in the last minute."""
    return os.getloadavg()[0]
