"""Cells that are held in memory."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from latentedit.benchmark.cells.store import CellRecord, Outcome

if TYPE_CHECKING:
    from torch import Tensor


class CellMemory:
    """Cells of an evaluation, by id, which no file holds."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome] = {}

    def record(self, cell_id: str) -> CellRecord | None:
        """What is known of a cell; None where nothing is."""
        found = self.outcomes.get(cell_id)
        if found is None:
            return None
        return CellRecord(cell_id, "", found.status, found.seconds, found.error)

    def finished(self, cell_id: str) -> bool:
        return cell_id in self.outcomes and self.outcomes[cell_id].status == "ok"

    def arrays(self, cell_id: str, unread: Collection[str] = ()) -> dict[str, Tensor]:
        found = self.outcomes[cell_id].arrays
        return {name: array for name, array in found.items() if name not in unread}

    def timings(self, cell_id: str) -> dict[str, float]:
        return dict(self.outcomes[cell_id].timings)
