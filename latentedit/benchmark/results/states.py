"""The state of every cell of a run: finished, failed, or missing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from latentedit.benchmark.cells.store import Cell, CellStatus
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.suite import Suite


@dataclass(frozen=True)
class CellState:
    """What became of a cell; ``"missing"`` where it was never finished."""

    id: str
    status: CellStatus | Literal["missing"]
    seconds: float
    error: str


def cell_states(run: Run) -> list[CellState]:
    """Every cell of the suite, in the order of the suite."""
    return [_state(run, cell) for cell in planned_cells(run.suite)]


def planned_cells(suite: Suite) -> Iterator[Cell]:
    """Every cell of a suite, without its key, each after those that it needs."""
    yield from (Cell("faces", {}, shard=k) for k in suite.shards)
    for name, seed in itertools.product(suite.entrants, suite.seeds):
        yield Cell("fit", {}, name, seed)
        for task, k in itertools.product(suite.tasks, suite.shards):
            yield Cell("edit", {}, name, seed, task.name, k)
        for sequence, k in itertools.product(suite.sequences, suite.shards):
            yield Cell("sequence", {}, name, seed, sequence.name, k)


def _state(run: Run, cell: Cell) -> CellState:
    record = run.store.record(cell.id)
    if record is None:
        return CellState(cell.id, "missing", 0.0, "")
    return CellState(cell.id, record.status, record.seconds, record.error)
