"""A run written by hand that has everything that may be in one."""

from __future__ import annotations

from pathlib import Path

from flat_results import read_flat, write_flat
from made_runs import write_run

from latentedit.files.artefacts import write_json


def write_richer_run(folder: Path) -> Path:
    """Of tuned editors on photographs, with failed cells and few faces."""
    write_run(folder)
    results = read_flat(folder)
    results["curves"], results["comparisons"], results["estimators"] = [], [], {}
    results["measures"] = [
        m | {"low": None, "high": None, "faces": 3} if m["editor"] == "beta" else m
        for m in results["measures"]
        if (m["editor"], m["metric"]) != ("gamma", "target error")
    ]
    results["cells"]["failed"] = [
        {"id": "edit--beta--seed0--turn", "status": "failed", "error": "Traceback\n<no> turn"},
        {"id": "fit--gamma--seed0", "status": "timeout", "error": "after 7 s"},
    ]
    results["photographs"] = {
        "pixel_error": 12.345,
        "identity": [
            {"name": "rec-zeta", "similarity": 0.81256, "same_person": 0.756},
            {"name": "rec-eta", "similarity": 0.62512, "same_person": 0.3449},
        ],
        "tuned": True,
    }
    results["suite"]["bank"]["n_fit"] = 100
    results["suite"]["tune"] = {"trials": 4, "faces": 17}
    results["tuning"] = [
        {
            "editor": "alpha",
            "seed": 5,
            "chosen": "steps=9",
            "scores": {"defaults": 0.12345, "steps=9": 0.23456},
        },
        {
            "editor": "beta",
            "seed": 6,
            "chosen": "defaults",
            "scores": {"defaults": -0.34567, "width=2": -1.0},
        },
    ]
    write_json(folder / "suite.json", results["suite"])
    write_flat(folder, results)
    return folder
