"""Simulated coverage of a report's 95 % intervals, and its rate of false "better" verdicts.

    python benchmarks/coverage.py                         the table, about 15 minutes on one core
    python benchmarks/coverage.py --runs 200 --faces 30 100

Every run is simulated as a benchmark makes them: faces differ in how hard they are, tasks share the
faces, hard faces are reached less often, similarities are skewed and end at 1, leakages have long
tails, and an editor is fitted and measured with noise of its own. What is checked are the rows that
`latentedit.measures.statistics.interval` and
`latentedit.benchmark.results.paired.comparisons` return for it.
The truth is the same figure over a population of 400,000 faces.

coverage  share of 95 % intervals that hold the truth; the bar is 93 to 97 %
false     share of runs of two equal editors (other noise, same expectation) in which at least one
          of the rows of a metric is called better; the bar is 5 %
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentedit.benchmark.results.paired import ALL_TASKS, by_task, comparisons
from latentedit.benchmark.suite import StatisticsPlan
from latentedit.measures.statistics import interval

Array = NDArray[np.float64]

TASKS = ["yaw", "glasses", "age", "beard"]
_DIFFICULTY = np.array([-2.5, -1.0, -0.5, 0.5])
"""Of reaching each task, in logits: 92 % of the average faces reach the first, 38 % the last."""
_POPULATION = 400_000
METRICS = ("reach", "identity similarity", "true leakage", "target error")
EFFECT = 0.8


@dataclass(frozen=True)
class Faces:
    """(N,) how hard each face is to edit and how far its edits stray, in standard scores."""

    hard: Array
    stray: Array

    @classmethod
    def drawn(cls, n: int, rng: np.random.Generator) -> Faces:
        return cls(rng.normal(size=n), rng.normal(size=n))


def measured(faces: Faces, worse: float, rng: np.random.Generator) -> dict[str, Array]:
    """What one editor leaves of each metric: (T, N), NaN where a face is not reached.

    Args:
        worse: added to every logit and log; 0 for the better of two editors.
    """
    size = (len(TASKS), len(faces.hard))
    logits = _DIFFICULTY[:, None] + faces.hard + worse + 0.7 * rng.logistic(size=size)
    reached = logits < 0
    loss = np.exp(-3 + worse + 0.6 * faces.stray + 0.3 * _DIFFICULTY[:, None] + _noise(size, rng))
    leakage = np.exp(-1.5 + worse + 0.5 * faces.stray + 0.8 * _noise(size, rng))
    values = {
        "identity similarity": 1 - np.minimum(loss, 2.0),
        "true leakage": leakage,
        "target error": np.abs(0.4 + worse + 0.3 * faces.hard + _noise(size, rng)),
    }
    # the error of asking once is there for every face, the others where the effect was matched
    found = {
        name: table if name == "target error" else np.where(reached, table, np.nan)
        for name, table in values.items()
    }
    return {"reach": reached.astype(float), **found}


def _noise(size: tuple[int, int], rng: np.random.Generator) -> Array:
    return 0.5 * rng.normal(size=size)


def coverage(n: int, runs: int, worse: float, seed: int) -> dict[tuple[str, str], float]:
    """Share of intervals that hold the truth, by metric: of one task, of all tasks, and of the
    paired difference over all tasks."""
    truth = _truth(worse)
    held: dict[tuple[str, str], list[bool]] = {}
    for rng, plan in _runs(runs, seed):
        faces = Faces.drawn(n, rng)
        first, second = measured(faces, 0.0, rng), measured(faces, worse, rng)
        for metric in METRICS:
            for task, values in by_task(first[metric], TASKS):
                found = interval(values, resamples=plan.resamples, share=metric == "reach")
                row = "all tasks" if task == ALL_TASKS else "one task"
                held.setdefault((metric, row), []).append(
                    found.low <= truth[metric, task] <= found.high
                )
        for row in _rows(first, second, plan):
            if row["task"] == ALL_TASKS and row["low"] is not None:
                metric = row["metric"]
                held.setdefault((metric, "difference"), []).append(
                    row["low"] <= truth[metric, "difference"] <= row["high"]
                )
    return {key: float(np.mean(hits)) for key, hits in held.items()}


def false_better(n: int, runs: int, seed: int) -> dict[tuple[str, str], float]:
    """Share of runs in which two equal editors are told apart, by metric: over all tasks, by the
    interval alone (without the false-discovery rate), and anywhere."""
    said: dict[tuple[str, str], list[bool]] = {}
    for rng, plan in _runs(runs, seed):
        faces = Faces.drawn(n, rng)
        rows = _rows(measured(faces, 0.0, rng), measured(faces, 0.0, rng), plan)
        for metric in METRICS:
            own = [row for row in rows if row["metric"] == metric]
            over_all = [row for row in own if row["task"] == ALL_TASKS]
            for kind, found in {
                "all tasks, interval alone": [_apart(row) for row in over_all],
                "all tasks": [row["better"] is not None for row in over_all],
                "any row": [row["better"] is not None for row in own],
            }.items():
                said.setdefault((metric, kind), []).append(any(found))
        everywhere = [row["better"] is not None for row in rows]
        said.setdefault(("any metric", "any row"), []).append(any(everywhere))
    return {key: float(np.mean(hits)) for key, hits in said.items()}


def _runs(runs: int, seed: int) -> Iterator[tuple[np.random.Generator, StatisticsPlan]]:
    for run in range(runs):
        yield np.random.default_rng([seed, run]), StatisticsPlan()


def _rows(
    first: dict[str, Array], second: dict[str, Array], plan: StatisticsPlan
) -> list[dict[str, object]]:
    scores = {
        (name, metric, EFFECT): table
        for name, tables in (("first", first), ("second", second))
        for metric, table in tables.items()
    }
    rows: list[dict[str, object]] = comparisons(scores, [("first", "second")], TASKS, plan)
    return rows


def _apart(row: dict[str, object]) -> bool:
    return row["low"] is not None and not row["low"] <= 0 <= row["high"]  # type: ignore[operator]


def _truth(worse: float) -> dict[tuple[str, str], float]:
    """Expectations over a population, by metric and task, and of the paired difference."""
    rng = np.random.default_rng(2**20)
    faces = Faces.drawn(_POPULATION, rng)
    first, second = measured(faces, 0.0, rng), measured(faces, worse, rng)
    truth = {
        (metric, task): float(np.nanmean(values))
        for metric in METRICS
        for task, values in by_task(first[metric], TASKS)
    }
    for metric in METRICS:
        *_, (_, gaps) = by_task(first[metric] - second[metric], TASKS)
        truth[metric, "difference"] = float(np.nanmean(gaps))
    return truth


def _table(
    title: str, sizes: list[int], work: Callable[[int], dict[tuple[str, str], float]]
) -> str:
    """Markdown: a row a figure, a column a number of faces."""
    found = {}
    for n in sizes:
        print(f"{title}: {n} faces", file=sys.stderr, flush=True)
        found[n] = work(n)
    head = " | ".join(f"{n} faces" for n in sizes)
    lines = [f"| {title} | | {head} |", "|---" * (2 + len(sizes)) + "|"]
    for key in found[sizes[0]]:
        cells = " | ".join(f"{found[n].get(key, float('nan')):.1%}" for n in sizes)
        lines.append(f"| {key[0]} | {key[1]} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=int, nargs="+", default=[30, 100, 200, 500])
    parser.add_argument("--runs", type=int, default=1000, help="simulated runs (default 1000)")
    parser.add_argument("--worse", type=float, default=0.1, help="how much the second editor is")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    runs, seed = given.runs, given.seed
    print(_table("coverage", given.faces, lambda n: coverage(n, runs, given.worse, seed)))
    print()
    print(_table("false", given.faces, lambda n: false_better(n, runs, seed + 1)))


if __name__ == "__main__":
    main()
