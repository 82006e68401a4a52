"""Tables in Markdown of what a run costs, and of what a large one would cost."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from machinery import FIGURES
from suite_tables import table

from latentedit.files.artefacts import read_json

FACES, TASKS, EDITORS = 10**6, 8, 50
"""Of the large run."""
CODES = 10**9
ROWS = 18
"""Rows of a large generator's W+."""
CORES = 200
SHARD_ROWS = 8_192
HOUR = 3600.0
"""In seconds."""

Found = dict[str, Any]


def tables() -> dict[str, Callable[[], str]]:
    """What writes each block, by the name that a page asks for."""
    found = read_json(FIGURES)
    return {
        name: partial(write, found)
        for name, write in {"cost": cost, "large run": large_run, "large bank": large_bank}.items()
    }


def cost(found: Found) -> str:
    (task,), (sizes,), (cells,) = (found[part]["rows"] for part in ("task", "sizes", "cells"))
    *stages, whole = found["judged"]["rows"]
    shares = ", ".join(f"{row['stage']} {row['share']:.0%}" for row in stages)
    rows = [
        ["one image edited, synthesized, judged and embedded", f"{_ms(whole)}: {shares}"],
        ["that is", f"{1000 / whole['ms a face']:.0f} a second and core"],
        [
            f"one face of one task: {task['strengths']} strengths, one matched effect, there and "
            "back",
            f"{task['synthesized']:.1f} images synthesized, {task['judged']:.1f} judged: "
            f"{task['ms']:.0f} ms",
        ],
        [
            f"machinery of a cell, in a run of {cells['cells']:.0f} cells of "
            f"{cells['processor in a row, s'] / cells['cells']:.1f} s each",
            f"{cells['processor a cell, s']:.2f} s: {cells['processor overhead']:+.0%}",
        ],
        ["a row of a bank, a W code with its labels", f"{sizes['bytes a row'] / 1e3:.1f} kB"],
        ["SHA-256 of a bank", f"{sizes['bytes a second'] / 1e9:.1f} GB/s"],
        ["results of one face of one task", f"{sizes['bytes a face of a task'] / 1e3:.1f} kB"],
    ]
    for row in found.get("memory", {"rows": []})["rows"]:
        small, large = row["MiB"], row["MiB of ten times"]
        grown = f"{small:.0f} → {large:.0f} MiB: {large / small - 1:+.1%}"
        rows.append([f"peak memory, {row['editor']}, 4,000 → 40,000 codes to fit", grown])
    load = max(part["load"] for part in found.values())
    said = f"Processor time, where {load} processes at most wanted to run."
    return f"{table(['what', 'measured'], rows)}\n\n{said}"


def _ms(row: Found) -> str:
    return f"{row['ms a face']:.1f} ms of one core"


def large_run(found: Found) -> str:
    """`FACES` × `EDITORS`, by the constants that were measured."""
    (task,), (sizes,) = (found[part]["rows"] for part in ("task", "sizes"))
    edits = FACES * TASKS * EDITORS
    hours = edits * task["ms"] / 1000 / HOUR
    drawn, bank = task["synthesized"], FACES * sizes["bytes a row"]
    many, device_hours = f"{edits / 1e6:.0f} million", edits * drawn / 100 / HOUR
    rows = [
        [
            "processor time, rendered world",
            f"{many} × {task['ms']:.0f} ms ≈ {_rough(hours)} core hours: "
            f"{hours / CORES:.0f} hours on {CORES} cores",
        ],
        [
            "with a generator of 10 ms an image",
            f"{many} × {drawn:.1f} × 10 ms ≈ {_rough(device_hours)} device hours",
        ],
        ["labelling the bank", f"≈ {_label_hours(found, FACES):.1f} core hours"],
        [
            "the bank",
            f"{bank / 1e9:.1f} GB in {-(-FACES // SHARD_ROWS)} shards of {SHARD_ROWS:,} rows; "
            f"{bank / sizes['bytes a second']:.1f} s to check",
        ],
        ["results", f"≈ {_rough(edits * sizes['bytes a face of a task'] / 1e9)} GB"],
    ]
    return table(["what", "amount"], rows)


def large_bank(found: Found) -> str:
    """`CODES` codes."""
    (task,), (sizes,) = (found[part]["rows"] for part in ("task", "sizes"))
    size = CODES * sizes["bytes a row"]
    hours = CODES * TASKS * EDITORS * task["ms"] / 1000 / HOUR
    rows = [
        [
            "the bank in W",
            f"{size / 1e12:.1f} TB in {-(-CODES // SHARD_ROWS):,} shards; in W+ of {ROWS} rows "
            f"{CODES * ROWS * 512 * 4 / 1e12:.0f} TB",
        ],
        ["checking it", f"{size / sizes['bytes a second'] / 60:.0f} minutes of one core"],
        [
            "labelling it",
            f"≈ {_rough(_label_hours(found, CODES))} core hours in the rendered world",
        ],
        [
            f"editing all of it, {EDITORS} editors, {TASKS} tasks",
            f"≈ {_rough(hours / 1e6)} million core hours: not useful",
        ],
    ]
    return table(["what", "amount"], rows)


def _label_hours(found: Found, codes: int) -> float:
    """Of one core: an image is synthesized and read."""
    taken = {row["stage"]: row["ms a face"] for row in found["judged"]["rows"]}
    return codes * (taken["synthesize"] + taken["judge"]) / 1000 / HOUR


def _rough(value: float) -> str:
    """With two digits."""
    return f"{float(f'{value:.1e}'):,.0f}" if value >= 10 else f"{value:.1f}"
