"""Sums over faces, of which means, intervals and comparisons are made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, NamedTuple, TypeVar

import numpy as np

from latentedit.benchmark.results.keys import ALL_TASKS, MetricKey
from latentedit.measures.sums import FaceSums, FitSums, FloatArray

Faces = FloatArray
"""One number a test face, NaN where there is none."""

Scores = dict[tuple[str, MetricKey, float], Faces]
"""(editor, metric, effect) → (T, N); effect 0 is 'not matched'."""

SeedScores = dict[tuple[str, MetricKey, float], list[Faces]]
"""The same, seed by seed."""

Sums = TypeVar("Sums", bound=Any)


class Of(NamedTuple):
    """What a number is of; effect 0 is 'not matched'."""

    editor: str
    metric: MetricKey
    effect: float
    task: str

    def both(self, pair: Pair) -> list[Of]:
        """The same of each of two editors."""
        return [self._replace(editor=name) for name in pair]


Pair = tuple[str, str]


class Total(NamedTuple):
    """The sum of `n` numbers."""

    n: int
    total: float

    @property
    def mean(self) -> float:
        return self.total / self.n


@dataclass(frozen=True)
class SeedTotals:
    """The sum of each fit's numbers."""

    seeds: tuple[Total, ...]

    def __add__(self, other: SeedTotals) -> SeedTotals:
        both = zip_longest(self.seeds, other.seeds, fillvalue=Total(0, 0.0))
        return SeedTotals(tuple(Total(a.n + b.n, a.total + b.total) for a, b in both))


@dataclass(frozen=True)
class Tally:
    """Sums over the faces of a run, or of some of its shards.

    Args:
        faces: of each face's number, fits averaged.
        seeds: of the numbers of each fit.
        fits: of the faces that have a number under each fit that has any.
        gaps: of each face's difference between two editors.
    """

    faces: dict[Of, FaceSums] = field(default_factory=dict)
    seeds: dict[Of, SeedTotals] = field(default_factory=dict)
    fits: dict[Of, FitSums] = field(default_factory=dict)
    gaps: dict[tuple[Pair, Of], FaceSums] = field(default_factory=dict)

    def __add__(self, other: Tally) -> Tally:
        """Over the faces of both."""
        return Tally(
            _merged(self.faces, other.faces),
            _merged(self.seeds, other.seeds),
            _merged(self.fits, other.fits),
            _merged(self.gaps, other.gaps),
        )


def tallied(
    scores: Scores, by_seed: SeedScores, tasks: list[str], pairs: Iterable[Pair] = ()
) -> Tally:
    """The sums over the faces of `scores`, fits averaged, and of `by_seed`.

    Args:
        pairs: editors whose differences are taken.
    """
    found = Tally()
    for (name, metric, effect), table in scores.items():
        for task, faces in by_task(table, tasks):
            found.faces[Of(name, metric, effect, task)] = FaceSums.of(faces)
    for (name, metric, effect), tables in by_seed.items():
        by_fit = [dict(by_task(table, tasks)) for table in tables]
        for task in by_fit[0]:
            of, fits = Of(name, metric, effect, task), [fit[task] for fit in by_fit]
            found.seeds[of] = SeedTotals(tuple(map(_total, fits)))
            if known := [fit for fit in fits if not np.isnan(fit).all()]:
                found.fits[of] = FitSums.of(np.stack(known))
    for pair in pairs:
        for (name, metric, effect), table in scores.items():
            other = scores.get((pair[1], metric, effect))
            if name == pair[0] and other is not None:
                for task, gaps in by_task(table - other, tasks):
                    found.gaps[pair, Of(name, metric, effect, task)] = FaceSums.of(gaps)
    return found


def by_task(table: Faces, tasks: list[str]) -> Iterator[tuple[str, Faces]]:
    """Each task's faces of (T, N), then all tasks with each face's cases averaged first."""
    yield from zip(tasks, table, strict=True)
    yield ALL_TASKS, mean_known(table)


def mean_known(values: Faces) -> Faces:
    """Mean over the first axis of what is not NaN; NaN only where all are."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Faces = total / known.sum(0)
    return mean


def _total(faces: Faces) -> Total:
    known = ~np.isnan(faces)
    return Total(int(known.sum()), float(np.where(known, faces, 0.0).sum()))


def _merged(first: dict[Any, Sums], second: dict[Any, Sums]) -> dict[Any, Sums]:
    return first | {key: first[key] + new if key in first else new for key, new in second.items()}
