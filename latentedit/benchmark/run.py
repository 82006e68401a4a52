"""A run: a suite carried out in a folder. The same command again goes on where it stopped."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import latentedit
from latentedit.benchmark.cells.bench import BATCH, Bench
from latentedit.benchmark.cells.store import OUTPUT, Cell, CellRecord, CellStore
from latentedit.benchmark.cells.tuning import tuning_key
from latentedit.benchmark.execution.executor import Observer, run_jobs
from latentedit.benchmark.execution.processes import in_process
from latentedit.benchmark.execution.worker import THREADS, Job, fit_id, make_run_bank
from latentedit.benchmark.folder import RunFolder
from latentedit.benchmark.plugin_use import PluginUse
from latentedit.benchmark.provenance import (
    PROVENANCE,
    BankProvenance,
    JudgeProvenance,
    MetricProvenance,
    Provenance,
    RecogniserProvenance,
)
from latentedit.benchmark.suite import SUITE_FILE, Suite, Task
from latentedit.data.attributes import AttributeSchema
from latentedit.data.bank import LatentBank
from latentedit.editing.layers import LayerPreset
from latentedit.errors import (
    InputError,
    PluginFault,
    UnknownName,
)
from latentedit.files.artefacts import write_json
from latentedit.files.records import read_record
from latentedit.registry import Registry, parse_options

CELL_PROTOCOL = 4
"""Part of every cell's key; raised when cells measure something else or something more."""


@dataclass(frozen=True)
class RunOutcome:
    """What became of a run.

    Args:
        computed, kept: how many cells were computed now, and how many had been before.
        failed: records of cells that have no result.
    """

    folder: Path
    computed: int
    kept: int
    failed: list[CellRecord]


def run_suite(
    suite: Suite,
    folder: Path,
    observer: Observer,
    *,
    registry: Callable[[], Registry] = Registry.discover,
    workers: int | None = None,
    executor: str = "local",
    executor_options: Mapping[str, Any] | None = None,
    photographs: Path | None = None,
) -> RunOutcome:
    """Compute every cell of `suite` that `folder` does not hold yet.

    Args:
        photographs: a bank of inverted photographs, to be edited instead of sampled faces.
        registry: finds plugins; called in every process.
        workers: cells at a time; as many as the executor has room for if not given.
        executor: where to compute, a plugin's name, with its own `executor_options`.

    Interrupting (Ctrl-C) ends all processes; finished cells stay.

    Raises:
        UnknownName, InputError: the suite names what is not there. Nothing was computed.
        EnvironmentFault: another process uses the folder; names it.
    """
    plugins = registry()
    suite = suite.with_controls(plugins.specs("control"))
    check_names(suite, plugins)
    options = dict(executor_options or {}) | ({} if workers is None else {"workers": workers})
    check_options(plugins, "executor", executor, options)
    run = RunFolder.claim(folder)
    folder, store = run.path, CellStore(run.path)
    with run.locked(), closing(plugins.build("executor", executor, options)) as place:
        write_json(folder / SUITE_FILE, suite.model_dump(mode="json"))
        if (expected := _expected_schema(suite, plugins)) is not None:
            check_attributes(suite, expected)
        bank = _bank(suite, run, photographs, registry, observer)
        check_attributes(suite, bank.schema)
        jobs = plan(suite, folder, bank, plugins, registry)
        store.plan(job.cell for job in jobs)
        store.remove_abandoned()
        write_json(folder / PROVENANCE, provenance(suite, bank, plugins).model_dump(mode="json"))
        todo = [job for job in jobs if not store.is_done(job.cell)]
        run_jobs(place, todo, store, observer)
        store.remove_abandoned()  # of cells whose node was lost
    records = [store.record(job.cell.id) for job in jobs]
    failed = [record for record in records if record is not None and record.status != "ok"]
    return RunOutcome(folder, len(todo), len(jobs) - len(todo), failed)


def explain(
    folder: Path, cell_id: str, *, registry: Callable[[], Registry] = Registry.discover
) -> list[str]:
    """Why a cell would be computed again: the key fields that differ, one line each; empty if it
    is done.

    Raises:
        UnknownName: the run has no such cell.
    """
    suite = read_record(folder / SUITE_FILE, Suite)
    bank = LatentBank.open(folder / "bank")
    jobs = {job.cell.id: job for job in plan(suite, folder, bank, registry(), registry)}
    if cell_id not in jobs:
        raise UnknownName("cell", cell_id, jobs)
    cell, store = jobs[cell_id].cell, CellStore(folder)
    record = store.record(cell_id)
    if record is None:
        return ["it was never finished"]
    lines = (
        []
        if record.status in ("ok", "stale")
        else [f"its status is {record.status}: {record.error}"]
    )
    if (printed := store.path(cell_id) / OUTPUT).is_file():
        lines.append(f"what it printed is in {printed}")
    before, now = _flat(store.key(cell_id)), _flat(cell.key)
    for field in sorted({*before, *now}):
        then, new = before.get(field, "nothing"), now.get(field, "nothing")
        if then != new:
            lines.append(f"{field} was {then}, is {new}")
    if not lines and not store.is_done(cell):
        lines.append("its files are not what it recorded")
    return lines


