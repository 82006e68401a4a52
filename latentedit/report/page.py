"""The report of a run: one page that holds everything it shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from latentedit.benchmark.folder import RunFolder
from latentedit.benchmark.results.board import RANKED
from latentedit.benchmark.results.paired import ALL_TASKS
from latentedit.benchmark.results.summary import Run
from latentedit.files.artefacts import read_json, write_bytes
from latentedit.report.faces import face_blocks
from latentedit.report.figures import colours, curve_figures, forest
from latentedit.report.findings import best_editor, findings
from latentedit.report.template import render

THERE_AND_BACK = (
    "round-trip error",
    "round-trip error in pixels",
    "round-trip error in identity",
    "edit consistency",
    "drift",
)
COMPARED = ("identity similarity", "attribute leakage", "true leakage", "reach", "target error")


def write_report(folder: Path) -> Path:
    """Write ``report/index.html`` of a run that `summarise` has been through.

    Returns:
        The path of the page, which needs no other file and no network.
    """
    RunFolder.open(folder)
    run, results = Run(folder), read_json(folder / "results.json")
    page = render(
        "page.html.jinja",
        results=results,
        costs={row["editor"]: row for row in read_json(folder / "costs.json")},
        findings=findings(results),
        effect=results["suite"]["effects"][0],
        contestants=[*results["suite"]["editors"], *results["controls"]],
        colours=colours(results),
        headline=_headline(results, RANKED),
        there_and_back=_headline(results, THERE_AND_BACK),
        curves=curve_figures(results),
        forests=_forests(results),
        leakage=_leakage(results),
        faces=face_blocks([(name, run) for name in run.suite.contestants]),
        suite_yaml=yaml.safe_dump(results["suite"], sort_keys=False, allow_unicode=True),
        provenance_yaml=yaml.safe_dump(results["provenance"], sort_keys=False),
    )
    path = folder / "report" / "index.html"
    write_bytes(path, page.encode())
    return path


def _headline(results: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Columns (metric, recogniser, arrow) of the metrics `names`, and per editor a cell each, over
    all tasks."""
    effect = results["suite"]["effects"][0]
    measures = [
        m for m in results["measures"] if m["task"] == ALL_TASKS and m["effect"] in (0.0, effect)
    ]
    metrics = sorted(
        {m["metric"] for m in measures if m["metric"].split(" · ")[0] in names},
        key=lambda metric: (names.index(metric.split(" · ")[0]), metric),
    )
    found = {(m["editor"], m["metric"]): m for m in measures}
    best = {metric: best_editor(results, metric) for metric in metrics}
    return {
        "columns": [
            {
                "metric": metric.split(" · ")[0],
                "recogniser": metric.partition(" · ")[2],
                "higher": results["metrics"][metric.split(" · ")[0]]["higher_is_better"],
                "formula": results["metrics"][metric.split(" · ")[0]]["formula"],
            }
            for metric in metrics
        ],
        "cells": {
            name: [
                {"m": found.get((name, metric)), "best": best[metric] == name} for metric in metrics
            ]
            for name in [*results["suite"]["editors"], *results["controls"]]
        },
    }


def _forests(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Per pair of editors the paired differences of every compared metric."""
    effect, controls = results["suite"]["effects"][0], set(results["controls"])
    rows = [
        row
        for row in results["comparisons"]
        if row["effect"] in (0.0, effect)
        and row["metric"].split(" · ")[0] in COMPARED
        and not {row["first"], row["second"]} & controls
    ]
    found = []
    for pair in dict.fromkeys((row["first"], row["second"]) for row in rows):
        mine = [row for row in rows if (row["first"], row["second"]) == pair]
        panels = []
        for metric in dict.fromkeys(row["metric"] for row in mine):
            plain = results["metrics"][metric.split(" · ")[0]]
            chosen = [row for row in mine if row["metric"] == metric]
            svg = forest(chosen, plain["unit"], plain["higher_is_better"])
            panels.append({"metric": metric, "svg": Markup(svg), "rows": chosen})  # noqa: S704
        found.append({"first": pair[0], "second": pair[1], "panels": panels})
    return found


def _leakage(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Per editor its matrices; a cell says whether it lies below the judge's own error."""
    judge = results["estimators"].get("judge", {}).get("attributes", {})
    found = []
    for name in [*results["suite"]["editors"], *results["controls"]]:
        for kind in ("judged", "truth"):
            rows = [r for r in results["leakage"] if r["editor"] == name and r["by"] == kind]
            if rows:
                found.append(
                    {
                        "editor": name,
                        "by": kind,
                        "attributes": rows[0]["attributes"],
                        "rows": [
                            {
                                "task": row["task"],
                                "cells": [
                                    {
                                        "value": value,
                                        "shade": min(1.0, value / 1.5),
                                        "own": attribute == row["edited"],
                                        "noise": kind == "judged"
                                        and value < judge.get(attribute, {}).get("mae_sigma", 0.0),
                                    }
                                    for attribute, value in zip(
                                        row["attributes"], row["change"], strict=True
                                    )
                                ],
                            }
                            for row in rows
                        ],
                    }
                )
    return found
