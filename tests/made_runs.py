"""Runs written by hand: every number in them is another one, and every picture another colour."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from flat_results import key_of, write_flat
from made_cells import edit_arrays, fit_attributes, unedited
from made_world import (
    CONTROLS,
    CURVED,
    EDITORS,
    EFFECTS,
    GRID,
    MATCHED,
    OF_SEQUENCES,
    REACH,
    RECOGNISERS,
    SCHEMA,
    SUITE,
    TASKS,
    THRESHOLDS,
    UNMATCHED,
    N,
)

from latentedit.benchmark.cells.store import Cell, CellStore, Outcome
from latentedit.benchmark.suite import Suite
from latentedit.data.bank import LatentBank, ModelReference
from latentedit.data.split import Split
from latentedit.files.artefacts import write_json
from latentedit.measures.definitions import METRICS


def measures(names: Sequence[str] = (*EDITORS, *CONTROLS), number: int = 0) -> list[dict[str, Any]]:
    """A row an editor, metric, effect and task; means 0.0137 apart, bounds 0.31 and 0.57 off, and
    everything 10 more in the next run."""
    rows: list[dict[str, Any]] = []
    combinations = [
        (metric, effect, task)
        for metric, effects, tasks in (
            *((m, (0.0,), TASKS) for m in UNMATCHED),
            *((m, EFFECTS, TASKS) for m in MATCHED),
            *((m, (0.0,), ("both",)) for m in OF_SEQUENCES),
        )
        for effect in effects
        for task in (*tasks, "all tasks")
    ]
    for editor, (metric, effect, task) in itertools.product(names, combinations):
        mean = 1.00046 + 0.0137 * len(rows) + 10 * number
        if (metric, effect, task, number) == ("reach", 0.8, "all tasks", 0):
            mean = REACH[editor]
        rows.append(
            {
                "editor": editor,
                "task": task,
                "metric": metric,
                "effect": effect,
                "mean": mean,
                "low": mean - 0.31,
                "high": mean + 0.57,
                "faces": 100 + len(rows),
                "seeds": 1,
                "seed_sd": None,
            }
        )
    return rows


BETTER = {
    "reach": ("alpha", "alpha", "gamma"),
    "identity similarity · rec-zeta": ("alpha", "alpha", "beta"),
    "identity similarity · rec-eta": ("beta", None, "beta"),
    "attribute leakage": ("beta", "gamma", "gamma"),
    "true leakage": (None, "alpha", None),
    "target error": ("beta", "alpha", "beta"),
}
"""Over all tasks at the first effect: who is better of alpha and beta, alpha and gamma, beta and
gamma. So alpha is best by rec-zeta, beta by rec-eta and in target error, gamma in leakage."""
PRIMARY = tuple(BETTER)
WON = {
    ("beta", "identity similarity · rec-zeta"): ("alpha", "beta", "alpha"),
    ("beta", "identity similarity · rec-eta"): (None, None, None),
    ("beta", "attribute leakage"): ("beta", "beta", None),
    ("beta", "true leakage"): (None, "alpha", None),
    ("gamma", "identity similarity · rec-zeta"): ("alpha", "alpha", "alpha"),
    ("gamma", "identity similarity · rec-eta"): (None, "gamma", "alpha"),
    ("gamma", "attribute leakage"): ("gamma", "alpha", "gamma"),
    ("gamma", "true leakage"): (None, None, "alpha"),
}
"""By the second editor and metric, who is better of alpha and it on each task."""


def comparisons() -> list[dict[str, Any]]:
    """Each editor with each other and each control; at the second effect gamma always wins, and
    every control is better than every editor."""
    rows: list[dict[str, Any]] = []
    pairs = [p for p in itertools.combinations((*EDITORS, *CONTROLS), 2) if p[0] in EDITORS]
    compared = [(m, e) for m in MATCHED for e in EFFECTS[::-1]] + [(m, 0.0) for m in UNMATCHED]
    for (first, second), (metric, effect) in itertools.product(pairs, compared):
        for task in (*TASKS, "all tasks"):
            rows.append(
                {
                    "first": first,
                    "second": second,
                    "task": task,
                    "metric": metric,
                    "effect": effect,
                    "verdict": _verdict(first, second, metric, effect, task),
                }
                | _difference(first, second, metric, effect, task, len(rows))
            )
    return rows


def _better(first: str, second: str, metric: str, effect: float, task: str) -> str | None:
    if second in CONTROLS:
        return second
    if effect == 0.5:
        return "gamma" if second == "gamma" else second
    if task == "all tasks":
        at = [("alpha", "beta"), ("alpha", "gamma"), ("beta", "gamma")].index((first, second))
        return BETTER.get(metric, (None, None, None))[at]
    if first == "alpha" and (second, metric) in WON:
        return WON[second, metric][TASKS.index(task)]
    return first


def _verdict(first: str, second: str, metric: str, effect: float, task: str) -> str:
    """Over all tasks an editor is ahead of another one; all else is exploratory."""
    if second in CONTROLS or task != "all tasks" or metric not in PRIMARY:
        return "exploratory"
    leads = {first: "ahead", second: "behind", None: "undecided"}
    return leads[_better(first, second, metric, effect, task)]


def _difference(
    first: str, second: str, metric: str, effect: float, task: str, count: int
) -> dict[str, Any]:
    better = _better(first, second, metric, effect, task)
    higher = key_of(metric).metric.higher_is_better
    size = 0.2003 + 0.0013 * count
    sign = 1 if (better in (first, None)) == higher else -1
    low, high = (size - 0.11, size + 0.23) if better else (-0.41, size + 0.23)
    low, high = (low, high) if sign > 0 else (-high, -low)
    numbers = {"difference": sign * size, "low": low, "high": high}
    return numbers | {"faces": 100 + count, "fits": 1, "p": 0.01, "holm": 0.02}


def curves(names: Sequence[str] = (*EDITORS, *CONTROLS), number: int = 0) -> list[dict[str, Any]]:
    """Straight lines of another start and slope each; few faces come to the last effects."""
    rows: list[dict[str, Any]] = []
    for editor, task, metric in itertools.product(names, TASKS, CURVED):
        start, slope = 0.31 + 0.5 * number + 0.013 * len(rows), 0.05 + 0.007 * len(rows)
        mean = [start + slope * x for x in GRID]
        rows.append(
            {
                "editor": editor,
                "task": task,
                "metric": metric,
                "effect": GRID,
                "mean": mean,
                "low": [m - 0.02 for m in mean],
                "high": [m + 0.05 for m in mean],
                "reach": [1.0, 0.9, 0.7, 0.5, 0.2],
            }
        )
    return rows


MAE_SIGMA = {"age": 0.4, "glasses": 0.7, "yaw": 1.0}


def leakage() -> list[dict[str, Any]]:
    """Changes of age around 0.4 σ, of glasses around 0.7, of yaw around 1: the judge's errors."""
    rows: list[dict[str, Any]] = []
    attribute_of = dict(zip(TASKS, SCHEMA.names, strict=True))
    for editor, task, by in itertools.product((*EDITORS, *CONTROLS), TASKS, ("judged", "truth")):
        shift = 0.011 * len(rows) - 0.15
        rows.append(
            {
                "editor": editor,
                "task": task,
                "edited": attribute_of[task],
                "by": by,
                "attributes": list(SCHEMA.names),
                "change": [mae + shift * (-1) ** i for i, mae in enumerate(MAE_SIGMA.values())],
            }
        )
    return rows


