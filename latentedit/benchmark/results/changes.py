"""What edits changed besides the edited attribute: other attributes, and the images as a set."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.records import Leakage, Realism, SetDistance, Source
from latentedit.benchmark.results.values import FinishedEdits, Reference
from latentedit.benchmark.task import Task
from latentedit.measures.metrics import attribute_change
from latentedit.measures.realism import IMPLEMENTATION, MINIMUM_IMAGES


def leakage(run: Run) -> tuple[Leakage, ...]:
    """Mean |change| / σ of every attribute, per editor, task and first matched effect."""
    sources: tuple[Source, ...] = ("judged", "truth") if run.reference.knows_truth else ("judged",)
    rows = (
        _leakage(run, name, task, by)
        for name in run.suite.entrants
        for task, by in itertools.product(run.suite.tasks, sources)
    )
    return tuple(row for row in rows if row is not None)


def _leakage(run: Run, name: str, task: Task, by: Source) -> Leakage | None:
    """None where no image reached the effect."""
    found = (_mean_change(edits, run.reference, by) for edits in run.finished(name, task.name))
    fits = [change for change in found if change is not None]
    if not fits:
        return None
    change = torch.stack(fits).mean(0).tolist()
    names = tuple(run.bank.schema.names)
    return Leakage(name, task.name, task.attribute, by, names, tuple(change))


def _mean_change(edits: FinishedEdits, reference: Reference, by: Source) -> Tensor | None:
    """(K,) over the images that reached the effect; None where none did."""
    reached = ~edits.arrays["matched_strength"][0].isnan()
    if not reached.any():
        return None
    before, after = reference.faces[by][edits.arrays["faces"]], edits.arrays[f"matched_{by}"][0]
    return attribute_change(before, after, reference.sigma, reference.schema)[reached].mean(0)


def realism(run: Run) -> Realism:
    """Distances of edited to unedited images."""
    things = run.provenance.bank.shown.many
    return Realism(
        features=f"{run.suite.judge}, in standard deviations of the unedited {things}",
        implementation=IMPLEMENTATION,
        minimum_faces=MINIMUM_IMAGES,
        distances=tuple(
            _distance(fits, (name, task.name, effect), i)
            for name in run.suite.entrants
            for task in run.suite.tasks
            for i, effect in enumerate(run.suite.effects)
            if (fits := run.finished(name, task.name))
        ),
    )


def _distance(fits: list[FinishedEdits], of: tuple[str, str, float], i: int) -> SetDistance:
    """Mean over seeds of both distances at the i-th effect."""
    frechet = torch.stack([fit.arrays["matched_frechet"][i] for fit in fits]).mean()
    kernel = torch.stack([fit.arrays["matched_kernel"][i].nanmean() for fit in fits]).mean()
    reached = [int((~fit.arrays["matched_strength"][i].isnan()).sum()) for fit in fits]
    return SetDistance(
        *of,
        faces=min(reached),
        features=int(fits[0].arrays["matched_features"][i]),
        frechet=None if frechet.isnan() else float(frechet),
        kernel=None if kernel.isnan() else float(kernel),
    )
