"""The state of every cell of a run: finished, failed, or missing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from latentedit.benchmark.cells.store import Cell, CellStatus, CellStore, FinishedCells
from latentedit.benchmark.results.reading import Run, suite_of
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
    return [_state(run.store, cell) for cell in planned_cells(run.suite)]


def states_in(folder: Path) -> list[CellState]:
    """The same of a run that need not have got as far as its bank or its images.

    Raises:
        InputError: `folder` is not a run.
        CorruptArtefact: a record in it was changed.
    """
    suite, store = suite_of(folder), CellStore(folder)
    if store.finished(Cell("faces", {}, shard=next(iter(suite.shards))).id):
        return cell_states(Run(folder))
    return [_state(store, cell) for cell in planned_cells(suite)]


def planned_cells(suite: Suite) -> Iterator[Cell]:
    """Every cell of a suite, without its key, each after those that it needs."""
    yield from (Cell("faces", {}, shard=k) for k in suite.shards)
    for name, seed in itertools.product(suite.entrants, suite.seeds):
        yield Cell("fit", {}, name, seed)
        for task, k in itertools.product(suite.tasks, suite.shards):
            yield Cell("edit", {}, name, seed, task.name, k)
        for sequence, k in itertools.product(suite.sequences, suite.shards):
            yield Cell("sequence", {}, name, seed, sequence.name, k)


def _state(store: FinishedCells, cell: Cell) -> CellState:
    record = store.record(cell.id)
    if record is None:
        return CellState(cell.id, "missing", 0.0, "")
    return CellState(cell.id, record.status, record.seconds, record.error)
