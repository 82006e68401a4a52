"""The bank of a run: the one that is there, or a new one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from latentedit.benchmark.cells.keys import bank_models
from latentedit.benchmark.execution.executor import Observer
from latentedit.benchmark.execution.processes import in_process
from latentedit.benchmark.execution.worker import make_run_bank
from latentedit.benchmark.folder import RunFolder
from latentedit.benchmark.suite import Suite
from latentedit.data.bank import LatentBank
from latentedit.registry import Registry


def bank_of_run(
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
    models = bank_models(suite, registry())
    if kept is not None and dict(kept.sampling) == wanted:
        current = (models["generator"]["fingerprint"], models["labeller"]["fingerprint"])
        same = current == (kept.generator.fingerprint, kept.labeller.fingerprint)
        if same and run.mark().models in (None, models):
            return kept
    if (moved := run.clear_bank()) is not None:
        observer.progressed("bank", 0.0, f"what was in its place is now {moved}")
    in_process(
        make_run_bank,
        (run.path, suite, photographs, registry),
        lambda fraction, message: observer.progressed("bank", fraction, message),
    )
    bank = LatentBank.open(run.bank)
    run.record_bank(bank, models)
    observer.finished("bank", "ok", "")
    return bank
