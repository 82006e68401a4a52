"""What the run folders of a study say, as rows of plain figures."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import TypeAdapter
from study_settings import Setting, seeded

from latentedit.benchmark.results.keys import MetricKey
from latentedit.benchmark.results.means import per_face
from latentedit.benchmark.results.paired import mean_known
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.suite import Suite
from latentedit.files.artefacts import write_bytes
from latentedit.files.tables import csv_text
from latentedit.measures.statistics import fit_spread, interval

METRICS = (
    "reach",
    "identity similarity",
    "true identity drift",
    "true leakage",
    "attribute leakage",
    "target error",
)
"""What the study compares, in the order of its tables."""

DIGITS = 5


@dataclass(frozen=True)
class Mean:
    """An editor's mean over faces and fits in one setting, over all tasks.

    Args:
        recogniser: empty for a metric without one.
        effect: the matched share of the change; 0 where none is matched.
        fit_sd: standard deviation of the means of single fits, beyond the noise of faces; None
            below two fits.
    """

    world: str
    world_seed: int
    bank_seed: int
    editor: str
    metric: str
    recogniser: str
    effect: float
    mean: float
    faces: int
    fits: int
    fit_sd: float | None


@dataclass(frozen=True)
class Difference:
    """First − second on the same faces of one setting, over all tasks.

    Args:
        low, high: 95 % interval over these faces and fits; None for too few faces.
        face_sd: standard deviation of the difference between faces.
        fit_variance: variance of the difference between pairs of single fits; 0 where no seed
            changes either editor, None where there are too few fits to know.
        fits: of the editor with fewer, of those that a seed changes.
    """

    world: str
    world_seed: int
    bank_seed: int
    first: str
    second: str
    metric: str
    recogniser: str
    effect: float
    difference: float
    low: float | None
    high: float | None
    faces: int
    face_sd: float
    fit_variance: float | None
    fits: int

    @property
    def of(self) -> tuple[str, str, str, str, float]:
        return self.first, self.second, self.metric, self.recogniser, self.effect


Row = TypeVar("Row", Mean, Difference)


class Finished:
    """One setting's run folder, with every fit that it has."""

    def __init__(self, folder: Path, setting: Setting, suite: Suite) -> None:
        run = Run(folder)
        run.suite = setting.suite(suite)  # the folder's own names the fits of its last stage
        self.place = (setting.world, setting.world_seed, setting.bank_seed)
        self.editors, self._seeded = list(run.suite.entrants), seeded(suite)
        self._scores, self._by_fit = per_face(run)

    def _keys(self) -> list[tuple[MetricKey, float]]:
        found = {(key, effect) for _, key, effect in self._scores if key.name in METRICS}
        return sorted(found, key=lambda k: (METRICS.index(k[0].name), k[0].recogniser, k[1]))

    def means(self) -> Iterator[Mean]:
        for name, (key, effect) in itertools.product(self.editors, self._keys()):
            found = interval(mean_known(self._scores[name, key, effect]))
            if found.n:
                variance = self._fit_variance(name, key, effect)
                spread = None if variance is None else rounded(variance**0.5)
                count = len(self._by_fit[name, key, effect])
                of = (*self.place, name, key.name, key.recogniser, effect)
                yield Mean(*of, rounded(found.mean), found.n, count, spread)

    def differences(self) -> Iterator[Difference]:
        for pair in itertools.combinations(self.editors, 2):
            for key, effect in self._keys():
                one, other = (self._scores[name, key, effect] for name in pair)
                faces = mean_known(one - other)
                found = interval(faces)
                if found.n < 2:
                    continue
                spreads = [self._fit_variance(name, key, effect) for name in pair]
                known = [v for v in spreads if v is not None]
                yield Difference(
                    *self.place,
                    *pair,
                    key.name,
                    key.recogniser,
                    effect,
                    difference=rounded(found.mean),
                    low=_finite(found.low),
                    high=_finite(found.high),
                    faces=found.n,
                    face_sd=rounded(float(np.nanstd(faces, ddof=1))),
                    fit_variance=rounded(sum(known)) if len(known) == len(spreads) else None,
                    fits=min(
                        (len(self._by_fit[n, key, effect]) for n in pair if n in self._seeded),
                        default=1,
                    ),
                )

    def _fit_variance(self, editor: str, key: MetricKey, effect: float) -> float | None:
        """Of the means of single fits; 0 for an editor that no seed changes."""
        if editor not in self._seeded:
            return 0.0
        tables = self._by_fit[editor, key, effect]
        spread = fit_spread(np.stack([mean_known(table) for table in tables]))
        return None if spread is None else spread.variance * len(tables)


def rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _finite(value: float) -> float | None:
    return None if np.isnan(value) else rounded(value)


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """As CSV, one column a field."""
    heads = [field.name for field in fields(rows[0])]
    write_bytes(path, csv_text([heads, *map(astuple, rows)]).encode())


def read_rows(path: Path, of: type[Row]) -> list[Row]:
    """What `write_rows` wrote; an empty cell is None where a figure may be missing."""
    missing = {field.name for field in fields(of) if "None" in str(field.type)}
    with path.open(encoding="utf-8", newline="") as file:
        rows = [
            {k: None if v == "" and k in missing else v for k, v in row.items()}
            for row in csv.DictReader(file)
        ]
    return TypeAdapter(list[of]).validate_python(rows)  # type: ignore[valid-type]