def _flat(value: Any, place: str = "") -> dict[str, Any]:
    """Nested mappings as dotted fields."""
    if not isinstance(value, dict):
        return {place: value}
    return {
        key: leaf
        for name, child in value.items()
        for key, leaf in _flat(child, f"{place}.{name}".lstrip(".")).items()
    }


def check_names(suite: Suite, registry: Registry) -> None:
    """Raise unless every plugin that a suite names is there and takes its options."""
    for kind, listed in _uses(suite, registry).items():
        for use in listed:
            registry.find(kind, use.plugin)
            try:
                check_options(registry, kind, use.plugin, use.options)
            except PluginFault:
                if kind not in ("editor", "control"):
                    raise  # an editor that cannot be imported costs its own cells only


def check_options(registry: Registry, kind: str, name: str, options: Mapping[str, Any]) -> None:
    """Raise unless there is such a plugin and it takes these options."""
    loaded = registry.load(kind, name)
    if options:
        parse_options(loaded, name, options)


def _uses(suite: Suite, registry: Registry) -> dict[str, list[PluginUse]]:
    """Every plugin that a suite names, by kind."""
    entrants: dict[str, list[PluginUse]] = {"editor": [], "control": []}
    for use in suite.entrants.values():
        entrants[registry.editor_kind(use.plugin)].append(use)
    return {
        "generator": [suite.bank.generator],
        "estimator": [suite.bank.labeller, suite.judge],
        "identity": list(suite.identity),
        "metric": list(suite.metrics),
        **entrants,
        "layers": [PluginUse(plugin=t.layers) for t in suite.tasks if isinstance(t.layers, str)],
    }


def check_attributes(suite: Suite, schema: AttributeSchema) -> None:
    """Raise unless every task's attributes are in `schema`, and its change is possible there."""
    for task in suite.tasks:
        for name in (task.attribute, *task.among):
            _ = schema[name]
        attribute = schema[task.attribute]
        if attribute.kind == "vector":
            raise InputError(f"a task changes one number; {task.attribute!r} is a vector")
        if not isinstance(task.change, str) and task.change > attribute.high - attribute.low:
            raise InputError(
                f"task {task.name!r} changes {task.attribute} by {task.change}, but its range is "
                f"{attribute.low:g} to {attribute.high:g} {attribute.unit}".rstrip()
            )


def _expected_schema(suite: Suite, plugins: Registry) -> AttributeSchema | None:
    """What the labeller will read; None where it cannot be built here, which making the bank then
    reports."""
    use = suite.bank.labeller
    try:
        return plugins.estimator(use.plugin, use.options).schema
    except Exception:
        return None


def _bank(
    suite: Suite,
    run: RunFolder,
    photographs: Path | None,
    registry: Callable[[], Registry],
    observer: Observer,
) -> LatentBank:
    """The run's bank: the one that is there if it is whole and as planned, else a new one."""
    plan = suite.bank
    wanted: dict[str, Any] = {
        "seed": plan.seed,
        "truncation_psi": plan.truncation_psi,
        "fit": plan.n_fit,
        "test": plan.n_test,
    }
    if plan.space is not None:
        wanted["space"] = plan.space
    if photographs is not None:
        given = LatentBank.open(photographs)
        given.verify()
        wanted |= {"test": len(given.split("test")), "photographs": given.hash}
    kept = run.whole_bank()
    if kept is not None and dict(kept.sampling) == wanted:
        plugins = registry()
        current = (
            plugins.generator(plan.generator.plugin, plan.generator.options).fingerprint,
            plugins.estimator(plan.labeller.plugin, plan.labeller.options).fingerprint,
        )
        if current == (kept.generator.fingerprint, kept.labeller.fingerprint):
            return kept
    if (moved := run.clear_bank()) is not None:
        observer.progressed("bank", 0.0, f"what was in its place is now {moved}")
    in_process(
        make_run_bank,
        (run.path, suite, photographs, registry),
        lambda fraction, message: observer.progressed("bank", fraction, message),
    )
    bank = LatentBank.open(run.bank)
    run.record_bank(bank)
    observer.finished("bank", "ok", "")
    return bank


