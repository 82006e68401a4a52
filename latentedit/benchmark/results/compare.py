"""Compares editors across runs, on the images that both edited."""

from __future__ import annotations

import itertools
from pathlib import Path

from latentedit.benchmark.results.comparison import Comparison
from latentedit.benchmark.results.means import per_face
from latentedit.benchmark.results.paired import comparisons, family
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.tally import Scores, SeedScores
from latentedit.errors import FingerprintMismatch, InputError, UnknownName


def compare_runs(
    first: Path, second: Path, editors: tuple[str, str] | None = None
) -> list[Comparison]:
    """Paired differences first − second with intervals, for the tasks that the runs share.

    Args:
        first, second: run folders; the same one twice compares its editors with each other.
        editors: one editor of each run. If not given: all pairs of one run, or every editor that
            two runs both have against itself.

    Returns:
        As `comparisons` makes them; each editor has its run in its name.

    Raises:
        FingerprintMismatch: the runs edited other images, or had another judge or recognisers.
        InputError: the runs share no task or no editor.
    """
    a, b = Run(first), Run(second)
    _check_comparable(a, b)
    tasks = [task.name for task in a.suite.tasks if task in b.suite.tasks]
    pairs = [editors] if editors else _pairs(a, b)
    if not tasks or not pairs:
        raise InputError(f"{first} and {second} share no {'editor' if tasks else 'task'}")
    for run, name in ((a, pairs[0][0]), (b, pairs[0][1])):
        if name not in run.suite.entrants:
            raise UnknownName("editor", name, run.suite.entrants, f"in {run.folder}")
    (scores, by_seed), (others, others_by_seed) = _labelled(a, tasks), _labelled(b, tasks)
    labelled = [(_label(left, a), _label(right, b)) for left, right in pairs]
    seeds = by_seed | others_by_seed
    plan, scores = a.suite.statistics, scores | others
    controls = [_label(name, run) for run in (a, b) for name in run.suite.control_names]
    of = family(plan, scores, a.suite.effects[0], controls)
    return comparisons(scores, labelled, tasks, plan, of, seeds)


def _pairs(a: Run, b: Run) -> list[tuple[str, str]]:
    if a.folder.resolve() == b.folder.resolve():
        return list(itertools.combinations(a.suite.entrants, 2))
    return [(name, name) for name in a.suite.entrants if name in b.suite.entrants]


def _check_comparable(a: Run, b: Run) -> None:
    """Refuse runs of different images, judges or recognisers."""
    for what, of in (
        ("bank", lambda run: run.bank.hash),
        ("judge", lambda run: run.provenance.judge.fingerprint),
        ("recogniser", lambda run: [e.fingerprint[:12] for e in run.provenance.identity]),
    ):
        if of(a) != of(b):
            raise FingerprintMismatch(
                what, str(a.folder), str(of(a))[:60], str(b.folder), str(of(b))[:60]
            )


def _labelled(run: Run, tasks: list[str]) -> tuple[Scores, SeedScores]:
    """The run's scores of `tasks`, and seed by seed, under labels that also name the run."""
    at = [[task.name for task in run.suite.tasks].index(name) for name in tasks]
    scores, by_seed = per_face(run)
    return (
        {(_label(n, run), metric, e): t[at] for (n, metric, e), t in scores.items()},
        {
            (_label(n, run), metric, e): [t[at] for t in tables]
            for (n, metric, e), tables in by_seed.items()
        },
    )


def _label(editor: str, run: Run) -> str:
    return f"{editor} @ {run.folder}"
