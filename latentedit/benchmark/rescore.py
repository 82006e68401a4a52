"""Score a finished run anew by another judge or other recognisers, without its editors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from latentedit.benchmark.cells.rescoring import Replaced
from latentedit.benchmark.cells.store import CellRecord, CellStore
from latentedit.benchmark.execution.executor import Observer, run_jobs
from latentedit.benchmark.execution.worker import Job, Rescored
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
    metrics: Sequence[ModelUse] = (),
    registry: Callable[[], Registry] = Registry.discover,
    workers: int | None = None,
) -> RunOutcome:
    """Write to `out` the run of `folder`, with every edited code observed anew.

    Images, edits and the strengths that match an effect stay those of the first run: *reach* is
    what its judge saw. What a model decides that is not replaced stays too. All other figures are
    by the new models. Sequences are left out, since their codes are not kept. Codes were kept in
    half precision, unless the suite says otherwise, so that figures differ from those of the same
    models in the first run by its rounding of the edit, a thousandth.

    Args:
        judge, identity: the new models; those of the run where none is given.
        metrics: measured besides those of the run.
        workers: cells at a time; one a core if not given.

    Raises:
        InputError: the run has a cell that kept no codes; or `out` holds other files.
    """
    source, before = RunFolder.open(folder), CellStore(folder)
    suite = _suite(folder, judge, identity, metrics)
    plugins = registry()
    check_names(suite, plugins)
    run = RunFolder.claim(out)
    if run.path == source.path:
        raise InputError(f"--out is the run itself, {folder}; choose a new folder")
    with run.locked():
        write_json(run.path / SUITE_FILE, suite.model_dump(mode="json"))
        bank = _bank(source, run)
        first = read_provenance(folder)
        made = provenance(suite, bank, plugins, first.left_out).model_copy(
            update={"matched_by": first.matched_by or first.judge.name}
        )
        replaced = Replaced(
            judge=judge is not None or made.judge != first.judge,
            identity=bool(identity) or made.identity != first.identity,
            metrics=made.metrics != first.metrics,
        )
        jobs = [
            _with(job, before, Rescored(source.path, replaced))
            for job in plan(suite, run.path, bank, plugins, registry)
            if before.finished(job.cell.id)
        ]
        _check_codes(jobs, before)
        store = CellStore(run.path)
        store.plan(job.cell for job in jobs)
        store.remove_abandoned()
        write_json(run.path / PROVENANCE, made.model_dump(mode="json"))
        todo = [job for job in jobs if not store.is_done(job.cell)]
        with closing(plugins.build("executor", "local", {"workers": workers})) as place:
            run_jobs(place, todo, store, observer)
    return RunOutcome(run.path, len(todo), len(jobs) - len(todo), _failed(jobs, store))


def _suite(
    folder: Path,
    judge: ModelUse | None,
    identity: Sequence[ModelUse],
    metrics: Sequence[ModelUse],
) -> Suite:
    """The run's suite with the new models, which are checked as in any suite."""
    data: dict[str, Any] = read_record(folder / SUITE_FILE, Suite).model_dump(mode="json")
    if judge is not None:
        data["judge"] = judge.model_dump(mode="json")
    if identity:
        data["identity"] = [use.model_dump(mode="json") for use in identity]
    known = data.get("metrics", [])
    added = [made for made in (use.model_dump(mode="json") for use in metrics) if made not in known]
    return Suite.model_validate(data | {"sequences": [], "metrics": [*known, *added]})


def _bank(source: RunFolder, run: RunFolder) -> LatentBank:
    """The first run's bank, copied where it is not there yet."""
    return copy_bank(LatentBank.open(source.bank), run, source.mark().models or {})


def _check_codes(jobs: Sequence[Job], before: CellStore) -> None:
    """Raise unless the first run kept codes; before anything is computed."""
    edits = next((job for job in jobs if job.cell.kind == "edit"), None)
    if edits is not None and not edits.suite.keep_codes:
        raise InputError(
            f"{before.folder.parent} has no edited codes; run its suite again with keep_codes: true"
        )


def _with(job: Job, before: CellStore, rescored: Rescored) -> Job:
    """A job of the new run; its key says of which cell it is, and what is new."""
    cell, record = job.cell, before.record(job.cell.id)
    of = "" if record is None else record.key_hash
    key = dict(cell.key) | {"rescored": of, "replaced": asdict(rescored.replaced)}
    return replace(job, cell=replace(cell, key=key), rescored=rescored)


def _failed(jobs: Sequence[Job], store: CellStore) -> list[CellRecord]:
    records = [store.record(job.cell.id) for job in jobs]
    return [record for record in records if record is not None and record.status != "ok"]
