"""What one process does: compute one cell and commit it."""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, fields
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from latentedit.bank import LatentBank
from latentedit.benchmark.cells import Cell, CellStore
from latentedit.benchmark.measure import Bench, edit_milliseconds, measure_edits
from latentedit.benchmark.sequences import measure_sequence
from latentedit.benchmark.suite import Suite
from latentedit.benchmark.tuning import fit_contestant
from latentedit.editing import load_editor
from latentedit.errors import LatentEditError
from latentedit.registry import Registry
from latentedit.sampling import make_bank

THREADS = 1
"""A cell computes on one thread: results do not depend on how many run side by side."""


@dataclass(frozen=True)
class Job:
    """A cell to compute, and what a fresh process needs to know for it.

    Args:
        after: id of a cell that must be done first.
        registry: called in the process to find plugins.
    """

    run_folder: Path
    suite: Suite
    cell: Cell
    registry: Callable[[], Registry]
    after: str = ""


def fit_id(contestant: str, seed: int) -> str:
    return Cell("fit", {}, contestant, seed).id


def work(job: Job, pipe: Connection) -> None:
    """Entry point of a process: never raises, always commits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(THREADS)
    store, started = CellStore(job.run_folder), time.perf_counter()

    def progress(fraction: float, message: str) -> None:
        pipe.send((fraction, message))

    try:
        _compute(job, store, progress)
    except LatentEditError as error:
        store.commit(job.cell, "failed", time.perf_counter() - started, error=str(error))
    except Exception:
        store.commit(
            job.cell, "failed", time.perf_counter() - started, error=traceback.format_exc()
        )
    finally:
        pipe.close()


def _compute(job: Job, store: CellStore, progress: Callable[[float, str], None]) -> None:
    cell, suite, started = job.cell, job.suite, time.perf_counter()
    registry = job.registry()
    bank = LatentBank.open(job.run_folder / "bank")
    bench = Bench(suite, bank, registry)

    if cell.kind == "faces":
        sight = bench.look(bank.split("test").codes, bank.space, progress=progress)
        arrays = {field.name: getattr(sight, field.name) for field in fields(sight)}
        store.commit(cell, "ok", time.perf_counter() - started, arrays)
        return

    if cell.kind == "fit":
        editor, tuned = fit_contestant(bench, cell.contestant, cell.seed, progress)
        timings = (
            dict(editor.figures)
            | tuned
            | {
                "edit_ms_batch_1": edit_milliseconds(editor, bank, 1),
                "edit_ms_batch_64": edit_milliseconds(editor, bank, 64, repeats=3),
            }
        )
        store.commit(cell, "ok", time.perf_counter() - started, timings=timings, editor=editor)
        return

    fitted = load_editor(
        registry,
        store.path(fit_id(cell.contestant, cell.seed)) / "editor",
        generator=bench.generator,
    )
    before = store.arrays("faces")
    if cell.kind == "sequence":
        sequence = next(entry for entry in suite.sequences if entry.name == cell.task)
        arrays, timings = measure_sequence(bench, fitted, sequence, before, progress)
    else:
        task = next(task for task in suite.tasks if task.name == cell.task)
        arrays, timings = measure_edits(bench, fitted, task, before, progress)
    store.commit(cell, "ok", time.perf_counter() - started, arrays, timings)


def make_run_bank(
    run_folder: Path, suite: Suite, registry: Callable[[], Registry], pipe: Connection
) -> None:
    """Entry point of the process that makes a run's bank."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(THREADS)
    plan = suite.bank
    try:
        make_bank(
            registry(),
            run_folder / "bank",
            generator=plan.generator.plugin,
            generator_options=plan.generator.options,
            labeller=plan.labeller.plugin,
            labeller_options=plan.labeller.options,
            n_fit=plan.n_fit,
            n_test=plan.n_test,
            seed=plan.seed,
            truncation_psi=plan.truncation_psi,
            progress=lambda fraction, message: pipe.send((fraction, message)),
        )
    except LatentEditError as error:
        pipe.send(error)
    finally:
        pipe.close()
