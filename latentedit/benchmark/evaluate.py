"""A comparison of editors in memory, with the protocol and the figures of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from pydantic import ValidationError

from latentedit.benchmark.cells.bench import Bench
from latentedit.benchmark.cells.computing import (
    edit_arrays,
    edit_costs,
    faces_arrays,
    fitted_entrant,
)
from latentedit.benchmark.cells.memory import CellMemory
from latentedit.benchmark.cells.store import Cell, Outcome
from latentedit.benchmark.controls import with_controls
from latentedit.benchmark.execution.worker import THREADS, faces_id, fit_id
from latentedit.benchmark.plugin_use import PluginUse
from latentedit.benchmark.results.evaluated import Evaluation, evaluation_of
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.states import planned_cells
from latentedit.benchmark.run import check_names, provenance
from latentedit.benchmark.suite import Suite, explained
from latentedit.benchmark.task import Task
from latentedit.benchmark.tasks import check_tasks
from latentedit.data.bank import LatentBank
from latentedit.editing.fitted import FittedEditor
from latentedit.errors import InputError, LatentEditError, SuiteError
from latentedit.interfaces.runtime import Progress, silent
from latentedit.registry import Registry

EditorChoice = str | Mapping[str, Any] | FittedEditor
"""An editor by name, by name with options, or fitted already."""


def evaluate(
    bank: LatentBank,
    editors: Mapping[str, EditorChoice] | Sequence[str | FittedEditor],
    tasks: Mapping[str, Any] | Sequence[Mapping[str, Any] | Task],
    *,
    judge: str | Mapping[str, Any] | None = None,
    identity: Sequence[str | Mapping[str, Any]] | None = None,
    registry: Registry | None = None,
    progress: Progress | bool = False,
    **settings: Any,
) -> Evaluation:
    """Compare editors on the test split of `bank`, as a suite does, and write no file.

    Everything is computed in this process, with one thread as in a run: the figures are those of a
    run with the same suite. A plugin that fails costs its own cells; `Evaluation.cells` says why.

    Args:
        editors: names; or by the name that tables show a plugin's name, ``{"plugin": NAME,
            "options": {…}}``, or an editor that is fitted already.
        tasks: the change by attribute, such as ``{"age": 10, "glasses": "flip"}``, or a list of
            tasks as in a suite.
        judge, identity: an estimator, and identity encoders; those that the generator recommends if
            not given.
        registry: of the plugins; those that are installed if not given.
        progress: a function of the share that is done and a message, or True for a bar.
        settings: further keys of a suite, such as ``effects``, ``seeds`` and ``controls``.

    Raises:
        InputError: something is named that is not there, or cannot be compared.
    """
    plugins = registry or Registry.discover()
    fitted = _fitted(editors)
    seeds = sorted({editor.seed for editor in fitted.values()}) or [0]
    chosen = _observers(bank, plugins, judge, identity)
    suite = _suite(
        {"name": "evaluation", "bank": {"path": str(bank.folder)}, "seeds": seeds}
        | {"editors": _uses(editors), "tasks": _tasks(tasks)}
        | chosen
        | settings
    )
    _check_seeds(suite, fitted)
    suite, left_out = with_controls(suite, plugins)
    check_names(suite, plugins)
    check_tasks(suite, plugins, bank)
    bench, store = Bench(suite, bank, plugins), CellMemory()
    made_by = provenance(suite, bank, plugins, left_out)
    with _told(progress) as report, _one_thread():
        _compute(bench, store, fitted, report)
    return evaluation_of(Run.in_memory(suite, bank, store, made_by))


def _compute(
    bench: Bench, store: CellMemory, fitted: Mapping[str, FittedEditor], report: Progress
) -> None:
    cells = list(planned_cells(bench.suite))
    ready = dict[str, FittedEditor]()
    for i, cell in enumerate(cells):

        def part(fraction: float, message: str, i: int = i, of: str = cell.id) -> None:
            report((i + fraction) / len(cells), f"{of}: {message}")

        started = time.perf_counter()
        try:
            outcome = _outcome(bench, cell, store, ready, fitted, part)
        except LatentEditError as error:
            if cell.kind == "faces":
                raise
            outcome = Outcome("failed", time.perf_counter() - started, str(error))
        store.outcomes[cell.id] = outcome
        report((i + 1) / len(cells), cell.id)


def _outcome(
    bench: Bench,
    cell: Cell,
    store: CellMemory,
    ready: dict[str, FittedEditor],
    fitted: Mapping[str, FittedEditor],
    progress: Progress,
) -> Outcome:
    """What a cell leaves. Editors that it fits become part of `ready`, by the cell's id."""
    started, bench = time.perf_counter(), bench.of_shard(cell.shard)
    if cell.kind == "faces":
        arrays, costs = faces_arrays(bench, progress), dict[str, float]()
    elif cell.kind == "fit":
        if (given := fitted.get(cell.entrant)) is not None:
            given.check_bank(bench.bank)
            ready[cell.id], costs = given, dict(given.figures) | edit_costs(given, bench)
        else:
            ready[cell.id], costs = fitted_entrant(bench, cell, progress)
        arrays = {}
    else:
        fit = fit_id(cell.entrant, cell.seed)
        if fit not in ready:
            raise InputError(f"{fit} did not finish: {store.outcomes[fit].error}")
        before = store.arrays(faces_id(cell.shard))
        arrays, costs = edit_arrays(bench, cell, ready[fit], before, progress)
    return Outcome("ok", time.perf_counter() - started, arrays=arrays, timings=costs)


