"""Reports with known truth: what editors, faces, tasks and fits would leave, drawn at random.

Faces differ in how hard they are and how far their edits stray. Tasks share the faces, and hard
faces are reached less often. Similarities are skewed and end at 1, errors and leakages have long
tails. Every fit of an editor differs by an offset of its own, and every edit by noise.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from latentedit.benchmark.results.keys import MetricKey
from latentedit.benchmark.results.tally import Scores, SeedScores, by_task, mean_known

Array = NDArray[np.float64]

TASKS = ["yaw", "glasses", "age", "beard"]
DIFFICULTY = np.array([-2.5, -1.0, -0.5, 0.5])
"""Of reaching each task, in logits: 92 % of the average faces reach the first, 38 % the last. So
about 40 % of the cases of two editors are missing."""
EFFECT = 0.8
POPULATION = 100_000


@dataclass(frozen=True)
class Simulated:
    """An editor.

    Args:
        worse: added to every logit and to the logarithm of every loss.
        wild: how much more its edits scatter. Two editors that differ in it alone have equal
            expectations, and differences that are not symmetric.
        refit: standard deviation of the offset of a fit, in logits and logarithms.
    """

    worse: float = 0.0
    wild: float = 1.0
    refit: float = 0.15


EDITORS = {
    "equal": Simulated(),
    "wild equal": Simulated(wild=1.6),
    "better": Simulated(worse=-0.2),
    "worse": Simulated(worse=0.2),
    "much worse": Simulated(worse=0.8),
}
EQUALS = ("equal", "wild equal")


class Family(NamedTuple):
    """A metric that is exp(`centre` + …) per case: how it depends on the face and on noise."""

    centre: float
    of_stray: float
    of_hard: float
    noise: float
    matched: bool


LOSSES = {
    MetricKey("identity similarity", "contrastive"): Family(-3.0, 0.6, 0.0, 0.5, True),
    MetricKey("identity similarity", "regression"): Family(-3.5, 0.4, 0.0, 0.6, True),
    MetricKey("true leakage"): Family(-1.5, 0.5, 0.0, 0.4, True),
    MetricKey("attribute leakage"): Family(-1.2, 0.3, 0.0, 0.3, True),
    MetricKey("target error"): Family(-1.0, 0.0, 0.3, 0.5, False),
}


@dataclass(frozen=True)
class Faces:
    """(N,) how hard each face is to edit and how far its edits stray, in standard scores."""

    hard: Array
    stray: Array

    @classmethod
    def drawn(cls, n: int, rng: np.random.Generator) -> Faces:
        return cls(rng.normal(size=n), rng.normal(size=n))


def measured(
    editor: Simulated, faces: Faces, fits: int, rng: np.random.Generator, reports: int = 1
) -> dict[tuple[MetricKey, float], Array]:
    """What the fits of an editor leave of each metric: (S, T, N), NaN where a face is not reached.

    Args:
        reports: each has N / reports of the faces, one after the other, and fits of its own. As
            many reports as faces give expectations over fits.
    """
    n = len(faces.hard)
    size, offsets = (fits, len(TASKS), n), (fits, 1, reports)

    def refit() -> Array:
        drawn: Array = editor.refit * rng.normal(size=offsets)
        return drawn.repeat(n // reports, axis=2)

    logits = DIFFICULTY[:, None] + faces.hard + editor.worse + refit()
    reached = logits + 0.7 * rng.logistic(size=size) < 0
    found = {(MetricKey("reach"), EFFECT): reached.astype(float)}
    for key, family in LOSSES.items():
        loss = np.exp(
            family.centre
            + editor.worse
            + family.of_stray * faces.stray
            + family.of_hard * faces.hard
            + 0.1 * DIFFICULTY[:, None]
            + refit()
        ) * _mean_one(family.noise * editor.wild, size, rng)
        table = 1 - np.minimum(loss, 2.0) if key.recogniser else loss
        effect = EFFECT if family.matched else 0.0
        found[key, effect] = np.where(reached, table, np.nan) if family.matched else table
    return found


def _mean_one(noise: float, size: tuple[int, int, int], rng: np.random.Generator) -> Array:
    drawn: Array = np.exp(noise * rng.normal(size=size) - noise**2 / 2)
    return drawn


def reports(
    n: int,
    fits: int,
    rng: np.random.Generator,
    refit: bool,
    editors: Iterable[str] = EDITORS,
    count: int = 1,
) -> tuple[Scores, SeedScores]:
    """Editors on the same n faces, as `per_face` reads them from a run; or `count` such reports,
    whose faces stand one after the other.

    Args:
        refit: whether fits differ.
    """
    faces = Faces.drawn(count * n, rng)
    by_seed: SeedScores = {}
    for name in editors:
        editor = EDITORS[name]
        one = editor if refit else replace(editor, refit=0.0)
        for (metric, effect), tables in measured(one, faces, fits, rng, count).items():
            by_seed[name, metric, effect] = list(tables)
    return {key: mean_known(np.stack(tables)) for key, tables in by_seed.items()}, by_seed


Truth = dict[tuple[str, MetricKey, str], float]
"""By editor, or the names of two, metric and task."""


@cache
def truth(fits: int, refit: bool, pairs: tuple[tuple[str, str], ...]) -> Truth:
    """Expectations over faces and fits, of every editor and of the paired difference of `pairs`."""
    rng = np.random.default_rng(2**20)
    faces = Faces.drawn(POPULATION, rng)
    tables: dict[str, dict[tuple[MetricKey, float], Array]] = {}
    for name in dict.fromkeys(name for pair in pairs for name in pair):
        editor = EDITORS[name]
        one = editor if refit else replace(editor, refit=0.0)
        found = measured(one, faces, fits, rng, POPULATION)
        tables[name] = {key: mean_known(values) for key, values in found.items()}
    means: Truth = {}
    for name, values in tables.items():
        for (metric, _), table in values.items():
            for task, of_faces in by_task(table, TASKS):
                means[name, metric, task] = float(np.nanmean(of_faces))
    for first, second in pairs:
        for (metric, effect), table in tables[first].items():
            for task, gaps in by_task(table - tables[second][metric, effect], TASKS):
                means[f"{first} − {second}", metric, task] = float(np.nanmean(gaps))
    return means
