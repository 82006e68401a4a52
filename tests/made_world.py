"""What the runs written by hand are of: attributes, editors, tasks and the names of figures."""

from __future__ import annotations

from typing import Any

from latentedit.data.attributes import Attribute, AttributeSchema

SCHEMA = AttributeSchema(
    (
        Attribute("age", "continuous", 0.0, 70.0, "years"),
        Attribute("glasses", "binary", 0.0, 1.0),
        Attribute("yaw", "continuous", -40.0, 40.0, "degrees"),
    )
)
N = 24
"""Faces. Each task edits those of `FACES`."""
RECOGNISERS = ("rec-zeta", "rec-eta")
"""In the order of the suite, which is not that of the alphabet."""
THRESHOLDS = {"rec-zeta": 0.3125, "rec-eta": 0.4375}
EDITORS, CONTROLS = ("alpha", "beta", "gamma"), ("still", "stray")
TASKS = ("age", "glasses", "turn")
FACES = {
    "age": [7, 2, 0, 5, 11, 3, 1, 9, 4, 6, 10, 8, *range(12, N)],
    "glasses": [1, 0, 3, 9, 2, 6, 11, 7, 4, 8, 10, *range(N - 1, 11, -1)],
    "turn": [4, 6, 5, 10, 1, 0, 3, 11, 8, 9, *range(12, N)],
}
EFFECTS = (0.8, 0.5)
SHOWN = 3

SUITE: dict[str, Any] = {
    "name": "made",
    "summary": "A run that nobody ran, not even Zoë.",
    "bank": {"generator": {"plugin": "g"}, "labeller": "l", "n_fit": 10, "n_test": N},
    "judge": "the-judge",
    "identity": list(RECOGNISERS),
    "editors": {name: {"plugin": name} for name in EDITORS},
    "controls": list(CONTROLS),
    "tasks": [
        {"attribute": "age", "change": 10},
        {"attribute": "glasses", "change": "flip"},
        {"attribute": "yaw", "change": 15, "name": "turn"},
    ],
    "sequences": [{"name": "both", "edits": ["age", "glasses"]}],
    "strengths": [0.5, 1.0, 2.0],
    "effects": list(EFFECTS),
    "show_images": SHOWN,
    "statistics": {"confidence": 0.9, "error_rate": 0.1},
}


def by_recogniser(name: str) -> list[str]:
    return [f"{name} · {recogniser}" for recogniser in RECOGNISERS]


UNMATCHED = (
    "target error",
    "round-trip error",
    "round-trip error in pixels",
    *by_recogniser("round-trip error in identity"),
    *by_recogniser("edit–identity area"),
)
MATCHED = (
    "reach",
    *by_recogniser("identity similarity"),
    *by_recogniser("identity accuracy"),
    "attribute leakage",
    "true leakage",
    "true identity drift",
)
OF_SEQUENCES = ("edit consistency", "drift · 1 edit", "drift · 2 edits")
REACH = {"alpha": 0.9149, "beta": 0.4551, "gamma": 0.0649, "still": 0.0, "stray": 0.3349}
"""Over all tasks, at the first effect."""
CURVED = (*by_recogniser("identity similarity"), "attribute leakage")
GRID = [0.0, 0.25, 0.5, 0.75, 1.0]
