"""What the run folders of a study say, as rows of plain figures."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from pydantic import TypeAdapter
from study_measure import BANK, EDITS, FACES, SEEDED, SUITE, Fit, array_name, fits
from study_settings import Setting

from latentedit import LatentBank, read_record, read_tensors
from latentedit.benchmark.results.keys import MetricKey
from latentedit.benchmark.results.tally import Faces, Scores, SeedScores, mean_known
from latentedit.benchmark.results.values import FinishedEdits, Reference, face_values
from latentedit.benchmark.suite import Suite
from latentedit.benchmark.task import Task
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

DIGITS = 4


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
    """First − second of two editors on the same faces of one setting, over all tasks.

    Args:
        low, high: 95 % interval over these faces and fits; None for too few faces.
        face_sd: standard deviation of the difference between faces.
        fit_variance: variance of the difference between single fits, beyond the noise of faces; 0
            where no seed changes either editor, None where there are too few fits to know.
        fits: how many there are; one where no seed changes either editor.
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


Row = TypeVar("Row")
"""A frozen dataclass of plain figures."""


class Finished:
    """One setting's measurements.

    Args:
        thresholds: of same persons, by recogniser.
    """

    def __init__(self, folder: Path, setting: Setting, thresholds: Mapping[str, float]) -> None:
        self.place = (setting.world, setting.world_seed, setting.bank_seed)
        self.suite = read_record(folder / SUITE, Suite)
        bank = LatentBank.open(folder / BANK)
        sigma = bank.split("fit").attributes.std(0).clamp_min(1e-6)
        faces = read_tensors(folder / FACES)
        self.reference = Reference(self.suite, bank.schema, faces, sigma, thresholds)
        self._arrays = read_tensors(folder / EDITS)
        self.editors = list(self.suite.entrants)
        self.by_fit = self._per_face(len(faces["judged"]))
        self._scores = {key: mean_known(np.stack(tables)) for key, tables in self.by_fit.items()}

    def edits(self, fit: Fit, task: Task) -> FinishedEdits:
        """As of a run's cell; NaN for what the study does not measure."""
        start = array_name(fit, task.name, "")
        arrays = {k.removeprefix(start): v for k, v in self._arrays.items() if k.startswith(start)}
        unknown = torch.full_like(arrays["change"], float("nan"))
        recognisers, effects = len(self.suite.identity), len(self.suite.effects)
        arrays["round_trip_identity"] = unknown.expand(recognisers, -1)
        arrays |= dict.fromkeys(("round_trip", "round_trip_pixels"), unknown)
        for name in ("kernel", "likelihood", "mahalanobis"):
            arrays[f"matched_{name}"] = unknown.expand(effects, -1)
        return FinishedEdits(arrays, task.name, task.attribute)

    def _per_face(self, count: int) -> SeedScores:
        """Per (editor, metric, effect) a (T, N) array for each fit."""
        found: SeedScores = {}
        for fit in fits(self.suite):
            tables: Scores = {}
            for t, task in enumerate(self.suite.tasks):
                edits = self.edits(fit, task)
                rows = edits.arrays["faces"].numpy()
                for (metric, effect), values in face_values(edits, self.reference).items():
                    shape = (len(self.suite.tasks), count)
                    table = tables.setdefault((fit[0], metric, effect), np.full(shape, np.nan))
                    table[t, rows] = values.double().numpy()
            for key, table in tables.items():
                found.setdefault(key, []).append(table)
        return found

    def _keys(self) -> list[tuple[MetricKey, float]]:
        found = {(key, effect) for _, key, effect in self._scores if key.name in METRICS}
        return sorted(found, key=lambda k: (METRICS.index(k[0].name), k[0].recogniser, k[1]))

    def means(self) -> Iterator[Mean]:
        for name, (key, effect) in itertools.product(self.editors, self._keys()):
            found = interval(mean_known(self._scores[name, key, effect]))
            if found.n:
                fits = [mean_known(table) for table in self.by_fit[name, key, effect]]
                spread = fit_spread(np.stack(fits))
                yield Mean(
                    *self.place,
                    name,
                    key.name,
                    key.recogniser,
                    effect,
                    mean=rounded(found.mean),
                    faces=found.n,
                    fits=len(fits),
                    fit_sd=spread and rounded((max(spread.variance, 0.0) * len(fits)) ** 0.5),
                )

    def differences(self) -> Iterator[Difference]:
        for pair in itertools.combinations(self.suite.editors, 2):
            for key, effect in self._keys():
                one, other = (self._scores[name, key, effect] for name in pair)
                faces = mean_known(one - other)
                fits = self._by_fit(*pair, key, effect)
                spread = fit_spread(fits)
                found = interval(faces, spreads=[spread] if spread else [])
                if found.n < 2:
                    continue
                variance = max(spread.variance, 0.0) * len(fits) if spread else None
                if len(fits) == 1:
                    variance = None if self._seeded(*pair) else 0.0
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
                    fit_variance=None if variance is None else rounded(variance),
                    fits=len(fits),
                )

    def _by_fit(self, first: str, second: str, key: MetricKey, effect: float) -> Faces:
        """(S, N) the difference under each seed; an editor without seeds has one fit for all."""
        tables = [self.by_fit[name, key, effect] for name in (first, second)]
        count = max(map(len, tables))
        ones, others = (t * count if len(t) == 1 else t for t in tables)
        return np.stack([mean_known(a - b) for a, b in zip(ones, others, strict=True)])

    def _seeded(self, *editors: str) -> bool:
        return any(self.suite.entrants[name].plugin in SEEDED for name in editors)


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
