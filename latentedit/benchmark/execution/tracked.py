"""An observer that also hands the state of a run to trackers."""

from __future__ import annotations

from collections import Counter

from latentedit.benchmark.cells.store import CellStatus
from latentedit.benchmark.execution.executor import Observer
from latentedit.editing.tracking import Tracking


class Tracked:
    """Passes everything on to `observer`, and logs how many cells have finished and failed."""

    def __init__(self, observer: Observer, tracking: Tracking) -> None:
        self.observer, self.tracking = observer, tracking
        self.counts = Counter[bool]()

    def progressed(self, cell_id: str, fraction: float, message: str) -> None:
        self.observer.progressed(cell_id, fraction, message)

    def finished(self, cell_id: str, status: CellStatus, error: str) -> None:
        self.observer.finished(cell_id, status, error)
        if cell_id == "bank":
            return
        self.counts[status == "ok"] += 1
        figures = {"cells finished": self.counts[True], "cells failed": self.counts[False]}
        self.tracking.log(self.counts.total(), figures)
