"""Computation of one cell, the same in every kind of process."""

from __future__ import annotations

import resource
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentedit.benchmark.cells.bench import Bench
from latentedit.benchmark.cells.edits import edit_milliseconds, measure_edits
from latentedit.benchmark.cells.keys import check_same_code
from latentedit.benchmark.cells.possible import possible_faces
from latentedit.benchmark.cells.sequences import measure_sequence
from latentedit.benchmark.cells.store import Cell, CellStore, Outcome
from latentedit.benchmark.cells.tuning import fit_entrant
from latentedit.benchmark.execution.processes import end_with_pipe
from latentedit.benchmark.suite import Suite
from latentedit.data.bank import LatentBank
from latentedit.editing.fitted import load_editor
from latentedit.errors import EnvironmentFault, LatentEditError
from latentedit.registry import Registry
from latentedit.sampling.make import make_bank

THREADS = 1
"""Threads of a cell. Sums depend on the number of threads, so one thread makes results repeatable.

Parallel cells would also compete for the same cores.
"""


@dataclass(frozen=True)
class Job:
    """A cell to compute, with everything that a fresh process needs for it.

    Args:
        run_folder: where the bank is, and where results are staged.
        suite: the protocol.
        cell: the unit of work.
        registry: called in the process to find plugins.
        after: ids of the cells that must finish first.
        code: versions and sources of the suite's plugins where the run was started. A process with
            others refuses the job. None is not checked.
    """

    run_folder: Path
    suite: Suite
    cell: Cell
    registry: Callable[[], Registry]
    after: tuple[str, ...] = ()
    code: Mapping[str, Any] | None = None


def fit_id(entrant: str, seed: int) -> str:
    return Cell("fit", {}, entrant, seed).id


def check_code(job: Job) -> Registry:
    """The plugins of this process, compared with those that the run was started with.

    Raises:
        EnvironmentFault: a plugin of the suite is missing here, or differs; names it.
    """
    plugins = job.registry()
    if job.code is not None:
        check_same_code(job.suite, plugins, job.code)
    return plugins


def open_bench(job: Job) -> Bench:
    """The models of a job's suite and the faces it edits.

    Raises:
        EnvironmentFault: the plugins here are not those of the process that started the run.
    """
    plugins = check_code(job)
    torch.set_num_threads(THREADS)  # again, after the imports of plugins
    return Bench(job.suite, LatentBank.open(job.run_folder / "bank"), plugins)


def compute(job: Job, bench: Bench, progress: Callable[[float, str], None]) -> Path:
    """Compute a cell and stage its results, for `CellStore.publish`.

    Returns:
        The folder of the staged results.

    Raises:
        LatentEditError: a plugin broke its contract, or the cell cannot be computed.
    """
    cell, store, started = job.cell, CellStore(job.run_folder), time.perf_counter()
    if cell.kind == "faces":
        test = bench.bank.split("test")
        observed = bench.look(test.codes, test.space, progress=progress, features=True)
        arrays = {field.name: getattr(observed, field.name) for field in fields(observed)}
        arrays |= possible_faces(bench, observed.judged)
        if bench.bank.inversion is not None:
            arrays["photo_embeddings"] = bench.photo_embeddings()
        timings: dict[str, float] = {}
    elif cell.kind == "fit":
        return _fit(job, bench, progress)
    else:
        arrays, timings = _edits(job, bench, progress)
    seconds = time.perf_counter() - started
    return store.stage(cell, Outcome("ok", seconds, arrays=arrays, timings=timings))


def _fit(job: Job, bench: Bench, progress: Callable[[float, str], None]) -> Path:
    cell, bank, started = job.cell, bench.bank, time.perf_counter()
    editor, tuned = fit_entrant(bench, cell.entrant, cell.seed, progress)
    timings = (
        dict(editor.figures)
        | tuned
        | {
            "edit_ms_batch_1": edit_milliseconds(editor, bank, 1),
            "edit_ms_batch_64": edit_milliseconds(editor, bank, 64, repeats=3),
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
    )
    outcome = Outcome("ok", time.perf_counter() - started, timings=timings)
    return CellStore(job.run_folder).stage(cell, outcome, editor)


def _edits(
    job: Job, bench: Bench, progress: Callable[[float, str], None]
) -> tuple[dict[str, Tensor], dict[str, float]]:
    cell, suite, store = job.cell, job.suite, CellStore(job.run_folder)
    fitted = load_editor(
        bench.registry,
        store.path(fit_id(cell.entrant, cell.seed)) / "editor",
        generator=bench.generator,
    )
    before = store.arrays("faces")
    if cell.kind == "sequence":
        sequence = next(entry for entry in suite.sequences if entry.name == cell.task)
        return measure_sequence(bench, fitted, sequence, before, progress)
    task = next(task for task in suite.tasks if task.name == cell.task)
    return measure_edits(bench, fitted, task, before, progress)


def make_run_bank(
    run_folder: Path,
    suite: Suite,
    photographs: Path | None,
    registry: Callable[[], Registry],
    pipe: Connection,
) -> None:
    """Entry point of the process that makes a run's bank."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C and closes the pipe
    end_with_pipe(pipe)
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
            space=plan.space,
            truncation_psi=plan.truncation_psi,
            photographs=None if photographs is None else LatentBank.open(photographs),
            progress=lambda fraction, message: pipe.send((fraction, message)),
        )
    except LatentEditError as error:
        pipe.send(error)
    except Exception:
        message = f"the bank could not be made; a plugin raised:\n{traceback.format_exc()}"
        pipe.send(EnvironmentFault(message))
