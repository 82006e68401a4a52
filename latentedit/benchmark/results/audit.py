"""The cells of a run: which finished, what they took, and what tuning chose."""

from __future__ import annotations

import itertools

import numpy as np

from latentedit.benchmark.cells.asked import requested
from latentedit.benchmark.cells.store import Cell, FinishedCells
from latentedit.benchmark.cells.tuning import Trials
from latentedit.benchmark.results.costs import Costs
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.rows import CellCounts, FailedCell, LeftOut, Tuning
from latentedit.benchmark.results.states import cell_states
from latentedit.benchmark.suite import Suite


def left_out(run: Run) -> tuple[LeftOut, ...]:
    """Images that tasks ask and that no edit could do; empty where the run has not looked."""
    possible = run.unedited("possible")
    if possible is None:
        return ()
    labels, schema = run.labels, run.bank.schema
    fitted = run.bank.split("fit").attributes
    asked = [len(requested(task, labels, fitted, schema)[0]) for task in run.suite.tasks]
    return tuple(
        LeftOut(task.name, n, n - int(done.sum()))
        for task, n, done in zip(run.suite.tasks, asked, possible, strict=True)
    )


def cell_counts(run: Run) -> CellCounts:
    states = cell_states(run)
    failed = [state for state in states if state.status != "ok"]
    return CellCounts(
        ok=len(states) - len(failed),
        failed=tuple(FailedCell(state.id, state.status, state.error) for state in failed),
    )


def tuning(suite: Suite, store: FinishedCells) -> tuple[Tuning, ...]:
    """What was tried for each editor and fit seed, and chosen."""
    rows = []
    for name, seed in itertools.product(suite.editors, suite.seeds):
        cell_id = Cell("fit", {}, name, seed).id
        trials = Trials.read(store.timings(cell_id)) if store.finished(cell_id) else None
        if trials is not None:
            rows.append(Tuning(name, seed, trials.chosen, dict(trials.scores)))
    return tuple(rows)


def costs(run: Run) -> list[Costs]:
    """One row an editor with a finished fit."""
    rows = []
    for name in run.suite.entrants:
        fits = _timings(run, "fit", name)
        if fits:
            rows.append(_costs(name, fits, _timings(run, "edit", name)))
    return rows


def _costs(name: str, fits: list[dict[str, float]], edits: list[dict[str, float]]) -> Costs:
    def median(what: str) -> float:
        return float(np.median([fit[what] for fit in fits]))

    calls = sum(edit["edit_calls"] for edit in edits)
    return Costs(
        editor=name,
        fit_seconds=median("fit_seconds"),
        edit_ms_batch_1=median("edit_ms_batch_1"),
        edit_ms_batch_64=median("edit_ms_batch_64"),
        tuning_seconds=sum((fit.get("tuning_seconds", 0.0) for fit in fits), 0.0),
        peak_memory_mb=median("peak_memory_mb"),
        nfe=sum(edit["nfe"] for edit in edits) / calls if calls else 0.0,
    )


def _timings(run: Run, kind: str, entrant: str) -> list[dict[str, float]]:
    """Of the finished cells of a kind, those of fit seeds that the suite no longer has too."""
    found = (run.folder / "cells").glob(f"{kind}--{entrant}--seed*/cell.json")
    ids = sorted(path.parent.name for path in found)
    return [run.store.timings(cell_id) for cell_id in ids if run.store.finished(cell_id)]