def estimators() -> dict[str, Any]:
    units = {"age": "years", "glasses": "", "yaw": "degrees"}
    return {
        role: {
            "name": name,
            "attributes": {
                attribute: {
                    "r2": 0.9 + 0.0111 * i + more,
                    "mae": 1.2345 * (i + 1) + 100 * more,
                    "mae_sigma": MAE_SIGMA[attribute] + more,
                    "slope": 1.0,
                    "auc": None,
                    "unit": units[attribute],
                }
                for i, attribute in enumerate(SCHEMA.names)
            },
        }
        for role, name, more in (("judge", "the-judge", 0.0), ("labeller", "l", 0.0555))
    }


def results(suite: Suite, bank_hash: str, number: int) -> dict[str, Any]:
    """What `summarise` would have written; with comparisons and leakage only of the first run."""
    names = list(suite.entrants)
    return {
        "suite": suite.model_dump(mode="json"),
        "bank_hash": bank_hash,
        "provenance": provenance(),
        "faces": N,
        "controls": list(suite.control_names),
        "cells": {"ok": 40, "failed": []},
        "estimators": estimators(),
        "recognisers": [],
        "noise": [],
        "realism": {"features": "", "implementation": {}, "minimum_faces": 0, "distances": []},
        "photographs": None,
        "tuning": [],
        "measures": measures(names, number),
        "comparisons": [] if number else comparisons(),
        "curves": curves(names, number),
        "leakage": [] if number else leakage(),
        "metrics": {
            name: {
                "name": name,
                "unit": metric.unit,
                "higher_is_better": metric.higher_is_better,
                "formula": f"formula of {name}",
                "margin": metric.margin,
            }
            for name, metric in METRICS.items()
        },
    }


