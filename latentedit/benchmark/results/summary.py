"""From cells to findings: every figure of a report, with its interval, from one pass over a run."""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from latentedit.benchmark.cells.store import Cell, CellStore
from latentedit.benchmark.cells.tuning import tuning_results
from latentedit.benchmark.folder import RunFolder
from latentedit.benchmark.results.paired import (
    Faces,
    Scores,
    SeedScores,
    by_task,
    comparisons,
    known,
    mean_known,
)
from latentedit.benchmark.results.reading_errors import identity_agreement, noise, reading_errors
from latentedit.benchmark.results.values import Case, Setting, case_values
from latentedit.benchmark.suite import Suite
from latentedit.data.bank import LatentBank
from latentedit.errors import InputError
from latentedit.files.artefacts import read_json, write_bytes, write_json
from latentedit.measures.metrics import (
    METRICS,
    SHARE,
    along_effect,
    attribute_change,
    attribute_leakage,
    identity_similarity,
)
from latentedit.measures.realism import IMPLEMENTATION, MINIMUM_FACES
from latentedit.measures.statistics import interval

CURVE_EFFECTS = torch.linspace(0, 1, 21)


def summarise(folder: Path) -> dict[str, Any]:
    """Write ``results.json``, ``results.csv`` and ``costs.json`` of a run; return the results.

    The results hold no clock readings: equal suites on equal machines give equal bytes.

    Raises:
        InputError: `folder` is not a run, or has no finished cell.
    """
    RunFolder.open(folder)
    run = Run(folder)
    results = run.results()
    write_json(folder / "results.json", results)
    write_json(folder / "costs.json", run.costs())
    write_bytes(folder / "results.csv", _csv(results["measures"]).encode())
    return results


