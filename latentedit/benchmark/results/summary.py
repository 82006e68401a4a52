"""From cells to results: every figure of a report, with its interval, from one pass over a run."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import fields
from functools import reduce
from operator import add
from pathlib import Path

from latentedit.benchmark.folder import RunFolder
from latentedit.benchmark.results.accuracy import (
    agreement,
    estimator_errors,
    noise,
    photographs,
    recogniser_figures,
)
from latentedit.benchmark.results.audit import cell_counts, costs, left_out, tuning
from latentedit.benchmark.results.changes import leakage, realism
from latentedit.benchmark.results.costs import write_costs
from latentedit.benchmark.results.curves import curves
from latentedit.benchmark.results.listed import write_listed
from latentedit.benchmark.results.means import means_of, per_face, set_measures
from latentedit.benchmark.results.paired import compared, family
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.records import Results, write_results
from latentedit.benchmark.results.rows import Measure
from latentedit.benchmark.results.tally import Tally, tallied
from latentedit.benchmark.results.ways import ways
from latentedit.benchmark.suite import Suite
from latentedit.files.artefacts import write_bytes
from latentedit.files.tables import csv_text
from latentedit.measures.definitions import METRICS


def summarise(folder: Path) -> Results:
    """Write ``results.json``, ``results.csv``, ``costs.json`` and ``listed.json`` of a run.

    The results hold no clock readings: equal suites on equal machines give equal bytes.

    Raises:
        InputError: `folder` is not a run, or has no finished cell.
    """
    RunFolder.open(folder)
    run = Run(folder)
    results = results_of(run)
    write_results(folder, results)
    write_listed(folder, results)
    write_costs(folder, costs(run))
    write_bytes(folder / "results.csv", measures_csv(results).encode())
    return results


def results_of(run: Run) -> Results:
    """Every figure of `run`, computed from its cells."""
    suite = run.suite
    tally = reduce(add, (_tally(part) for part in run.parts()))
    errors, recognisers = estimator_errors(run), recogniser_figures(run)
    judged = errors["judge"].attributes if errors else {}
    plan = suite.statistics
    of = family(plan, (key[:3] for key in tally.faces), suite.effects[0], suite.control_names)
    means = means_of(tally, plan)
    return Results(
        suite=suite,
        bank_hash=run.bank.hash,
        provenance=run.provenance,
        faces=run.n,
        controls=tuple(suite.control_names),
        cells=cell_counts(run),
        estimators=errors,
        recognisers=recognisers,
        noise=noise(judged, recognisers, agreement(run), run.provenance.bank.shown.one),
        realism=realism(run),
        photographs=photographs(run),
        tuning=tuning(suite, run.store),
        measures=means + set_measures(run),
        comparisons=tuple(compared(tally, plan, of)),
        curves=curves(run),
        leakage=leakage(run),
        metrics=METRICS | {row.name: row.definition for row in run.provenance.metrics},
        left_out=left_out(run),
        ways=ways(means, run.provenance.bounds, suite.effects[0]),
    )


def _tally(run: Run) -> Tally:
    """Of the images of a run or of a part of it."""
    return tallied(*per_face(run), run.tasks, compared_pairs(run.suite))


def compared_pairs(suite: Suite) -> list[tuple[str, str]]:
    """Each editor with each other editor and each control; controls come last."""
    pairs = itertools.combinations(suite.entrants, 2)
    return [(a, b) for a, b in pairs if a not in suite.control_names]


def measures_csv(results: Results) -> str:
    """One line a measure; the parts of its metric are columns of their own. The last columns are
    the judge, and the judge by whom effects were matched."""
    columns = [field.name for field in fields(Measure)]
    at, by = columns.index("metric") + 1, results.provenance
    judges = [by.judge.name, by.matched_by or by.judge.name]
    heads = [*columns[:at], "recogniser", "edits", *columns[at:], "judge", "matched by"]
    rows: list[Sequence[object]] = [heads]
    for row in results.measures:
        values = [getattr(row, column) for column in columns]
        values[at - 1 : at] = [row.metric.name, row.metric.recogniser, row.metric.edits]
        rows.append(values + judges)
    return csv_text(rows)
