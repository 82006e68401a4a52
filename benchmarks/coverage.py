"""Simulated error rates of whole reports: coverage of intervals, and false verdicts.

    python benchmarks/coverage.py                   all figures, some minutes on one core
    python benchmarks/coverage.py --runs 2000       the same, more precise

They are written into docs/results. `make figures` writes them into docs/statistics.md.

A simulated report has five editors and a control, four tasks, six metrics, one to five fits and
about 40 % missing cases; `simulated_reports.py` says how they are drawn. Its intervals and verdicts
are those of `latentedit.benchmark.results.means.measures` and
`latentedit.benchmark.results.paired.comparisons`. The truth is that of 100,000 faces with a fit
of their own each. With fewer than five fits it is the truth of these fits.

coverage  share of printed 95 % intervals that contain the truth; the bar is 93 to 97 %
verdicts  share of reports that prefer one of two editors with equal expectations; the bar is 5 %
bootstrap  coverage of the plain bootstrap over faces × fits, which reports do not use
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from coverage_tables import FIGURES, Figure, written
from simulated_reports import (
    CONTROLS,
    EDITORS,
    EFFECT,
    EQUALS,
    TASKS,
    Array,
    Truth,
    report,
    truth,
)

from latentedit.benchmark.results.comparison import ENOUGH_FITS, Comparison
from latentedit.benchmark.results.keys import ALL_TASKS, MetricKey
from latentedit.benchmark.results.means import measures
from latentedit.benchmark.results.paired import comparisons, family
from latentedit.benchmark.results.tally import Scores, SeedScores, mean_known
from latentedit.benchmark.statistics_plan import StatisticsPlan
from latentedit.files.artefacts import write_bytes
from latentedit.measures.statistics import FEWEST

PLAN = StatisticsPlan()
DIFFERENT = ("equal", "worse")
PAIRS = (EQUALS, DIFFERENT)
BOOTSTRAPPED = ("target error", "equal editors, all tasks")
RESAMPLES = 500


def figures(faces: list[int], fits: list[int], runs: int, seed: int) -> Iterator[Figure]:
    """Every figure, for each number of faces and fits."""
    for s in fits:
        for n in faces:
            print(f"{s} fits, {n} faces", file=sys.stderr, flush=True)
            yield from _setting(n, s, runs, seed)


def _setting(n: int, fits: int, runs: int, seed: int) -> Iterator[Figure]:
    """Of few fits the intervals are checked where fits do not differ, since they are of these
    fits; verdicts are counted in both ways."""
    counted: dict[tuple[str, str, str], list[bool]] = {}
    for refit in (True,) if fits >= ENOUGH_FITS else (False, True):
        true = truth(fits, refit, PAIRS)
        for run in range(runs):
            rng = np.random.default_rng([seed, n, fits, run])
            scores, by_seed = report(n, fits, rng, refit)
            rows = _comparisons(scores, by_seed)
            for key, said in _said(rows, "" if refit else ", fits alike"):
                counted.setdefault(("verdicts", *key), []).append(said)
            if refit == (fits >= ENOUGH_FITS):
                one = {key: table for key, table in scores.items() if key[0] == "equal"}
                for key, held in _held(one, by_seed, rows, true):
                    counted.setdefault(("coverage", *key), []).append(held)
            if refit and fits > 1 and n >= FEWEST:
                held = _bootstrap_holds_none(by_seed, rng)
                counted.setdefault(("bootstrap", *BOOTSTRAPPED), []).append(held)
    for (table, metric, row), hits in counted.items():
        yield Figure(table, metric, row, fits, n, float(np.mean(hits)), len(hits))


def _comparisons(scores: Scores, by_seed: SeedScores) -> list[Comparison]:
    """As in a report: each editor with each later editor and control."""
    pairs = [(a, b) for a, b in itertools.combinations([*EDITORS, *CONTROLS], 2) if a in EDITORS]
    of = family(PLAN, scores, EFFECT, CONTROLS)
    return comparisons(scores, pairs, TASKS, PLAN, of, by_seed)


def _bootstrap_holds_none(by_seed: SeedScores, rng: np.random.Generator) -> bool:
    """Whether the percentiles of resampled faces × fits hold the true difference of 0.

    Reports do not use this interval: a few resampled fits scatter less than new ones.
    """
    drawn = [
        np.stack([mean_known(table) for table in by_seed[name, MetricKey(BOOTSTRAPPED[0]), 0.0]])
        for name in EQUALS
    ]
    n, fits = drawn[0].shape[1], drawn[0].shape[0]

    def weights(of: int) -> Array:
        counts: Array = rng.multinomial(of, np.full(of, 1 / of), size=RESAMPLES) / of
        return counts

    faces = weights(n)
    means = [((weights(fits) @ values) * faces).sum(1) for values in drawn]
    low, high = np.quantile(means[0] - means[1], [0.025, 0.975])
    return bool(low <= 0 <= high)


def _held(
    scores: Scores, by_seed: SeedScores, rows: list[Comparison], true: Truth
) -> Iterator[tuple[tuple[str, str], bool]]:
    """Whether each printed interval holds the truth: of means and of differences."""
    for mean in measures(scores, by_seed, TASKS, PLAN):
        if mean.low is not None and mean.high is not None:
            row = "all tasks" if mean.task == ALL_TASKS else "one task"
            held = mean.low <= true[mean.editor, mean.metric, mean.task] <= mean.high
            yield (str(mean.metric), row), held
    for gap in rows:
        if gap.pair in PAIRS and gap.low is not None and gap.high is not None:
            row = "equal" if gap.pair == EQUALS else "different"
            row += " editors, " + ("all tasks" if gap.task == ALL_TASKS else "one task")
            expected = true[" − ".join(gap.pair), gap.metric, gap.task]
            yield (str(gap.metric), row), gap.low <= expected <= gap.high


def _said(rows: list[Comparison], how: str) -> Iterator[tuple[tuple[str, str], bool]]:
    """What a report says of the two equal editors, and of two different ones."""
    equal = [row for row in rows if row.pair == EQUALS]
    different = [row for row in rows if row.pair == DIFFERENT]
    yield ("any metric", f"equal, better{how}"), any(row.better for row in equal)
    yield ("any metric", f"equal, ahead or better{how}"), any(row.leader for row in equal)
    yield (
        ("any metric", f"equal, p ≤ 0.05 in any row{how}"),
        any(row.p <= PLAN.error_rate for row in equal),
    )
    yield ("any metric", f"different, ahead or better{how}"), any(row.leader for row in different)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=int, nargs="+", default=[5, 10, 20, 50, 200])
    parser.add_argument("--fits", type=int, nargs="+", default=[1, 3, 5])
    parser.add_argument("--runs", type=int, default=400, help="reports of each kind (default 400)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--csv", type=Path, default=FIGURES)
    given = parser.parse_args()
    found = list(figures(given.faces, given.fits, given.runs, given.seed))
    write_bytes(given.csv, written(found).encode())


if __name__ == "__main__":
    main()
