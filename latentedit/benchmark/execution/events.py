"""Events that executors report about cells."""

from __future__ import annotations

from dataclasses import dataclass

from latentedit.benchmark.cells.store import Status


@dataclass(frozen=True)
class Progressed:
    """A cell has done the share `fraction` of its work, in [0, 1]."""

    cell_id: str
    fraction: float
    message: str


@dataclass(frozen=True)
class Ended:
    """A cell has ended.

    Args:
        staged: the folder of its results, if `status` is ``"ok"``.
        error: the reason, if `status` is not ``"ok"``.
        output: the end of its printed output, if `status` is not ``"ok"``.
    """

    cell_id: str
    status: Status
    seconds: float
    error: str = ""
    staged: str = ""
    output: str = ""


Event = Progressed | Ended
