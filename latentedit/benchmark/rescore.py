"""Score a finished run anew by another judge or other recognisers, without its editors."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentedit.benchmark.cells.bench import Bench
from latentedit.benchmark.cells.observing import seen_again
from latentedit.benchmark.cells.store import Cell, CellRecord, CellStore, Outcome
from latentedit.benchmark.execution.executor import Observer
from latentedit.benchmark.execution.worker import THREADS, Job, compute, open_bench
from latentedit.benchmark.folder import RunFolder
from latentedit.benchmark.plugin_use import ModelUse
from latentedit.benchmark.provenance import PROVENANCE, read_provenance
from latentedit.benchmark.run import RunOutcome, check_names, plan, provenance
from latentedit.benchmark.run_bank import copy_bank
from latentedit.benchmark.suite import SUITE_FILE, Suite
from latentedit.data.bank import LatentBank
from latentedit.errors import InputError
from latentedit.files.artefacts import write_json
from latentedit.files.records import read_record
from latentedit.registry import Registry


def rescore(
    folder: Path,
    out: Path,
    observer: Observer,
    *,
    judge: ModelUse | None = None,
    identity: Sequence[ModelUse] = (),
    registry: Callable[[], Registry] = Registry.discover,
) -> RunOutcome:
    """Write to `out` the run of `folder`, with every edited code observed anew.

    Faces, edits and the strengths that match an effect stay those of the first run: *reach* is what
    its judge saw. All other figures are by the new models. Sequences are left out, since their
    codes are not kept. Codes were kept in half precision, so that figures differ from those of the
    same models in the first run by its rounding of the edit, a thousandth.

    Args:
        judge, identity: the new models; those of the run where none is given.

    Raises:
        InputError: the run has a cell that kept no codes; or `out` holds other files.
    """
    source, before = RunFolder.open(folder), CellStore(folder)
    suite = _suite(folder, judge, identity)
    plugins = registry()
    check_names(suite, plugins)
    run = RunFolder.claim(out)
    if run.path == source.path:
        raise InputError(f"--out is the run itself, {folder}; choose a new folder")
    with run.locked():
        write_json(run.path / SUITE_FILE, suite.model_dump(mode="json"))
        bank = _bank(source, run)
        jobs = [
            _with(job, before)
            for job in plan(suite, run.path, bank, plugins, registry)
            if before.finished(job.cell.id)
        ]
        store = CellStore(run.path)
        store.plan(job.cell for job in jobs)
        first = read_provenance(folder)
        made = provenance(suite, bank, plugins, first.left_out).model_copy(
            update={"matched_by": first.matched_by or first.judge.name}
        )
        write_json(run.path / PROVENANCE, made.model_dump(mode="json"))
        todo = [job for job in jobs if not store.is_done(job.cell)]
        _observe(todo, before, observer)
    return RunOutcome(run.path, len(todo), len(jobs) - len(todo), _failed(jobs, store))


def _suite(folder: Path, judge: ModelUse | None, identity: Sequence[ModelUse]) -> Suite:
    """The run's suite with the new models, which are checked as in any suite."""
    data: dict[str, Any] = read_record(folder / SUITE_FILE, Suite).model_dump(mode="json")
    if judge is not None:
        data["judge"] = judge.model_dump(mode="json")
    if identity:
        data["identity"] = [use.model_dump(mode="json") for use in identity]
    return Suite.model_validate(data | {"sequences": []})


def _bank(source: RunFolder, run: RunFolder) -> LatentBank:
    """The first run's bank, copied where it is not there yet."""
    return copy_bank(LatentBank.open(source.bank), run, source.mark().models or {})


def _with(job: Job, before: CellStore) -> Job:
    """A job of the new run; its key says of which cell it is."""
    cell, record = job.cell, before.record(job.cell.id)
    of = "" if record is None else record.key_hash
    key = dict(cell.key) | {"rescored": of}
    renamed = Cell(cell.kind, key, cell.entrant, cell.seed, cell.task)
    return replace(job, cell=renamed)


def _observe(todo: Sequence[Job], before: CellStore, observer: Observer) -> None:
    """Compute the cells one after the other, in this process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)  # sums depend on it
    try:
        bench = _bench(todo[0]) if todo else None
        for job in todo:
            if bench is not None:
                _compute(job, bench, before)
            observer.finished(job.cell.id, "ok", "")
    finally:
        torch.set_num_threads(threads)


def _bench(job: Job) -> Bench:
    """It looks for no faces to leave out: only those that were edited can be scored."""
    return open_bench(replace(job, suite=job.suite.model_copy(update={"only_possible": False})))


def _compute(job: Job, bench: Bench, before: CellStore) -> None:
    cell, store, started = job.cell, CellStore(job.run_folder), time.perf_counter()
    if cell.kind == "faces":
        store.publish(cell, compute(job, bench, lambda fraction, message: None))
        _keep_possible(cell, store, before)
        return
    timings, arrays = before.timings(cell.id), dict[str, Tensor]()
    if cell.kind == "edit":
        task = next(task for task in job.suite.tasks if task.name == cell.task)
        faces, kept = store.arrays("faces"), before.arrays(cell.id)
        arrays = seen_again(bench, task, faces, kept, cell.seed)
    seconds = time.perf_counter() - started
    store.commit(cell, Outcome("ok", seconds, timings=timings, arrays=arrays))


def _keep_possible(cell: Cell, store: CellStore, before: CellStore) -> None:
    """Take over which faces take part."""
    old = before.arrays("faces")
    if "possible" in old:
        arrays = store.arrays("faces") | {"possible": old["possible"]}
        store.commit(cell, Outcome("ok", 0.0, arrays=arrays))


def _failed(jobs: Sequence[Job], store: CellStore) -> list[CellRecord]:
    records = [store.record(job.cell.id) for job in jobs]
    return [record for record in records if record is not None and record.status != "ok"]
