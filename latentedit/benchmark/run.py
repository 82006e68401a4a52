"""A run: a suite carried out in a folder. The same command again goes on where it stopped."""

from __future__ import annotations

import itertools
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import latentedit
from latentedit.benchmark.cells.bench import BATCH, Bench
from latentedit.benchmark.cells.keys import (
    CellKeys,
    code_digest,
    differing,
    plugins_used,
    suite_code,
)
from latentedit.benchmark.cells.store import OUTPUT, Cell, CellRecord, CellStore
from latentedit.benchmark.controls import bounds, with_controls
from latentedit.benchmark.execution.executor import Observer, run_jobs
from latentedit.benchmark.execution.worker import THREADS, Job, faces_id, fit_id
from latentedit.benchmark.folder import RunFolder
from latentedit.benchmark.provenance import (
    PROVENANCE,
    BankProvenance,
    JudgeProvenance,
    MetricProvenance,
    Provenance,
    RecogniserProvenance,
)
from latentedit.benchmark.run_bank import bank_of_run, given_bank
from latentedit.benchmark.suite import SUITE_FILE, Suite
from latentedit.benchmark.tasks import check_attributes, check_models, check_tasks
from latentedit.data.bank import LatentBank, ModelReference
from latentedit.editing.checks import check_device
from latentedit.editing.keys import Key
from latentedit.errors import LatentEditError, PluginFault, UnknownName
from latentedit.files.artefacts import write_json
from latentedit.files.records import read_record
from latentedit.plugin_source import installed_version
from latentedit.registry import Registry, parse_options


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
        photographs: a bank of inverted photographs, to be edited instead of sampled images.
        registry: finds plugins; called in every process.
        workers: cells at a time; as many as the executor has room for if not given.
        executor: where to compute, a plugin's name, with its own `executor_options`.

    Interrupting (Ctrl-C) ends all processes; finished cells stay.

    Raises:
        UnknownName, InputError: the suite names what is not there. Nothing was computed.
        EnvironmentFault: another process uses the folder; names it.
    """
    check_device(suite.device or "cpu")
    plugins = registry()
    given = given_bank(suite, photographs)
    suite = suite.model_copy(update={"bank": suite.bank.made_here()})
    suite, left_out = with_controls(suite, plugins)
    check_names(suite, plugins)
    options = dict(executor_options or {}) | ({} if workers is None else {"workers": workers})
    check_options(plugins, "executor", executor, options)
    check_models(suite, plugins)
    check_tasks(suite, plugins, given)
    run = RunFolder.claim(folder)
    folder, store = run.path, CellStore(run.path)
    with run.locked(), closing(plugins.build("executor", executor, options)) as place:
        write_json(folder / SUITE_FILE, suite.model_dump(mode="json"))
        bank = bank_of_run(suite, run, given, photographs, registry, observer)
        check_attributes(suite, bank.schema)
        jobs = plan(suite, folder, bank, plugins, registry)
        store.plan(job.cell for job in jobs)
        store.remove_abandoned()
        made_by = provenance(suite, bank, plugins, left_out)
        write_json(folder / PROVENANCE, made_by.model_dump(mode="json"))
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
    lines += [
        f"{field} was {then}, is {now}"
        for field, then, now in differing(store.key(cell_id), cell.key)
    ]
    if not lines and not store.is_done(cell):
        lines.append("its files are not what it recorded")
    return lines


def check_names(suite: Suite, registry: Registry) -> None:
    """Raise unless every plugin that a suite names is there and takes its options."""
    for kind, listed in plugins_used(suite, registry).items():
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


def plan(
    suite: Suite,
    folder: Path,
    bank: LatentBank,
    plugins: Registry,
    registry: Callable[[], Registry],
) -> list[Job]:
    """Every cell of a suite with its key, in an order that never waits for long."""
    keys = CellKeys(Bench(suite, bank, plugins), THREADS)
    code = suite_code(suite, plugins)

    def job(cell: Cell, first: int = 0, *after: str) -> Job:
        if cell.entrant and first != cell.seed:
            same = replace(cell, seed=first).id
            return Job(folder, suite, cell, registry, (same,), code, same_as=same)
        return Job(folder, suite, cell, registry, after, code)

    jobs, edits = [job(Cell("faces", keys.faces(k), shard=k)) for k in suite.shards], list[Job]()
    first = jobs[0].cell.id
    for name in suite.entrants:
        editor = keys.editor(name)
        for seed in suite.seeds:
            alike = keys.first_alike(name, seed)
            key, fit = editor | {"seed": alike}, fit_id(name, seed)
            jobs.append(job(Cell("fit", key, name, seed), alike, first))
            edits += [
                job(cell, alike, faces_id(cell.shard), fit)
                for cell in _edits(keys, key, name, seed)
            ]
    return jobs + edits


def _edits(keys: CellKeys, fit: Key, name: str, seed: int) -> Iterator[Cell]:
    """The cells of every task and sequence of a fit, shard by shard."""
    suite = keys.suite
    for task, k in itertools.product(suite.tasks, suite.shards):
        yield Cell("edit", keys.edit(fit, task, k), name, seed, task.name, k)
    for chain, k in itertools.product(suite.sequences, suite.shards):
        yield Cell("sequence", keys.sequence(fit, chain, k), name, seed, chain.name, k)


def provenance(
    suite: Suite,
    bank: LatentBank,
    plugins: Registry,
    left_out: Mapping[str, str] = MappingProxyType({}),
) -> Provenance:
    """Everything that a reader needs to make the same run again.

    Args:
        left_out: why a control was left out, by name.
    """
    bench = Bench(suite, bank, plugins)
    packages = ("torch", "torchdiffeq", "numpy", "scipy", "scikit-learn", "safetensors")
    return Provenance(
        latentedit=latentedit.__version__,
        python=platform.python_version(),
        packages={name: installed_version(name) for name in packages},
        bank=BankProvenance(
            hash=bank.hash,
            **bank.sampling,
            subject=[bench.generator.subject.one, bench.generator.subject.many],
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
            code=code_digest(plugins, "estimator", suite.judge.plugin),
            card=bench.judge.card().get("held_out", {}),
        ),
        identity=[
            RecogniserProvenance(
                name=str(use),
                options=use.options,
                fingerprint=encoder.fingerprint,
                code=code_digest(plugins, "identity", use.plugin),
                threshold=encoder.same_person_threshold,
                card=encoder.card().get("held_out", {}),
            )
            for use, encoder in zip(suite.identity, bench.recognisers, strict=True)
        ],
        metrics=_metrics(bench),
        plugins={
            f"{kind} {use.plugin}": plugins.version(kind, use.plugin)
            for kind, listed in plugins_used(suite, plugins).items()
            for use in listed
        },
        threads=THREADS,
        batch=BATCH,
        bounds=bounds(suite.control_names, plugins),
        left_out=dict(left_out),
        terms=_terms(bench, plugins),
    )


def _terms(bench: Bench, plugins: Registry) -> dict[str, str]:
    """The licences that generator, labeller, judge and recognisers state, by the names in the
    suite."""
    labeller = bench.bank.labeller
    stated: dict[str, Mapping[str, Any]] = {bench.bank.generator.name: bench.generator.describe()}
    stated[labeller.name] = _labeller_card(labeller, plugins)
    stated[str(bench.suite.judge)] = bench.judge.card()
    stated |= {
        str(use): encoder.card()
        for use, encoder in zip(bench.suite.identity, bench.recognisers, strict=True)
    }
    return {name: str(facts["licence"]) for name, facts in stated.items() if "licence" in facts}


def _labeller_card(labeller: ModelReference, plugins: Registry) -> Mapping[str, Any]:
    """Nothing where the labeller is absent: a bank that it labelled is used without it."""
    try:
        return plugins.estimator(labeller.name, labeller.options).card()
    except LatentEditError:
        return {}


def _metrics(bench: Bench) -> list[MetricProvenance]:
    """Those that the suite adds."""
    return [
        MetricProvenance(
            name=str(use),
            options=use.options,
            fingerprint=metric.fingerprint,
            code=code_digest(bench.registry, "metric", use.plugin),
            unit=metric.unit,
            higher_is_better=metric.higher_is_better,
            formula=metric.formula,
            smallest_difference=metric.smallest_difference,
        )
        for use, metric in zip(bench.suite.metrics, bench.metrics.values(), strict=True)
    ]
