"""Computation of one cell, the same in every kind of process."""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentedit.benchmark.cells.bench import Bench
from latentedit.benchmark.cells.computing import (
    arrays_again,
    edit_arrays,
    faces_arrays,
    fitted_entrant,
)
from latentedit.benchmark.cells.keys import check_same_code
from latentedit.benchmark.cells.observing import PICTURES
from latentedit.benchmark.cells.rescoring import Replaced
from latentedit.benchmark.cells.store import Cell, CellStore, Outcome
from latentedit.benchmark.execution.processes import end_with_pipe
from latentedit.benchmark.suite import Suite
from latentedit.data.bank import LatentBank
from latentedit.editing.fitted import FittedEditor, load_editor
from latentedit.errors import EnvironmentFault, LatentEditError
from latentedit.interfaces.device import models_on
from latentedit.registry import Registry
from latentedit.sampling.make import make_bank

THREADS = 1
"""Threads of a cell. Sums depend on the number of threads, so one thread makes results repeatable.

Parallel cells would also compete for the same cores.
"""


@dataclass(frozen=True)
class Rescored:
    """A finished run, and which of its models are others now."""

    run_folder: Path
    replaced: Replaced


@dataclass(frozen=True)
class Job:
    """A cell to compute, with everything that a fresh process needs for it.

    Args:
        run_folder: where the bank is, and where results are staged.
        suite: the protocol.
        cell: the unit of work.
        registry: called in the process to find plugins.
        after: ids of the cells that must finish first.
        rescored: the finished run whose edits are scored again instead of made; None where there
            is none.
        code: versions and sources of the suite's plugins where the run was started. A process with
            others refuses the job. None is not checked.
        same_as: id of the cell of another fit seed with the same key, which is copied; computed if
            empty.
    """

    run_folder: Path
    suite: Suite
    cell: Cell
    registry: Callable[[], Registry]
    after: tuple[str, ...] = ()
    code: Mapping[str, Any] | None = None
    rescored: Rescored | None = None
    same_as: str = ""


def fit_id(entrant: str, seed: int) -> str:
    return Cell("fit", {}, entrant, seed).id


def faces_id(shard: int | None) -> str:
    return Cell("faces", {}, shard=shard).id


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
    """The models of a job's suite and the images it edits.

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
    if job.same_as:
        return _copied(job, bench)
    store, started = CellStore(job.run_folder), time.perf_counter()
    with models_on(job.suite.device):
        editor, arrays, timings = _computed(job, bench, store, progress)
    pictures = {name: arrays.pop(name) for name in [*arrays] if name.endswith(PICTURES)}
    seconds = time.perf_counter() - started
    return store.stage(job.cell, Outcome("ok", seconds, "", timings, arrays, pictures), editor)


def _computed(
    job: Job, bench: Bench, store: CellStore, progress: Callable[[float, str], None]
) -> tuple[FittedEditor | None, dict[str, Tensor], dict[str, float]]:
    """The editor, if the cell fits one, its arrays, and what it cost."""
    cell, bench = job.cell, bench.of_shard(job.cell.shard)
    if job.rescored is not None:
        return None, *_again(job, job.rescored, bench, progress)
    if cell.kind == "faces":
        return None, faces_arrays(bench, progress), {}
    if cell.kind == "fit":
        editor, timings = fitted_entrant(bench, cell, progress)
        return editor, {}, timings
    saved = store.path(fit_id(cell.entrant, cell.seed)) / "editor"
    device = job.suite.device or "cpu"
    fitted = load_editor(bench.registry, saved, generator=bench.generator, device=device)
    before = store.arrays(faces_id(cell.shard))
    return None, *edit_arrays(bench, cell, fitted, before, progress)


def _copied(job: Job, bench: Bench) -> Path:
    """The finished cell that answers the same key, staged under the name of this one."""
    store, same, started = CellStore(job.run_folder), job.same_as, time.perf_counter()
    saved = store.path(same) / "editor"
    editor = (
        load_editor(bench.registry, saved, generator=bench.generator) if saved.is_dir() else None
    )
    kept = store.timings(same), store.arrays(same), store.pictures(same)
    return store.stage(job.cell, Outcome("ok", time.perf_counter() - started, "", *kept), editor)


def _again(
    job: Job, rescored: Rescored, bench: Bench, progress: Callable[[float, str], None]
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """A cell of a finished run, scored again, and what it cost then."""
    cell, before = job.cell, CellStore(rescored.run_folder)
    timings = before.timings(cell.id)
    if cell.kind == "faces":
        return faces_arrays(bench, progress, before.arrays(cell.id)), timings
    kept = before.arrays(cell.id), before.pictures(cell.id)
    faces = CellStore(job.run_folder).arrays(faces_id(cell.shard))
    return arrays_again(bench, cell, faces, kept, rescored.replaced), timings


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
        with models_on(suite.device):
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
                unstored=plan.unstored,
                photographs=None if photographs is None else LatentBank.open(photographs),
                progress=lambda fraction, message: pipe.send((fraction, message)),
            )
    except LatentEditError as error:
        pipe.send(error)
    except Exception:
        message = f"the bank could not be made; a plugin raised:\n{traceback.format_exc()}"
        pipe.send(EnvironmentFault(message))
