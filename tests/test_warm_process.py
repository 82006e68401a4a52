"""The process that loads models once: what cells share, and what is told when one ends."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import odd_generators
import pytest

from latentedit import Registry
from latentedit.benchmark.cells.store import Cell
from latentedit.benchmark.execution.events import Ended
from latentedit.benchmark.execution.warm_process import (
    GIB,
    OUTPUT_BYTES,
    WATCH_SECONDS,
    WarmProcess,
)
from latentedit.benchmark.execution.worker import Job
from latentedit.benchmark.suite import Suite
from latentedit.sampling.make import make_bank

FACES, FIT = Cell("faces", {}), Cell("fit", {}, "mine", 0)


def jobs(
    folder: Path, way: str = "", plugins: Callable[[], Registry] = odd_generators.registry
) -> list[Job]:
    """The faces and a fit of a run in `folder`; from now on its generator is odd."""
    note = folder / "loaded"
    generator = {"plugin": "odd", "options": {"way": way, "note": str(note)}}
    suite = Suite.model_validate(
        {
            "name": "odd",
            "bank": {"generator": generator, "labeller": "labeller", "n_fit": 12, "n_test": 3},
            "judge": "judge",
            "identity": ["eye"],
            "editors": {"mine": {"plugin": "push"}},
            "tasks": [{"attribute": "age", "change": 5}],
        }
    )
    make_bank(
        odd_generators.registry(),
        folder / "bank",
        generator="odd",
        generator_options=suite.bank.generator.options,
        labeller="labeller",
        n_fit=12,
        n_test=3,
    )
    note.touch()
    return [Job(folder, suite, cell, plugins) for cell in (FACES, FIT)]


def ends(asked: list[Job], loaded_by: list[int] | None = None) -> dict[str, Ended]:
    """How each cell ended, side by side; `loaded_by` gets the process that was to load."""
    process, found = WarmProcess(asked[0], len(asked)), {}
    if loaded_by is not None and process.process.pid:
        loaded_by.append(process.process.pid)
    try:
        for job in asked:
            process.start(job)
        until = time.monotonic() + 120
        while len(found) < len(asked) and time.monotonic() < until:
            events = process.events(1) if process.alive else []
            found.update({event.cell_id: event for event in events if isinstance(event, Ended)})
    finally:
        process.close()
    return found


def test_models_are_loaded_once_for_all_cells(tmp_path: Path) -> None:
    asked, by = jobs(tmp_path), list[int]()
    found = ends(asked, by)
    assert {cell: end.status for cell, end in found.items()} == {FACES.id: "ok", FIT.id: "ok"}
    assert [int(line) for line in (tmp_path / "loaded").read_text().split()] == by


def test_where_loading_starts_threads_every_cell_loads_its_own(tmp_path: Path) -> None:
    found = ends(jobs(tmp_path, "threads"))
    assert {end.status for end in found.values()} == {"ok"}, found
    assert len(set((tmp_path / "loaded").read_text().split())) == 3


def test_what_cannot_be_loaded_costs_each_cell_and_is_told_by_each(tmp_path: Path) -> None:
    asked = jobs(tmp_path)
    (tmp_path / "bank").rename(tmp_path / "moved")
    for end in ends(asked).values():
        assert end.status == "failed"
        assert str(tmp_path / "bank") in end.error


def test_leaving_while_models_are_loaded_ends_every_cell_with_the_exit_code(
    tmp_path: Path,
) -> None:
    found = ends(jobs(tmp_path, plugins=odd_generators.leaving))
    told = "the process exited with code 0, while it held the models of the suite"
    assert [(end.status, end.error) for end in found.values()] == [("crashed", told)] * 2


def test_what_a_cell_printed_before_it_left_is_kept(tmp_path: Path) -> None:
    end = ends(jobs(tmp_path, "leaves")[:1])[FACES.id]
    assert (end.status, end.error) == ("crashed", "the process exited with code 3")
    assert end.output == "about to leave\n"


def test_of_a_long_error_the_beginning_and_the_end_are_told(tmp_path: Path) -> None:
    end = ends(jobs(tmp_path, "talks")[:1])[FACES.id]
    half = OUTPUT_BYTES // 2
    assert OUTPUT_BYTES == 16 * 1024
    assert end.status == "failed"
    assert end.error == f"{'a' * half}\n… {40_000 - 2 * half} characters …\n{'b' * half}"


def test_limits_are_in_gibibytes_and_looked_at_some_times_a_second() -> None:
    assert GIB == 2**30
    assert pytest.approx(0.05) == WATCH_SECONDS


def test_records_are_built_before_cells_are_forked() -> None:
    """In place of once in every cell."""
    told = (
        "import sys, latentedit.benchmark.execution.preloaded\n"
        "from latentedit.benchmark.cells.store import CellPlan\n"
        "from latentedit.data.records import ModelRecord\n"
        "from latentedit.editing.saved import EditorRecord\n"
        "built = [m.__pydantic_complete__ for m in (CellPlan, ModelRecord, EditorRecord)]\n"
        "print(all(built), 'safetensors.torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["True", "True"]
