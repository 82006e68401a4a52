"""Output of commands: tables and progress for people, JSON for programs, errors on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

WIDTH_OF_FILES = 140
"""Width of tables in characters if the output is not a terminal."""

SHOWN_AFTER = 60
"""Seconds after which lines say how long the rest will take."""

out = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_OF_FILES)
err = Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, sort_keys=True))


def say(text: str, *, next_step: str = "") -> None:
    """Print a result, and below it the command that users may run next."""
    out.print(escape(text), soft_wrap=True)
    if next_step:
        out.print(f"[dim]next:[/dim] {escape(next_step)}", soft_wrap=True)


def remark(text: str) -> None:
    """Print a sentence beside the result."""
    err.print(escape(text), soft_wrap=True)


def look_at(path: Path) -> str:
    """A command that opens a file in a browser, on every system."""
    return f"python -m webbrowser {path.resolve().as_uri()}"


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[float, str], None]]:
    """Yield a function of (fraction in [0, 1], message) that draws a bar if on a terminal."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    ) as bars:
        task = bars.add_task(title, total=1.0)

        def report(fraction: float, message: str) -> None:
            bars.update(task, completed=fraction, description=f"{title}: {message}")

        yield report


class CellProgress:
    """An observer of a run that shows its progress on stderr.

    On a terminal there is one bar for all cells and one per running cell. Otherwise every cell
    prints one line when it ends.
    """

    def __init__(self, total: int) -> None:
        self.total, self.done, self.begun = total, 0, time.monotonic()
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=err,
            disable=not err.is_terminal,
        )
        self.all = self.bars.add_task("cells", total=total)
        self.tasks: dict[str, TaskID] = {}
        self.quarters: dict[str, int] = {}

    def __enter__(self) -> CellProgress:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def progressed(self, cell_id: str, fraction: float, message: str) -> None:
        if cell_id not in self.tasks:
            self.tasks[cell_id] = self.bars.add_task(escape(cell_id), total=100)
        self.bars.update(
            self.tasks[cell_id],
            completed=round(100 * fraction),
            description=f"{escape(cell_id)} [dim]{escape(message)}[/dim]",
        )
        if not err.is_terminal and int(4 * fraction) > self.quarters.get(cell_id, 0):
            self.quarters[cell_id] = int(4 * fraction)
            if cell_id == "bank" or cell_id.startswith("fit"):
                err.print(escape(f"{cell_id}: {fraction:.0%} {message}"), soft_wrap=True)

    def finished(self, cell_id: str, status: str, error: str) -> None:
        if cell_id in self.tasks:
            self.bars.remove_task(self.tasks.pop(cell_id))
        if cell_id != "bank":
            self.done += 1
            self.bars.update(self.all, completed=self.done, description=_phase(cell_id))
        if status != "ok":
            last = error.strip().splitlines()[-1] if error.strip() else ""
            err.print(f"[red]{status}[/red] {escape(cell_id)}: {escape(last)}", soft_wrap=True)
        elif not err.is_terminal:
            count = f"{self.done} of {self.total} cells{self._left()}"
            err.print(escape(f"done {cell_id} ({count})"), soft_wrap=True)

    def _left(self) -> str:
        """About how long the other cells will take, once some minutes have shown it."""
        passed = time.monotonic() - self.begun
        if passed < SHOWN_AFTER or not 0 < self.done < self.total:
            return ""
        minutes = passed / self.done * (self.total - self.done) / 60
        return f", about {max(1, round(minutes))} min left"


def _phase(cell_id: str) -> str:
    """What kind of cell was finished last."""
    return f"cells ({cell_id.partition('--')[0]})"
