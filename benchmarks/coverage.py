"""Simulated error rates of whole reports: coverage of intervals, and false verdicts.

    python benchmarks/coverage.py                             all figures, some minutes on one core
    python benchmarks/coverage.py --fits 5 --intervals 10000  some of them, more precisely

They replace those of the same numbers of faces and fits in docs/results. `make figures` writes them
into docs/statistics.md.

A simulated report has five editors, four tasks, six metrics, one to five fits and about 40 %
missing cases; `simulated_reports.py` says how they are drawn. Its verdicts are those of
`latentedit.benchmark.results.paired.comparisons`, and its intervals those of
`latentedit.measures.statistics`. The truth is that of 100,000 faces with a fit of their own each.
With fewer than five fits it is the truth of these fits.

coverage  share of printed 95 % intervals that contain the truth; the bar is 93 to 97 %. Each figure
          is of as many intervals as asked for, or more. The reports are of three editors.
verdicts  share of reports that prefer one of two editors with equal expectations; the bar is 5 %
bootstrap  coverage of the plain bootstrap over faces × fits, which reports do not use
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from coverage_tables import FIGURES, Figure, read, written
from simulated_reports import (
    EDITORS,
    EFFECT,
    EQUALS,
    TASKS,
    Array,
    Truth,
    reports,
    truth,
)

from latentedit.benchmark.results.comparison import ENOUGH_FITS, Comparison
from latentedit.benchmark.results.keys import ALL_TASKS, MetricKey
from latentedit.benchmark.results.paired import ONE_FIT, Refits, comparisons, family, refits
from latentedit.benchmark.results.tally import Scores, SeedScores, by_task, mean_known
from latentedit.benchmark.statistics_plan import StatisticsPlan
from latentedit.files.artefacts import write_bytes
from latentedit.measures.definitions import SHARE
from latentedit.measures.statistics import (
    FEWEST,
    Difference,
    Interval,
    Spread,
    difference_of,
    interval_of,
)
from latentedit.measures.sums import FaceSums, FitSums

PLAN = StatisticsPlan()
DIFFERENT = ("equal", "worse")
PAIRS = (EQUALS, DIFFERENT)
COMPARED = tuple(dict.fromkeys(itertools.chain(*PAIRS)))
BOOTSTRAPPED = ("target error", "equal editors, all tasks")
RESAMPLES = 500
MOST = 10
"""Most reports for each interval that is asked for, where few reports have one."""

BATCH = 200
"""Reports that are drawn at once."""

Key = tuple[str, str, str]
"""Table, metric and row."""
Cell = tuple[str, MetricKey, str]
"""Editor, metric and task."""
Hits = dict[Key, list[list[bool]]]
"""By report."""


def figures(n: int, fits: int, runs: int, intervals: int, seed: int) -> list[Figure]:
    """Of n faces: verdicts of `runs` reports of each kind, coverage of `intervals` of each kind."""
    found = _verdicts(n, fits, runs, seed)
    if n >= FEWEST:
        found |= _coverage(n, fits, intervals, seed)
        if fits >= ENOUGH_FITS:
            found |= _bootstrap(n, fits, runs, seed)
    return [Figure(*key, fits, n, *share(hits)) for key, hits in found.items()]


def share(hits: list[list[bool]]) -> tuple[float, int, float]:
    """The share of hits, their number, and the standard error of the share, which takes the hits of
    one report as one."""
    count = np.array([len(of_report) for of_report in hits])
    held = np.array([sum(of_report) for of_report in hits])
    share = held.sum() / count.sum()
    error = np.sqrt(((held - share * count) ** 2).sum()) / count.sum()
    return float(share), int(count.sum()), float(error)


def _verdicts(n: int, fits: int, runs: int, seed: int) -> Hits:
    """Of few fits both where they differ and where they do not."""
    hits: Hits = {}
    for refit in (True,) if fits >= ENOUGH_FITS else (False, True):
        for run in range(runs):
            rng = np.random.default_rng([seed, n, fits, run])
            rows = _comparisons(*reports(n, fits, rng, refit))
            for key, said in _said(rows, "" if refit else ", fits alike"):
                hits.setdefault(("verdicts", *key), []).append([said])
    return hits


def _coverage(n: int, fits: int, intervals: int, seed: int) -> Hits:
    """Of few fits where they do not differ, since the intervals are of these fits."""
    refit = fits >= ENOUGH_FITS
    true, hits = truth(fits, refit, PAIRS), Hits()
    for batch in range(MOST * math.ceil(intervals / BATCH)):
        rng = np.random.default_rng([seed, n, fits, batch, 1])
        scores, by_seed = reports(n, fits, rng, refit, COMPARED, BATCH)
        for key, held in intervals_hold(scores, by_seed if refit else {}, true, BATCH).items():
            hits.setdefault(key, []).extend(held)
        if all(not count or count >= intervals for count in map(_count, hits.values())):
            break
    return {key: held for key, held in hits.items() if _count(held)}


def _count(hits: list[list[bool]]) -> int:
    return sum(map(len, hits))


def _comparisons(scores: Scores, by_seed: SeedScores) -> list[Comparison]:
    """As in a report: each editor with each later one."""
    pairs = itertools.combinations(EDITORS, 2)
    return comparisons(scores, pairs, TASKS, PLAN, family(PLAN, scores, EFFECT, ()), by_seed)


def _bootstrap(n: int, fits: int, runs: int, seed: int) -> Hits:
    """Whether the percentiles of resampled faces × fits hold the true difference of 0.

    Reports do not use this interval: a few resampled fits scatter less than new ones.
    """
    held = []
    for run in range(runs):
        rng = np.random.default_rng([seed, n, fits, run, 2])
        held.append([_percentiles_hold_none(reports(n, fits, rng, True, EQUALS)[1], rng)])
    return {("bootstrap", *BOOTSTRAPPED): held}


def _percentiles_hold_none(by_seed: SeedScores, rng: np.random.Generator) -> bool:
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


def intervals_hold(scores: Scores, by_seed: SeedScores, true: Truth, count: int) -> Hits:
    """Whether each printed interval of `count` reports holds the truth: of means and differences.

    Args:
        by_seed: empty if the intervals are of these fits.
    """
    hits: Hits = {}
    refitted = _refitted(by_seed, count)

    def add(of: Cell, row: str, found: Iterable[Interval | Difference]) -> None:
        row += "all tasks" if of[2] == ALL_TASKS else "one task"
        held = hits.setdefault(("coverage", str(of[1]), row), [[] for _ in range(count)])
        for of_report, one in zip(held, found, strict=True):
            if not math.isnan(one.low):
                of_report.append(one.low <= true[of] <= one.high)

    for (name, metric, effect), table in scores.items():
        if name != COMPARED[0]:
            continue
        share = metric.metric.unit == SHARE
        for task, faces in by_task(table, TASKS):
            spreads = _spreads([refitted[name, metric, task]])
            means = (
                interval_of(sums, spreads=spread, share=share)
                for sums, spread in zip(_sums(faces, count), spreads, strict=True)
            )
            add((name, metric, task), "", means)
        for pair in PAIRS:
            for task, faces in by_task(table - scores[pair[1], metric, effect], TASKS):
                spreads = _spreads([refitted[one, metric, task] for one in pair])
                gaps = (
                    difference_of(sums, spreads=spread, share=share)
                    for sums, spread in zip(_sums(faces, count), spreads, strict=True)
                )
                row = "equal editors, " if pair == EQUALS else "different editors, "
                add((" − ".join(pair), metric, task), row, gaps)
    return hits


def _sums(faces: Array, count: int) -> list[FaceSums]:
    """Of each report."""
    return [FaceSums.of(of_report) for of_report in faces.reshape(count, -1)]


def _refitted(by_seed: SeedScores, count: int) -> dict[Cell, list[Refits]]:
    """Of each report."""
    found = defaultdict[Cell, list[Refits]](lambda: [ONE_FIT] * count)
    for (name, metric, _), tables in by_seed.items():
        by_fit = [dict(by_task(table, TASKS)) for table in tables]
        for task in by_fit[0]:
            fits = np.split(np.stack([fit[task] for fit in by_fit]), count, axis=1)
            known = (of_report[~np.isnan(of_report).all(1)] for of_report in fits)
            found[name, metric, task] = [refits(FitSums.of(k) if len(k) else None) for k in known]
    return found


def _spreads(editors: list[list[Refits]]) -> Iterator[list[Spread]]:
    """Of each report, as in its comparisons."""
    for of_report in zip(*editors, strict=True):
        enough = min(one.number for one in of_report) >= ENOUGH_FITS
        yield [spread for one in of_report for spread in one.spreads] if enough else []


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
    parser.add_argument("--fits", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--runs", type=int, default=400, help="reports of each kind (default 400)")
    parser.add_argument("--intervals", type=int, default=2000, help="of each kind (default 2000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--csv", type=Path, default=FIGURES)
    given = parser.parse_args()
    for fits, n in itertools.product(given.fits, given.faces):
        print(f"{fits} fits, {n} faces", file=sys.stderr, flush=True)
        found = figures(n, fits, given.runs, given.intervals, given.seed)
        kept = read(given.csv) if given.csv.exists() else []
        found += [figure for figure in kept if (figure.fits, figure.faces) != (fits, n)]
        found.sort(key=lambda figure: (figure.fits, figure.faces))
        write_bytes(given.csv, written(found).encode())


if __name__ == "__main__":
    main()