def provenance() -> dict[str, Any]:
    cards = {"rec-zeta": {"auc": 0.98765, "true_accept_rate": 0.87654}, "rec-eta": {"auc": 0.91234}}
    identity = [
        {"name": n, "options": {}, "fingerprint": n * 2, "code": ""}
        | {"threshold": THRESHOLDS[n], "card": cards[n]}
        for n in RECOGNISERS
    ]
    return {
        "latentedit": "0",
        "python": "3",
        "packages": {},
        "bank": {
            "hash": "b" * 12,
            **{"seed": 0, "truncation_psi": 1.0, "fit": N, "test": N},
            **{"generator": "g", "generator_options": {}, "generator_fingerprint": "f" * 16},
            **{"labeller": "l", "labeller_options": {}, "labeller_fingerprint": "e" * 16},
        },
        "judge": {
            "name": "the-judge",
            "options": {},
            "fingerprint": "j" * 12,
            "code": "",
            "card": {},
        },
        "identity": identity,
        "plugins": {},
        "threads": 1,
        "batch": 64,
    }


def costs() -> list[dict[str, Any]]:
    return [
        {
            "editor": name,
            "fit_seconds": 11.26 + 10 * i,
            "edit_ms_batch_1": 1.2345 + i,
            "edit_ms_batch_64": 0.1234 + 0.1 * i,
            "tuning_seconds": 5.55 + i,
            "peak_memory_mb": 1.0,
            "nfe": 1.0,
        }
        for i, name in enumerate((*EDITORS, *CONTROLS))
    ]


def write_run(folder: Path, number: int = 0, bank_seed: int = 0, **changes: Any) -> Path:
    """A whole run folder.

    Args:
        number: runs of different ones have different figures and pictures.
        bank_seed: runs with the same one have the same bank.
        changes: fields of the suite.
    """
    suite = Suite.model_validate(SUITE | changes)
    attributes = fit_attributes()
    split = Split("w", SCHEMA, ((torch.zeros(N, 2), attributes),))
    bank = LatentBank.write(
        folder / "bank",
        {"fit": split, "test": split},
        ModelReference("g", {}, "f" * 16),
        ModelReference("l", {}, "e" * 16),
        {"seed": bank_seed, "truncation_psi": 1.0, "fit": N, "test": N},
    )
    write_json(folder / "run.json", {"format": "latentedit run 1", "bank": None})
    write_json(folder / "suite.json", suite.model_dump(mode="json"))
    write_json(folder / "provenance.json", provenance())
    store = CellStore(folder)
    store.commit(Cell("faces", {}), Outcome("ok", 1.0, arrays=unedited()))
    for i, (name, task) in enumerate(itertools.product(suite.entrants, suite.tasks)):
        arrays = edit_arrays(name, task.name, number)
        cell = Cell("edit", {}, name, 0, task.name)
        store.commit(cell, Outcome("ok", 2.26 + i, arrays=arrays))
    write_flat(folder, results(suite, bank.hash, number))
    write_json(folder / "costs.json", costs())
    return folder
