"""Means over images with their intervals."""

from __future__ import annotations

from itertools import product

import numpy as np

from latentedit.benchmark.cells.suite_metrics import ARRAY
from latentedit.benchmark.results.keys import ALL_TASKS, MetricKey
from latentedit.benchmark.results.paired import Refits, known, refits
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.rows import Measure
from latentedit.benchmark.results.tally import (
    Of,
    Scores,
    SeedScores,
    SeedTotals,
    Tally,
    mean_known,
    tallied,
)
from latentedit.benchmark.results.values import face_values
from latentedit.benchmark.statistics_plan import StatisticsPlan
from latentedit.measures.definitions import SHARE
from latentedit.measures.statistics import interval_of
from latentedit.measures.sums import FaceSums


def per_face(run: Run) -> tuple[Scores, SeedScores]:
    """Per (editor, metric, effect) a (T, N) array: seeds averaged, NaN where there is none;
    and the same arrays seed by seed."""
    by_seed: SeedScores = {}
    for name in run.suite.entrants:
        for t, task in enumerate(run.tasks):
            for i, edits in enumerate(run.finished(name, task)):
                rows = edits.arrays["faces"].numpy()
                for (metric, effect), found in face_values(edits, run.reference).items():
                    tables = by_seed.setdefault((name, metric, effect), [])
                    while len(tables) <= i:
                        tables.append(np.full((len(run.tasks), run.n), np.nan))
                    tables[i][t, rows] = found.double().numpy()
    means = {
        key: tables[0] if len(tables) == 1 else mean_known(np.stack(tables))
        for key, tables in by_seed.items()
    }
    return means, by_seed


def measures(
    scores: Scores, by_seed: SeedScores, tasks: list[str], plan: StatisticsPlan
) -> tuple[Measure, ...]:
    """One mean an editor, metric, effect and task that has any image."""
    return means_of(tallied(scores, by_seed, tasks), plan)


def means_of(tally: Tally, plan: StatisticsPlan) -> tuple[Measure, ...]:
    """The same from sums over images."""
    return tuple(
        _measure(of, faces, tally.seeds[of], refits(tally.fits.get(of)), plan)
        for of, faces in tally.faces.items()
        if faces.n
    )


def set_measures(run: Run) -> tuple[Measure, ...]:
    """The metrics of sets that the suite adds: one number an editor, effect and task, the mean over
    seeds, without an interval; over all tasks, the mean of the tasks."""
    rows = list[Measure]()
    if run.suite.shard is not None:  # which cannot have such metrics
        return ()
    for name, added, (i, effect) in product(
        run.suite.entrants, run.reference.added, enumerate(run.suite.effects)
    ):
        found = []
        for task in run.suite.tasks:
            cells = [edits.arrays for edits in run.finished(name, task.name)]
            array = f"matched_{ARRAY.format(added)}"
            values = [float(a[array][i]) for a in cells if a[array].ndim == 1]
            known = [value for value in values if not np.isnan(value)]
            if known:
                faces = min(int((~a["matched_strength"][i].isnan()).sum()) for a in cells)
                found.append(_of_set((name, task.name, MetricKey(added), effect), known, faces))
        if found:
            means, faces = [row.mean for row in found], sum(row.faces for row in found)
            rows += [*found, _of_set((name, ALL_TASKS, MetricKey(added), effect), means, faces)]
    return tuple(rows)


def _of_set(of: tuple[str, str, MetricKey, float], values: list[float], faces: int) -> Measure:
    return Measure(*of, float(np.mean(values)), None, None, faces, len(values), None)


def _measure(
    of: Of,
    faces: FaceSums,
    fits: SeedTotals,
    refitted: Refits,
    plan: StatisticsPlan,
) -> Measure:
    """Of each face's number, of those of each fit, and of how far they move with the fit."""
    share = of.metric.metric.unit == SHARE
    found = interval_of(faces, confidence=plan.confidence, spreads=refitted.spreads, share=share)
    means = [fit.mean for fit in fits.seeds if fit.n]
    return Measure(
        of.editor,
        of.task,
        of.metric,
        of.effect,
        mean=found.mean,
        low=known(found.low),
        high=known(found.high),
        faces=found.n,
        seeds=len(means),
        seed_sd=float(np.std(means, ddof=1)) if len(means) > 1 else None,
    )
