"""The two runs of `telling_world`, each computed once and shared between test processes."""

from __future__ import annotations

import csv
import fcntl
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import telling_oracle as oracle
import telling_world as world
from flat_results import read_flat
from telling_oracle import Array, Oracle

from latentedit.benchmark.cells.store import CellStore
from latentedit.benchmark.results.means import per_face
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.summary import summarise

Asked = tuple[str, str, float]
"""(editor, text of a metric, effect)."""

NEAR = {"rtol": 3e-4, "atol": 3e-4}
"""How near a figure in single precision comes to the closed form."""


@dataclass(frozen=True)
class Told:
    """A finished run beside what it must come to. Tests read its folder and never change it."""

    folder: Path
    oracle: Oracle

    @cached_property
    def results(self) -> dict[str, Any]:
        return read_flat(self.folder)

    @cached_property
    def per_face(self) -> tuple[dict[Asked, Array], dict[Asked, list[Array]]]:
        scores, by_seed = per_face(Run(self.folder))
        return (
            {(name, str(key), effect): table for (name, key, effect), table in scores.items()},
            {(name, str(key), effect): fits for (name, key, effect), fits in by_seed.items()},
        )

    def faces_of(self, editor: str, metric: str, effect: float, task: str) -> Array:
        """(faces,) as the run has them."""
        table = self.per_face[0][editor, metric, effect]
        return oracle.mean(table) if task == "all tasks" else table[self.oracle.tasks.index(task)]

    def seeds_of(self, editor: str, metric: str, effect: float, task: str) -> list[Array]:
        """(faces,) of each seed, as the run has them."""
        tables = self.per_face[1][editor, metric, effect]
        every, at = task == "all tasks", self.oracle.tasks
        return [oracle.mean(table) if every else table[at.index(task)] for table in tables]

    @cached_property
    def costs(self) -> dict[str, dict[str, Any]]:
        return {row["editor"]: row for row in json.loads((self.folder / "costs.json").read_text())}

    @cached_property
    def csv(self) -> list[dict[str, str]]:
        with (self.folder / "results.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def arrays(self, cell_id: str) -> dict[str, Array]:
        return {k: v.double().numpy() for k, v in CellStore(self.folder).arrays(cell_id).items()}

    def timings(self, cell_id: str) -> dict[str, float]:
        return CellStore(self.folder).timings(cell_id)

    def measures(self, metric: str) -> list[dict[str, Any]]:
        return [row for row in self.results["measures"] if row["metric"] == metric]

    def measure(self, editor: str, task: str, metric: str, effect: float = 0.0) -> dict[str, Any]:
        (found,) = (
            row
            for row in self.measures(metric)
            if (row["editor"], row["task"], row["effect"]) == (editor, task, effect)
        )
        return dict(found)


def suite_run(paths: pytest.TempPathFactory) -> Told:
    def make(folder: Path) -> None:
        outcome = world.carry_out(folder / "run")
        assert not outcome.failed

    return Told(_once(paths, "telling", make) / "run", oracle.Oracle(world.SUITE))


def photo_run(paths: pytest.TempPathFactory) -> Told:
    def make(folder: Path) -> None:
        bank = world.photo_bank(folder / "bank")
        outcome = world.carry_out(folder / "run", world.PHOTO_SUITE, bank.folder)
        assert not outcome.failed

    folder = _once(paths, "telling-photographs", make)
    return Told(folder / "run", oracle.Oracle(world.PHOTO_SUITE, photographs=True))


def _once(paths: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The folder that `make` fills, once among all processes of this run of the tests."""
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    folder = (paths.getbasetemp() if alone else paths.getbasetemp().parent) / name
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            make(folder)
            summarise(folder / "run")
            (folder / "done").touch()
    return folder


def assert_near(found: Any, expected: Any, what: object = "") -> None:
    """None on one side is None on the other; numbers are near, in their order."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    np.testing.assert_allclose(found, expected, **NEAR, equal_nan=True, err_msg=str(what))