class Run:
    """A run folder, read."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "suite.json").is_file():
            raise InputError(
                f"{folder} is not a run: it has no suite.json. "
                f"Make one with: latentedit bench run SUITE --out {folder}"
            )
        self.folder = folder
        self.suite = Suite.model_validate(read_json(folder / "suite.json"))
        self.bank = LatentBank.open(folder / "bank")
        self.store = CellStore(folder)
        self.schema = self.bank.schema
        self.provenance: dict[str, Any] = read_json(folder / "provenance.json")
        self.sequences = [sequence.name for sequence in self.suite.sequences]
        self.tasks = [*(task.name for task in self.suite.tasks), *self.sequences]
        self.sigma = self.bank.split("fit").attributes.std(0).clamp_min(1e-6)
        self.faces = self.store.arrays("faces")
        self.n = len(self.faces["judged"])
        thresholds = {entry["name"]: entry["threshold"] for entry in self.provenance["identity"]}
        self.setting = Setting(self.suite, self.schema, self.faces, self.sigma, thresholds)

    def cases(self, contestant: str, task: str) -> list[Case]:
        """The finished cells of an editor and task, one a seed."""
        found = []
        attribute = next((t.attribute for t in self.suite.tasks if t.name == task), "")
        kind: Literal["edit", "sequence"] = "edit" if attribute else "sequence"
        for seed in self.suite.seeds:
            cell_id = Cell(kind, {}, contestant, seed, task).id
            record = self.store.record(cell_id)
            if record is not None and record.status == "ok":
                found.append(Case(self.store.arrays(cell_id), task, attribute))
        return found

    def results(self) -> dict[str, Any]:
        values, by_seed = self.per_face()
        errors, recognisers = self._estimator_errors(), self._recognisers()
        return {
            "suite": self.suite.model_dump(mode="json"),
            "bank_hash": self.bank.hash,
            "provenance": self.provenance,
            "faces": self.n,
            "controls": self.suite.control_names,
            "cells": self._cell_states(),
            "estimators": errors,
            "recognisers": recognisers,
            "noise": noise(errors.get("judge", {}).get("attributes", {}), recognisers),
            "realism": self._realism(),
            "photographs": self._photographs(),
            "tuning": tuning_results(self.suite, self.store),
            "measures": self._measures(values, by_seed),
            "comparisons": comparisons(
                values, self._pairs(), self.tasks, self.suite.statistics, by_seed
            ),
            "curves": self._curves(),
            "leakage": self._leakage(),
            "metrics": {name: asdict(metric) for name, metric in METRICS.items()},
        }

    def per_face(
        self,
    ) -> tuple[Scores, SeedScores]:
        """Per (editor, metric, effect) a (T, N) array: seeds averaged, NaN where there is none;
        and the same arrays seed by seed."""
        by_seed: SeedScores = {}
        for name in self.suite.contestants:
            for t, task in enumerate(self.tasks):
                for i, case in enumerate(self.cases(name, task)):
                    for (metric, effect), found in case_values(case, self.setting).items():
                        tables = by_seed.setdefault((name, metric, effect), [])
                        while len(tables) <= i:
                            tables.append(np.full((len(self.tasks), self.n), np.nan))
                        tables[i][t, case.arrays["faces"].numpy()] = found.double().numpy()
        return {key: mean_known(np.stack(tables)) for key, tables in by_seed.items()}, by_seed

    @property
    def knows_truth(self) -> bool:
        return self.setting.knows_truth

    def _measures(
        self,
        values: Scores,
        by_seed: SeedScores,
    ) -> list[dict[str, Any]]:
        plan, rows = self.suite.statistics, []
        for (name, metric, effect), table in values.items():
            seed_rows = [dict(by_task(t, self.tasks)) for t in by_seed[name, metric, effect]]
            for task, faces in by_task(table, self.tasks):
                found = interval(
                    faces,
                    confidence=plan.confidence,
                    resamples=plan.resamples,
                    share=METRICS[metric.split(" · ")[0]].unit == SHARE,
                )
                if found.n == 0:
                    continue
                spread = [
                    float(np.nanmean(row[task]))
                    for row in seed_rows
                    if not np.isnan(row[task]).all()
                ]
                rows.append(
                    {
                        "editor": name,
                        "task": task,
                        "metric": metric,
                        "effect": effect,
                        "mean": found.mean,
                        "low": known(found.low),
                        "high": known(found.high),
                        "faces": found.n,
                        "seeds": len(spread),
                        "seed_sd": float(np.std(spread, ddof=1)) if len(spread) > 1 else None,
                    }
                )
        return rows

    def _pairs(self) -> list[tuple[str, str]]:
        """Each editor with each other editor and each control; controls come last."""
        pairs = itertools.combinations(self.suite.contestants, 2)
        return [(a, b) for a, b in pairs if a not in self.suite.control_names]

    def _curves(self) -> list[dict[str, Any]]:
        """Mean identity similarity and leakage along achieved effect, with normal bands."""
        strengths, curves = torch.tensor(self.suite.strengths), []
        for name in self.suite.contestants:
            for task in self.suite.tasks:
                cases = self.cases(name, task.name)
                if not cases:
                    continue
                for metric, start, values_of in self._curve_metrics():
                    stacked = (
                        torch.stack(
                            [
                                along_effect(
                                    strengths,
                                    c.arrays["effect"],
                                    values_of(c),
                                    CURVE_EFFECTS,
                                    start,
                                )
                                for c in cases
                            ]
                        )
                        .nanmean(0)
                        .double()
                        .numpy()
                    )
                    curves.append(
                        {
                            "editor": name,
                            "task": task.name,
                            "metric": metric,
                            "effect": CURVE_EFFECTS.tolist(),
                            **_band(stacked),
                        }
                    )
        return curves

    def _curve_metrics(self) -> list[tuple[str, float, Callable[[Case], Tensor]]]:
        def similarity(e: int) -> Callable[[Case], Tensor]:
            return lambda case: case.arrays["similarity"][:, e]

        def leakage(case: Case) -> Tensor:
            before = self.faces["judged"][case.arrays["faces"]]
            return attribute_leakage(
                before, case.arrays["judged"], self.sigma, self.schema, case.attribute
            )

        named = [
            (f"identity similarity · {encoder}", 1.0, similarity(e))
            for e, encoder in enumerate(self.suite.identity)
        ]
        return [*named, ("attribute leakage", 0.0, leakage)]

    def _leakage(self) -> list[dict[str, Any]]:
        """Mean |change| / σ of every attribute, per editor, task and first matched effect."""
        rows = []
        kinds = ("judged", "truth") if self.knows_truth else ("judged",)
        for name in self.suite.contestants:
            for task, kind in itertools.product(self.suite.tasks, kinds):
                per_seed = []
                for case in self.cases(name, task.name):
                    reached = ~case.arrays["matched_strength"][0].isnan()
                    if reached.any():
                        before = self.faces[kind][case.arrays["faces"]]
                        after = case.arrays[f"matched_{kind}"][0]
                        change = attribute_change(before, after, self.sigma, self.schema)
                        per_seed.append(change[reached].mean(0))
                if per_seed:
                    rows.append(
                        {
                            "editor": name,
                            "task": task.name,
                            "edited": task.attribute,
                            "by": kind,
                            "attributes": list(self.schema.names),
                            "change": torch.stack(per_seed).mean(0).tolist(),
                        }
                    )
        return rows

    def _photographs(self) -> dict[str, Any]:
        """Where the faces are photographs: how far the unedited reconstructions are from them."""
        if self.bank.inversion is None:
            return {}
        found = identity_similarity(self.faces["photo_embeddings"], self.faces["embeddings"])
        errors = [row["pixel_error"] for row in self.bank.inversion["photographs"]]
        return {
            "pixel_error": float(np.mean(errors)),
            "identity": [
                {
                    "name": name,
                    "similarity": float(found[e].mean()),
                    "same_person": float((found[e] > threshold).float().mean()),
                }
                for e, (name, threshold) in enumerate(self.setting.thresholds.items())
            ],
            "tuned": self.bank.inversion["tuned"] is not None,
        }

    def _estimator_errors(self) -> dict[str, Any]:
        """How far judge and labeller are from the truth on the unedited test faces."""
        if not self.knows_truth:
            return {}
        truth = self.faces["truth"]
        labels = self.bank.split("test").attributes
        return {
            role: {
                "name": name,
                "attributes": reading_errors(values, truth, self.sigma, self.schema),
            }
            for role, name, values in (
                ("judge", str(self.suite.judge), self.faces["judged"]),
                ("labeller", self.bank.labeller.name, labels),
            )
        }

    def _recognisers(self) -> list[dict[str, Any]]:
        """Each recogniser with its card, and how it agrees with the truth on these faces."""
        return [
            {key: entry[key] for key in ("name", "threshold", "card")}
            | {"agreement": identity_agreement(self.faces["embeddings"][e], self.faces["identity"])}
            for e, entry in enumerate(self.provenance["identity"])
        ]

    def _realism(self) -> dict[str, Any]:
        """Distances of edited to unedited faces; None where they were refused, for too few."""
        return {
            "features": f"{self.suite.judge}, in standard deviations of the unedited faces",
            "implementation": IMPLEMENTATION,
            "minimum_faces": MINIMUM_FACES,
            "distances": [
                {"editor": name, "task": task.name, "effect": effect} | _distances(cases, i)
                for name in self.suite.contestants
                for task in self.suite.tasks
                for i, effect in enumerate(self.suite.effects)
                if (cases := self.cases(name, task.name))
            ],
        }

    def cell_records(self) -> list[dict[str, Any]]:
        """Every cell of the suite: id, status (or ``"missing"``), seconds, error."""
        cells = [Cell("faces", {})]
        for name, seed in itertools.product(self.suite.contestants, self.suite.seeds):
            cells.append(Cell("fit", {}, name, seed))
            cells += [Cell("edit", {}, name, seed, task.name) for task in self.suite.tasks]
            cells += [Cell("sequence", {}, name, seed, sequence) for sequence in self.sequences]
        found = [(cell.id, self.store.record(cell.id)) for cell in cells]
        return [
            {
                "id": cell_id,
                "status": r.status if r else "missing",
                "seconds": r.seconds if r else 0.0,
                "error": r.error if r else "",
            }
            for cell_id, r in found
        ]

    def _cell_states(self) -> dict[str, Any]:
        rows = self.cell_records()
        return {
            "ok": sum(row["status"] == "ok" for row in rows),
            "failed": [
                {key: row[key] for key in ("id", "status", "error")}
                for row in rows
                if row["status"] != "ok"
            ],
        }

    def costs(self) -> list[dict[str, Any]]:
        """Seconds to fit, milliseconds to edit, function evaluations, and the peak memory of the
        process that fitted, interpreter and models included; one row an editor."""
        rows = []
        for name in self.suite.contestants:
            fits = [self.store.timings(i) for i in self._finished("fit", name)]
            edits = [self.store.timings(i) for i in self._finished("edit", name)]
            if not fits:
                continue
            calls = sum(e["edit_calls"] for e in edits)
            rows.append(
                {
                    "editor": name,
                    "fit_seconds": float(np.median([f["fit_seconds"] for f in fits])),
                    "edit_ms_batch_1": float(np.median([f["edit_ms_batch_1"] for f in fits])),
                    "edit_ms_batch_64": float(np.median([f["edit_ms_batch_64"] for f in fits])),
                    "tuning_seconds": sum(f.get("tuning_seconds", 0.0) for f in fits),
                    "peak_memory_mb": float(np.median([f["peak_memory_mb"] for f in fits])),
                    "nfe": sum(e["nfe"] for e in edits) / calls if calls else 0.0,
                }
            )
        return rows

    def _finished(self, kind: str, contestant: str) -> list[str]:
        prefix = f"{kind}--{contestant}--seed"
        ids = sorted(path.parent.name for path in self.store.folder.glob(f"{prefix}*/cell.json"))
        records = [self.store.record(cell_id) for cell_id in ids]
        return [r.id for r in records if r is not None and r.status == "ok"]


def _distances(cases: list[Case], i: int) -> dict[str, Any]:
    """Mean over seeds of both distances at the i-th effect, and over how many faces."""
    frechet = torch.stack([case.arrays["matched_frechet"][i] for case in cases]).mean()
    kernel = torch.stack([case.arrays["matched_kernel"][i].nanmean() for case in cases]).mean()
    reached = [int((~case.arrays["matched_strength"][i].isnan()).sum()) for case in cases]
    return {
        "faces": min(reached),
        "features": int(cases[0].arrays["matched_features"][i]),
        "frechet": None if frechet.isnan() else float(frechet),
        "kernel": None if kernel.isnan() else float(kernel),
    }


def _band(values: Faces) -> dict[str, list[float | None]]:
    """Mean over faces ± 1.96 standard errors, and the share of faces that reach each effect."""
    known = ~np.isnan(values)
    n = known.sum(1)
    mean = mean_known(values.T)
    spread = np.sqrt(mean_known((values.T - mean) ** 2))
    half = 1.96 * spread / np.sqrt(np.maximum(n - 1, 1))
    return {
        "mean": _plain(mean),
        "low": _plain(mean - half),
        "high": _plain(mean + half),
        "reach": _plain(n / values.shape[1]),
    }


def _plain(values: Faces) -> list[float | None]:
    return [None if math.isnan(v) else float(v) for v in values]


def _csv(measures: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(
        text, list(measures[0]) if measures else ["editor"], lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(measures)
    return text.getvalue()
