"""From cells to findings: every figure of a report, with its interval, from one pass over a run."""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from latentedit.artefacts import read_json, write_bytes, write_json
from latentedit.attributes import AttributeSchema
from latentedit.bank import LatentBank
from latentedit.benchmark.cells import Cell, CellStore
from latentedit.benchmark.paired import Faces, Scores, by_task, comparisons, mean_known
from latentedit.benchmark.suite import Suite
from latentedit.benchmark.tuning import tuning_results
from latentedit.errors import InputError
from latentedit.metrics import (
    METRICS,
    along_effect,
    attribute_change,
    attribute_leakage,
    edit_identity_area,
    target_error,
)
from latentedit.statistics import interval

CURVE_EFFECTS = torch.linspace(0, 1, 21)


@dataclass(frozen=True)
class Case:
    """One editor, seed and task: the arrays of its cell."""

    arrays: dict[str, Tensor]
    task: str
    attribute: str


def summarise(folder: Path) -> dict[str, Any]:
    """Write ``results.json``, ``results.csv`` and ``costs.json`` of a run; return the results.

    The results hold no clock readings: equal suites on equal machines give equal bytes.

    Raises:
        InputError: `folder` is not a run, or has no finished cell.
    """
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
        return {
            "suite": self.suite.model_dump(mode="json"),
            "bank_hash": self.bank.hash,
            "provenance": self.provenance,
            "faces": self.n,
            "controls": self.suite.controls,
            "cells": self._cell_states(),
            "estimators": self._estimator_errors(),
            "tuning": tuning_results(self.suite, self.store),
            "measures": self._measures(values, by_seed),
            "comparisons": comparisons(values, self._pairs(), self.tasks, self.suite.statistics),
            "curves": self._curves(),
            "leakage": self._leakage(),
            "metrics": {name: asdict(metric) for name, metric in METRICS.items()},
        }

    def per_face(
        self,
    ) -> tuple[Scores, dict[tuple[str, str, float], list[Faces]]]:
        """Per (editor, metric, effect) a (T, N) array: seeds averaged, NaN where there is none;
        and the same arrays seed by seed."""
        by_seed: dict[tuple[str, str, float], list[Faces]] = {}
        for name in self.suite.contestants:
            for t, task in enumerate(self.tasks):
                for i, case in enumerate(self.cases(name, task)):
                    for (metric, effect), found in self._case_values(case).items():
                        tables = by_seed.setdefault((name, metric, effect), [])
                        while len(tables) <= i:
                            tables.append(np.full((len(self.tasks), self.n), np.nan))
                        tables[i][t, case.arrays["faces"].numpy()] = found.double().numpy()
        return {key: mean_known(np.stack(tables)) for key, tables in by_seed.items()}, by_seed

    def _case_values(self, case: Case) -> dict[tuple[str, float], Tensor]:
        """Every metric of one case: (N,) by (metric, effect); effect 0 is 'not matched'."""
        return self._edit_values(case) if case.attribute else self._sequence_values(case)

    def _sequence_values(self, case: Case) -> dict[tuple[str, float], Tensor]:
        found = {("edit consistency", 0.0): case.arrays["consistency"]}
        for n, drift in enumerate(case.arrays["drift"], 1):
            found[f"drift · {n} edit{'s' * (n > 1)}", 0.0] = drift
        return found

    def _edit_values(self, case: Case) -> dict[tuple[str, float], Tensor]:
        arrays, schema, rows = case.arrays, self.schema, case.arrays["faces"]
        before = self.faces["judged"][rows]
        true_before = self.faces["truth"][rows]
        column = schema.columns(case.attribute).start
        strengths = torch.tensor(self.suite.strengths)
        at_one = self.suite.strengths.index(1.0)
        target = arrays["source"] + arrays["change"]
        found: dict[tuple[str, float], Tensor] = {
            ("target error", 0.0): target_error(
                arrays["judged"][at_one, :, column], target, self.sigma[column]
            ),
            ("inversion error", 0.0): arrays["inversion"],
            ("inversion error in pixels", 0.0): arrays["inversion_pixels"],
        }
        for e, encoder in enumerate(map(str, self.suite.identity)):
            lost = arrays["inversion_identity"][e]
            found[f"inversion error in identity · {encoder}", 0.0] = lost
        for e, encoder in enumerate(map(str, self.suite.identity)):
            found[f"edit–identity area · {encoder}", 0.0] = edit_identity_area(
                strengths, arrays["effect"], arrays["similarity"][:, e]
            )
        for i, effect in enumerate(self.suite.effects):
            reached = ~arrays["matched_strength"][i].isnan()
            nothing = torch.where(reached, 0.0, float("nan"))
            found["reach", effect] = reached.float()
            for e, (encoder, threshold) in enumerate(self._thresholds()):
                similarity = arrays["matched_similarity"][i, e]
                found[f"identity similarity · {encoder}", effect] = similarity + nothing
                found[f"identity accuracy · {encoder}", effect] = (
                    similarity > threshold
                ).float() + nothing
            found["attribute leakage", effect] = nothing + attribute_leakage(
                before, arrays["matched_judged"][i], self.sigma, schema, case.attribute
            )
            if self.knows_truth:
                found["true leakage", effect] = nothing + attribute_leakage(
                    true_before, arrays["matched_truth"][i], self.sigma, schema, case.attribute
                )
                found["true identity drift", effect] = nothing + arrays["matched_drift"][i]
        return found

    @property
    def knows_truth(self) -> bool:
        return self.faces["identity"].shape[1] > 0

    def _thresholds(self) -> list[tuple[str, float]]:
        return [(entry["name"], entry["threshold"]) for entry in self.provenance["identity"]]

    def _measures(
        self,
        values: Scores,
        by_seed: dict[tuple[str, str, float], list[Faces]],
    ) -> list[dict[str, Any]]:
        plan, rows = self.suite.statistics, []
        for (name, metric, effect), table in values.items():
            seed_rows = [dict(by_task(t, self.tasks)) for t in by_seed[name, metric, effect]]
            for task, faces in by_task(table, self.tasks):
                found = interval(faces, confidence=plan.confidence, resamples=plan.resamples)
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
                        "low": found.low,
                        "high": found.high,
                        "faces": found.n,
                        "seeds": len(spread),
                        "seed_sd": float(np.std(spread, ddof=1)) if len(spread) > 1 else None,
                    }
                )
        return rows

    def _pairs(self) -> list[tuple[str, str]]:
        """Each editor with each other editor and each control; controls come last."""
        pairs = itertools.combinations(self.suite.contestants, 2)
        return [(a, b) for a, b in pairs if a not in self.suite.controls]

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

    def _estimator_errors(self) -> dict[str, Any]:
        """How far judge and labeller are from the truth on the unedited test faces."""
        if not self.knows_truth:
            return {}
        truth = self.faces["truth"]
        labels = self.bank.split("test").attributes
        return {
            role: {"name": name, "attributes": _errors(values, truth, self.sigma, self.schema)}
            for role, name, values in (
                ("judge", str(self.suite.judge), self.faces["judged"]),
                ("labeller", self.bank.labeller.name, labels),
            )
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
        """Seconds to fit, milliseconds to edit, function evaluations; one row an editor."""
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
                    "nfe": sum(e["nfe"] for e in edits) / calls if calls else 0.0,
                }
            )
        return rows

    def _finished(self, kind: str, contestant: str) -> list[str]:
        prefix = f"{kind}--{contestant}--seed"
        ids = sorted(path.parent.name for path in self.store.folder.glob(f"{prefix}*/cell.json"))
        records = [self.store.record(cell_id) for cell_id in ids]
        return [r.id for r in records if r is not None and r.status == "ok"]


def _errors(
    values: Tensor, truth: Tensor, sigma: Tensor, schema: AttributeSchema
) -> dict[str, Any]:
    residual, spread = values - truth, truth - truth.mean(0)
    r2 = 1 - residual.square().sum(0) / spread.square().sum(0).clamp_min(1e-12)
    found = {}
    for name in schema.names:
        columns = schema.columns(name)
        found[name] = {
            "r2": float(r2[columns].mean()),
            "mae": float(residual[:, columns].abs().mean()),
            "mae_sigma": float((residual.abs() / sigma)[:, columns].mean()),
            "unit": schema[name].unit,
        }
    return found


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
