"""The faces that a page shows: unedited, then under each contestant at the matched effect."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from latentedit.benchmark.results.summary import Run
from latentedit.measures.metrics import attribute_leakage
from latentedit.report.grid import png, to_picture


def face_blocks(contestants: Sequence[tuple[str, Run]]) -> list[dict[str, Any]]:
    """Per task, its first faces: unedited, then a row for each contestant that has a result.

    Args:
        contestants: the name a row is shown under, ``editor`` or ``editor (run)``, with its run;
            all runs share bank and tasks.
    """
    first = contestants[0][1]
    blocks = []
    for task in first.suite.tasks:
        rows = []
        for name, run in contestants:
            found = run.cases(editor_of(name), task.name)
            if found:
                rows.append((name, run, found[0].arrays))
        if rows:
            unit = first.schema[task.attribute].unit
            blocks.append({"task": task.name} | _block(rows, task.attribute, unit))
    return blocks


def editor_of(name: str) -> str:
    """The editor that ``editor`` or ``editor (run)`` names."""
    return name.split(" (", maxsplit=1)[0]


def _block(
    rows: list[tuple[str, Run, dict[str, Tensor]]], attribute: str, unit: str
) -> dict[str, Any]:
    unedited = rows[0][2]
    shown = range(min(len(arrays["images"]) for _, _, arrays in rows))
    return {
        "originals": [
            {"uri": _uri(unedited["images"][i]), "caption": _request(unedited, i, unit)}
            for i in shown
        ],
        "rows": [
            {"editor": name, "cells": _faces(arrays, run, attribute)[: len(shown)]}
            for name, run, arrays in rows
        ],
    }


def _request(arrays: dict[str, Tensor], i: int, unit: str) -> str:
    source = float(arrays["source"][i])
    return f"{source:.2g} → {source + float(arrays['change'][i]):.2g} {unit}".strip()


def _faces(arrays: dict[str, Tensor], run: Run, attribute: str) -> list[dict[str, Any]]:
    """The shown faces of a case at the first matched effect, each with its numbers."""
    before = run.faces["judged"][arrays["faces"]]
    leakage = attribute_leakage(
        before, arrays["matched_judged"][0], run.sigma, run.schema, attribute
    )
    similarity = dict(zip(run.setting.thresholds, arrays["matched_similarity"][0], strict=True))
    return [
        {
            "uri": _uri(image),
            "reached": not bool(torch.isnan(arrays["matched_strength"][0, i])),
            "identity": float(arrays["matched_similarity"][0, 0, i]),
            "similarities": {name: float(values[i]) for name, values in similarity.items()},
            "leakage": float(leakage[i]),
            "effect": float(arrays["matched_effect"][0, i]),
            "strength": float(arrays["matched_strength"][0, i]),
        }
        for i, image in enumerate(arrays["matched_images"][0])
    ]


def _uri(image: Tensor) -> str:
    return "data:image/png;base64," + base64.b64encode(png(to_picture(image))).decode()
