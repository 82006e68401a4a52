"""Tables in Markdown of docs/results/styleflow.json, which benchmarks/styleflow.py measures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from shipped import RESULTS
from suite_tables import table

from latentedit.files.artefacts import read_json

FIGURES = RESULTS / "styleflow.json"
SMALL = ("round trip, median", "largest", "edit error, median", "largest edit error")


def tables(path: Path = FIGURES) -> dict[str, Callable[[], str]]:
    """What writes each table, by its name."""
    found = read_json(path)

    def density() -> str:
        rows = [[row["model"], f"{row['log-likelihood']:.1f}"] for row in found["density"]]
        return table(["model", "held-out log p(w given a), nats"], rows)

    def solvers() -> str:
        rows = [
            [
                row["flow"],
                row["solver"],
                str(row["evaluations"]),
                *(f"{row[name]:.0e}" for name in SMALL),
            ]
            for row in found["edit"]
        ]
        return table(["flow", "solver", "evaluations", *SMALL], rows)

    return {"density": density, "solvers": solvers}