def plan(
    suite: Suite,
    folder: Path,
    bank: LatentBank,
    plugins: Registry,
    registry: Callable[[], Registry],
) -> list[Job]:
    """Every cell of a suite with its key, in an order that never waits for long."""
    bench = Bench(suite, bank, plugins)
    base = {
        "protocol": CELL_PROTOCOL,
        "bank": bank.hash,
        "threads": THREADS,
        "versions": {"latentedit": latentedit.__version__, "torch": version("torch")},
    }
    observers = {
        "judge": bench.judge.fingerprint,
        "identity": [encoder.fingerprint for encoder in bench.recognisers],
        "batch": BATCH,
        "show_faces": suite.show_faces,
    }
    jobs = [Job(folder, suite, Cell("faces", base | observers), registry)]
    edits = []
    for name, use in suite.entrants.items():
        kind = plugins.editor_kind(use.plugin)
        origin = {"plugin": plugins.version(kind, use.plugin)}
        if source := plugins.source(kind, use.plugin):
            origin["source"] = source
        tune = tuning_key(bench, name)
        for seed in suite.seeds:
            key = base | {"editor": use.model_dump(mode="json")} | origin | tune | {"seed": seed}
            jobs.append(Job(folder, suite, Cell("fit", key, name, seed), registry, ("faces",)))
            for task in suite.tasks:
                edit_key = (
                    key
                    | observers
                    | {
                        "task": task.model_dump(mode="json"),
                        "strengths": suite.strengths,
                        "effects": suite.effects,
                    }
                    | _presets([task], plugins)
                    | _metrics(bench, plugins)
                )
                cell = Cell("edit", edit_key, name, seed, task.name)
                edits.append(Job(folder, suite, cell, registry, ("faces", fit_id(name, seed))))
            for sequence in suite.sequences:
                edited = [task for task in suite.tasks if task.name in sequence.edits]
                tasks = [task.model_dump(mode="json") for task in edited]
                asked = {"sequence": sequence.model_dump(mode="json"), "tasks": tasks}
                asked |= _presets(edited, plugins)
                cell = Cell("sequence", key | observers | asked, name, seed, sequence.name)
                edits.append(Job(folder, suite, cell, registry, ("faces", fit_id(name, seed))))
    return jobs + edits


def _metrics(bench: Bench, plugins: Registry) -> dict[str, Any]:
    """The metrics that a suite adds, for a cell's key; empty where there are none."""
    found = {
        str(use): [bench.metrics[str(use)].fingerprint, plugins.source("metric", use.plugin)]
        for use in bench.suite.metrics
    }
    return {"metrics": found} if found else {}


def _presets(tasks: Iterable[Task], plugins: Registry) -> dict[str, Any]:
    """What the layer presets that tasks name hold, for a cell's key; empty where none is named."""
    named = {task.layers for task in tasks if isinstance(task.layers, str)}
    held: dict[str, LayerPreset] = {name: plugins.load("layers", name) for name in sorted(named)}
    return {"layers": {name: preset.to_json() for name, preset in held.items()}} if held else {}


def provenance(suite: Suite, bank: LatentBank, plugins: Registry) -> Provenance:
    """Everything that a reader needs to make the same run again."""
    bench = Bench(suite, bank, plugins)
    packages = ("torch", "torchdiffeq", "numpy", "scipy", "scikit-learn", "safetensors")
    return Provenance(
        latentedit=latentedit.__version__,
        python=platform.python_version(),
        packages={name: version(name) for name in packages},
        bank=BankProvenance(
            hash=bank.hash,
            **bank.sampling,
            generator=bank.generator.name,
            generator_options=dict(bank.generator.options),
            generator_fingerprint=bank.generator.fingerprint,
            labeller=bank.labeller.name,
            labeller_options=dict(bank.labeller.options),
            labeller_fingerprint=bank.labeller.fingerprint,
        ),
        judge=JudgeProvenance(
            name=str(suite.judge),
            options=suite.judge.options,
            fingerprint=bench.judge.fingerprint,
            card=bench.judge.card().get("held_out", {}),
        ),
        identity=[
            RecogniserProvenance(
                name=str(use),
                options=use.options,
                fingerprint=encoder.fingerprint,
                threshold=encoder.same_person_threshold,
                card=encoder.card().get("held_out", {}),
            )
            for use, encoder in zip(suite.identity, bench.recognisers, strict=True)
        ],
        metrics=[
            MetricProvenance(
                name=str(use),
                options=use.options,
                fingerprint=metric.fingerprint,
                unit=metric.unit,
                higher_is_better=metric.higher_is_better,
                formula=metric.formula,
                smallest_difference=metric.smallest_difference,
            )
            for use, metric in zip(suite.metrics, bench.metrics.values(), strict=True)
        ],
        plugins={
            f"{kind} {use.plugin}": plugins.version(kind, use.plugin)
            for kind, listed in _uses(suite, plugins).items()
            for use in listed
        },
        threads=THREADS,
        batch=BATCH,
    )