def _fitted(
    editors: Mapping[str, EditorChoice] | Sequence[str | FittedEditor],
) -> dict[str, FittedEditor]:
    """Those that are fitted already, by the name that tables show."""
    if isinstance(editors, Mapping):
        return {name: one for name, one in editors.items() if isinstance(one, FittedEditor)}
    return {one.name: one for one in editors if isinstance(one, FittedEditor)}


def _uses(editors: Mapping[str, EditorChoice] | Sequence[str | FittedEditor]) -> dict[str, Any]:
    """The editors as a suite names them."""
    if isinstance(editors, str):
        raise InputError(f"editors are a list or a mapping, received {editors!r}; write [editor]")
    named = (
        dict(editors)
        if isinstance(editors, Mapping)
        else {one if isinstance(one, str) else one.name: one for one in editors}
    )
    if len(named) != len(editors):
        raise InputError("two editors have one name; give them names: {'mine': editor, …}")
    uses = dict[str, Any]()
    for name, one in named.items():
        if isinstance(one, FittedEditor):
            options = one.editor.options.model_dump(mode="json")
            uses[name] = PluginUse(plugin=one.name, options=options)
        else:
            uses[name] = {"plugin": one} if isinstance(one, str) else one
    return uses


def _tasks(tasks: Mapping[str, Any] | Sequence[Mapping[str, Any] | Task]) -> list[Any]:
    if isinstance(tasks, Mapping):
        return [{"attribute": name, "change": change} for name, change in tasks.items()]
    return list(tasks)


def _observers(
    bank: LatentBank,
    plugins: Registry,
    judge: str | Mapping[str, Any] | None,
    identity: Sequence[str | Mapping[str, Any]] | None,
) -> dict[str, Any]:
    """Judge and identity encoders: the given ones, or those that the generator recommends."""
    companions = plugins.load("generator", bank.generator.name).companions
    if judge is None and companions is None:
        raise InputError(
            f"{bank.generator.name} recommends no judge; give judge=NAME, one of "
            f"{', '.join(plugins.names('estimator'))}"
        )
    own = () if companions is None else companions.identity
    return {
        "judge": judge if judge is not None else companions.judge if companions else "",
        "identity": list(own if identity is None else identity),
    }


def _suite(data: Mapping[str, Any]) -> Suite:
    try:
        suite = Suite.model_validate(data)
    except ValidationError as error:
        raise SuiteError(explained("evaluate", error)) from None
    return suite.model_copy(update={"bank": suite.bank.made_here()})


def _check_seeds(suite: Suite, fitted: Mapping[str, FittedEditor]) -> None:
    for name, editor in fitted.items():
        if suite.seeds != [editor.seed]:
            raise InputError(
                f"{name} was fitted with seed {editor.seed}, and the evaluation has the seeds "
                f"{suite.seeds}; give its plugin's name, {editor.name!r}, to have it fitted here"
            )


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)  # sums depend on it
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _told(progress: Progress | bool) -> Iterator[Callable[[float, str], None]]:
    """What is told of the progress: the caller's function, a bar, or nothing."""
    if not isinstance(progress, bool):
        yield progress
    elif not progress:
        yield silent
    else:
        from rich.progress import Progress as Bar  # noqa: PLC0415

        with Bar() as bar:
            task = bar.add_task("evaluate", total=1.0)
            yield lambda share, message: bar.update(task, completed=share, description=message)
