"""The bank of a run: the one that is there, or a new one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from latentedit.benchmark.cells.keys import asks_labeller, bank_models
from latentedit.benchmark.execution.executor import Observer
from latentedit.benchmark.execution.processes import in_process
from latentedit.benchmark.execution.worker import make_run_bank
from latentedit.benchmark.folder import RunFolder
from latentedit.benchmark.suite import Suite
from latentedit.data.bank import LatentBank
from latentedit.editing.generators import other_code
from latentedit.errors import InputError
from latentedit.registry import Registry


def given_bank(suite: Suite, photographs: Path | None) -> LatentBank | None:
    """The bank that a suite names by its folder; None where it names none.

    Raises:
        InputError: photographs are to replace the test images of a bank that exists, or there is
            one alone.
        CorruptArtefact: a file of the bank was changed.
    """
    if photographs is not None and suite.shard is not None:
        raise InputError(
            "photographs are edited in one cell, and the suite has shards; leave out its `shard`, "
            "or the photographs"
        )
    if photographs is not None and len(LatentBank.open(photographs).split("test")) < 2:
        raise InputError(
            f"{photographs} holds one photograph, and a run compares editors on 2 or more; invert "
            "more of them in one call of latentedit invert. Or edit this one: latentedit edit "
            f"--editor E --bank {photographs} --index 0 --set ATTRIBUTE=VALUE --out grid.png"
        )
    if not suite.bank.path:
        return None
    if photographs is not None:
        raise InputError(
            f"the suite names the bank {suite.bank.path}, whose test images are edited; leave out "
            "the photographs, or name a generator and a labeller in the suite's bank"
        )
    bank = LatentBank.open(suite.bank.path)
    if not bank.root:  # else each shard is checked when it is fetched
        bank.verify()
    return bank


def copy_bank(bank: LatentBank, run: RunFolder, models: Mapping[str, Any]) -> LatentBank:
    """`bank` in the run's folder, copied where it is not there yet.

    Args:
        models: what made it, for the run's mark.
    """
    kept = run.whole_bank()
    if kept is not None and kept.hash == bank.hash:
        run.own_bank(kept, models)
        return kept
    run.clear_bank()
    run.begin_bank(models)
    if bank.root:
        run.bank.mkdir(parents=True)
        shutil.copyfile(bank.folder / "bank.json", run.bank / "bank.json")
    else:
        shutil.copytree(bank.folder, run.bank)
    copied = LatentBank.open(run.bank)
    run.record_bank(copied, models)
    return copied


def bank_of_run(
    suite: Suite,
    run: RunFolder,
    given: LatentBank | None,
    photographs: Path | None,
    registry: Callable[[], Registry],
    observer: Observer,
) -> LatentBank:
    """The run's bank: the one that is there if it is whole and as planned, else a new one.

    Args:
        given: the bank that the suite names by its folder, to be copied.
    """
    plan = suite.bank
    if given is not None:
        plugins = registry()
        asked = any(asks_labeller(suite, plugins, entrant) for entrant in suite.entrants)
        if asked and (told := other_code(plugins, given.labeller)):
            observer.progressed("bank", 1.0, told)
        return copy_bank(given, run, bank_models(suite, plugins))
    wanted: dict[str, Any] = {
        "seed": plan.seed,
        "truncation_psi": plan.truncation_psi,
        "fit": plan.n_fit,
        "test": plan.n_test,
    }
    if plan.space is not None:
        wanted["space"] = plan.space
    if plan.unstored:
        wanted["unstored"] = True
    if photographs is not None:
        given = LatentBank.open(photographs)
        given.verify()
        wanted |= {"test": len(given.split("test")), "photographs": given.hash}
    kept = run.whole_bank()
    models = bank_models(suite, registry())
    if kept is not None and _planned(kept) == wanted:
        current = (models["generator"]["fingerprint"], models["labeller"]["fingerprint"])
        same = current == (kept.generator.fingerprint, kept.labeller.fingerprint)
        if same and run.mark().models in (None, models):
            run.own_bank(kept, models)
            return kept
    if (moved := run.clear_bank()) is not None:
        observer.progressed("bank", 0.0, f"what was in its place is now {moved}")
    run.begin_bank(models)
    in_process(
        make_run_bank,
        (run.path, suite, photographs, registry),
        lambda fraction, message: observer.progressed("bank", fraction, message),
    )
    bank = LatentBank.open(run.bank)
    run.record_bank(bank, models)
    observer.finished("bank", "ok", "")
    return bank


_PLANNED = ("seed", "truncation_psi", "fit", "test", "space", "photographs", "unstored")


def _planned(bank: LatentBank) -> dict[str, Any]:
    """What a plan says of the sampling; a bank also records what came of it, such as how many
    images had nothing to read."""
    return {name: value for name, value in bank.sampling.items() if name in _PLANNED}
