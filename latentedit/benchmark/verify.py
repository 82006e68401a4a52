"""Whether a run folder is what it says: files, keys, figures, and cells computed anew."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentedit.benchmark.cells.store import CellStore
from latentedit.benchmark.execution.executor import Observer
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.records import ResultsRecord
from latentedit.benchmark.results.states import cell_states
from latentedit.benchmark.results.summary import results_of
from latentedit.benchmark.run import explain, run_suite
from latentedit.errors import LatentEditError
from latentedit.registry import Registry


def verify_run(folder: Path) -> list[str]:
    """What is wrong with the run, a line each; empty if every file is the one that was recorded
    and the results follow from the cells.

    Raises:
        InputError: `folder` is not a run.
        CorruptArtefact: its suite, provenance or results are not as they were written.
    """
    run, store = Run(folder), CellStore(folder)
    found = []
    try:
        run.bank.verify()
    except LatentEditError as error:
        found.append(str(error))
    for state in cell_states(run):
        if state.status != "ok":
            found.append(f"{state.id} has no result: {state.status}")
            continue
        try:
            store.check(state.id)
        except LatentEditError as error:
            found.append(str(error))
    return found or _other_figures(run)


def _other_figures(run: Run) -> list[str]:
    """The parts of ``results.json`` that do not follow from the cells."""
    written, computed = (
        json.loads(json.dumps(ResultsRecord(results).model_dump(mode="json")))
        for results in (run.results, results_of(run))
    )
    return [
        f"results.json has other {name} than the cells give; "
        f"write it again with: latentedit bench report {run.folder}"
        for name in written
        if written[name] != computed[name]
    ]


def recompute(
    folder: Path,
    cells: list[str],
    observer: Observer,
    *,
    registry: Callable[[], Registry] = Registry.discover,
) -> list[str]:
    """Compute `cells` of a run anew, in a copy, and compare their arrays bit by bit.

    Returns:
        A line for each cell that came out otherwise, or cannot be computed as it was.

    Raises:
        UnknownName: the run has no such cell.
    """
    found = [
        f"{cell}: {line}" for cell in cells for line in explain(folder, cell, registry=registry)
    ]
    if found:
        return found
    with tempfile.TemporaryDirectory(dir=folder.resolve().parent) as place:
        copy = Path(place) / "run"
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("run.lock", "report"))
        for cell in cells:
            shutil.rmtree(copy / "cells" / cell)
        run_suite(Run(folder).suite, copy, observer, registry=registry, workers=1)
        old, new = CellStore(folder), CellStore(copy)
        return [line for cell in cells for line in _differences(cell, old, new)]


def _differences(cell: str, old: CellStore, new: CellStore) -> list[str]:
    if not new.finished(cell):
        record = new.record(cell)
        return [f"{cell}: computed anew it did not finish: {record.error if record else ''}"]
    before, after = old.arrays(cell), new.arrays(cell)
    names = [
        name
        for name in sorted({*before, *after})
        if name not in before or name not in after or not _equal(before[name], after[name])
    ]
    return [f"{cell}: computed anew it has other {', '.join(names)}"] if names else []


def _equal(a: Tensor, b: Tensor) -> Any:
    """To the bit, where NaN is equal to NaN."""
    return a.shape == b.shape and torch.equal(
        a.double().nan_to_num(1e300), b.double().nan_to_num(1e300)
    )
