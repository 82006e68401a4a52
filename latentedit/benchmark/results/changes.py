"""What edits changed besides the edited attribute: other attributes, and the images as a set."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import NamedTuple

import torch
from torch import Tensor

from latentedit.benchmark.results.joining import MATCHED_SEEN
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.rows import Leakage, Realism, SetDistance, Source
from latentedit.benchmark.results.values import FinishedEdits, Reference
from latentedit.errors import InputError
from latentedit.measures.metrics import attribute_change
from latentedit.measures.realism import IMPLEMENTATION, MINIMUM_IMAGES, Gaussian, frechet_of


def leakage(run: Run) -> tuple[Leakage, ...]:
    """Mean |change| / σ of every attribute, per editor, task and first matched effect."""
    found: dict[tuple[str, str, Source], dict[int, list[Counted]]] = {}
    for part in run.parts():
        for of, seed, change in _changes(part):
            if change.n:
                found.setdefault(of, {}).setdefault(seed, []).append(change)
    names, attribute = tuple(run.bank.schema.names), {t.name: t.attribute for t in run.suite.tasks}
    return tuple(
        Leakage(
            name, task, attribute[task], by, names,
            tuple(torch.stack([mean_of(change) for change in fits.values()]).mean(0).tolist()),
        )
        for (name, task, by), fits in found.items()
    )  # fmt: skip


class Counted(NamedTuple):
    """A mean over `n` images, one or several numbers."""

    n: int
    mean: Tensor


def mean_of(parts: Sequence[Counted]) -> Tensor:
    """The mean over the images of all parts; NaN where there are none."""
    known = [part for part in parts if part.n]
    if len(known) < 2:
        return known[0].mean if known else parts[0].mean
    total = torch.stack([part.n * part.mean.double() for part in known]).sum(0)
    return (total / sum(part.n for part in known)).float()


def _changes(run: Run) -> Iterator[tuple[tuple[str, str, Source], int, Counted]]:
    """(K,) by fit seed, over the images that reached the effect."""
    sources: tuple[Source, ...] = ("judged", "truth") if run.reference.knows_truth else ("judged",)
    for name, task, by in itertools.product(run.suite.entrants, run.suite.tasks, sources):
        for seed, edits in run.finished_by_seed(name, task.name).items():
            yield (name, task.name, by), seed, _mean_change(edits, run.reference, by)


def _mean_change(edits: FinishedEdits, reference: Reference, by: Source) -> Counted:
    """(K,) over the images that reached the effect."""
    reached = ~edits.arrays["matched_strength"][0].isnan()
    before, after = reference.faces[by][edits.arrays["faces"]], edits.arrays[f"matched_{by}"][0]
    change = attribute_change(before, after, reference.sigma, reference.schema)[reached].mean(0)
    return Counted(int(reached.sum()), change)


def realism(run: Run) -> Realism:
    """Distances of edited to unedited images."""
    things = run.provenance.bank.shown.many
    return Realism(
        features=f"{run.suite.judge}, in standard deviations of the unedited {things}",
        implementation=IMPLEMENTATION,
        minimum_faces=MINIMUM_IMAGES,
        distances=_distances(run),
    )


@dataclass(frozen=True)
class _Sets:
    """Distances of one fit's edited images to the unedited ones, over the images of a part.

    Args:
        frechet: (), of this part alone.
        kernel: with its number of images.
        features: how many vary.
        gaussians: of unedited and edited images; None where a run has one part.
    """

    reached: int
    frechet: Tensor
    kernel: Counted
    features: int
    gaussians: tuple[Gaussian, Gaussian] | None


def _distances(run: Run) -> tuple[SetDistance, ...]:
    found: dict[tuple[str, str, float], dict[int, list[_Sets]]] = {}
    for part in run.parts():
        suite = part.suite
        for name, task in itertools.product(suite.entrants, suite.tasks):
            for seed, edits in part.finished_by_seed(name, task.name).items():
                for i, effect in enumerate(suite.effects):
                    fits = found.setdefault((name, task.name, effect), {})
                    fits.setdefault(seed, []).append(_sets(edits, i, part, part is not run))
    return tuple(_distance(list(fits.values()), of) for of, fits in found.items())


def _sets(edits: FinishedEdits, i: int, run: Run, parted: bool) -> _Sets:
    """At the i-th effect.

    Args:
        parted: whether the run has other parts.
    """
    arrays, kernel = edits.arrays, edits.arrays["matched_kernel"][i]
    reached, gaussians = ~arrays["matched_strength"][i].isnan(), None
    if parted:
        alive = run.spread > 1e-6
        faces = run.reference.faces["features"][arrays["faces"]], arrays[MATCHED_SEEN][i]
        before, after = (
            Gaussian.of((part[reached][:, alive] / run.spread[alive]).double().numpy())
            for part in faces
        )
        gaussians = before, after
    return _Sets(
        int(reached.sum()),
        arrays["matched_frechet"][i].clone(),  # a view would hold all arrays of the cell
        Counted(int((~kernel.isnan()).sum()), kernel.nanmean()),
        int(arrays["matched_features"][i]),
        gaussians,
    )


def _frechet(parts: list[_Sets]) -> Tensor:
    pairs = [part.gaussians for part in parts if part.gaussians is not None]
    if not pairs:
        return parts[0].frechet
    before, after = (reduce(add, gaussians) for gaussians in zip(*pairs, strict=True))
    with suppress(InputError):
        return torch.tensor(frechet_of(before, after))
    return torch.tensor(float("nan"))


def _distance(fits: list[list[_Sets]], of: tuple[str, str, float]) -> SetDistance:
    """Mean over seeds of both distances."""
    frechet = torch.stack([_frechet(parts) for parts in fits]).mean()
    kernel = torch.stack([mean_of([part.kernel for part in parts]) for parts in fits]).mean()
    return SetDistance(
        *of,
        faces=min(sum(part.reached for part in parts) for parts in fits),
        features=fits[0][0].features,
        frechet=None if frechet.isnan() else float(frechet),
        kernel=None if kernel.isnan() else float(kernel),
    )
