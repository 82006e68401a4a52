"""Events that executors report about cells."""

from __future__ import annotations

from dataclasses import dataclass

from latentedit.benchmark.cells.store import Status


@dataclass(frozen=True)
class Progressed:
    """A cell is at `fraction` of its work, in [0, 1]."""

    cell_id: str
    fraction: float
    message: str


@dataclass(frozen=True)
class Ended:
    """A cell has ended.

    Args:
        staged: where its results are, if it is ``"ok"``.
        error: what went wrong, if it is not.
        output: the end of what it printed, if it is not.
    """

    cell_id: str
    status: Status
    seconds: float
    error: str = ""
    staged: str = ""
    output: str = ""


Event = Progressed | Ended
