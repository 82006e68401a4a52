"""Means over images with their intervals."""

from __future__ import annotations

from itertools import product

import numpy as np

from latentedit.benchmark.cells.suite_metrics import ARRAY
from latentedit.benchmark.results.keys import ALL_TASKS, MetricKey
from latentedit.benchmark.results.paired import (
    Faces,
    Refits,
    Scores,
    SeedScores,
    by_task,
    known,
    mean_known,
    refits,
)
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.rows import Measure
from latentedit.benchmark.results.values import face_values
from latentedit.benchmark.statistics_plan import StatisticsPlan
from latentedit.measures.definitions import SHARE
from latentedit.measures.statistics import interval


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
    rows = []
    for (name, metric, effect), table in scores.items():
        fits = [dict(by_task(fit, tasks)) for fit in by_seed[name, metric, effect]]
        spread = refits(by_seed[name, metric, effect], tasks)
        for task, faces in by_task(table, tasks):
            if not np.isnan(faces).all():
                of = (name, task, metric, effect)
                rows.append(_measure(of, faces, [f[task] for f in fits], spread[task], plan))
    return tuple(rows)


def set_measures(run: Run) -> tuple[Measure, ...]:
    """The metrics of sets that the suite adds: one number an editor, effect and task, the mean over
    seeds, without an interval; over all tasks, the mean of the tasks."""
    rows = []
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
    of: tuple[str, str, MetricKey, float],
    faces: Faces,
    fits: list[Faces],
    refitted: Refits,
    plan: StatisticsPlan,
) -> Measure:
    """Of (N,) values, of those of each fit, and of how far they move with the fit."""
    share = of[2].metric.unit == SHARE
    found = interval(faces, confidence=plan.confidence, spreads=refitted.spreads, share=share)
    means = [float(np.nanmean(fit)) for fit in fits if not np.isnan(fit).all()]
    return Measure(
        *of,
        mean=found.mean,
        low=known(found.low),
        high=known(found.high),
        faces=found.n,
        seeds=len(means),
        seed_sd=float(np.std(means, ddof=1)) if len(means) > 1 else None,
    )
