"""The overview of a run has the right faces and curves, each in its place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_cells import colour
from made_runs import write_run
from made_world import EDITORS, GRID, TASKS
from numpy.typing import NDArray
from PIL import Image

from latentedit.benchmark.results.records import ResultsRecord, write_results
from latentedit.benchmark.results.signed import DIGEST
from latentedit.files.records import parsed_record
from latentedit.report.grid import REFUSED
from latentedit.report.picture import write_overview

Pixels = NDArray[np.int64]


def rewrite(folder: Path, results: dict[str, Any]) -> None:
    """Write changed results as a run writes them, with their digest."""
    plain = {name: value for name, value in results.items() if name != DIGEST}
    write_results(folder, parsed_record(plain, ResultsRecord, folder).root)


def pixels(picture: Image.Image) -> Pixels:
    return np.asarray(picture.convert("RGB")).astype(np.int64)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with level curves, whose order by the first recogniser is that by no other."""
    folder = write_run(tmp_path_factory.mktemp("overview") / "run")
    results = json.loads((folder / "results.json").read_text())
    for row in results["curves"]:
        at = [*EDITORS, "still", "stray"].index(row["editor"])
        up = TASKS.index(row["task"]) - 1
        level = LEVELS[at] if row["metric"]["recogniser"] == "rec-zeta" else 1.3 - LEVELS[at]
        row["mean"] = [level + 0.03 * up * at] * len(GRID)
        row["reach"] = [1.0, 1.0, 0.5, 0.31, 0.2]
    rewrite(folder, results)
    return folder


MISSED = {("gamma", "glasses", 0)}
"""Beside the second face, which nobody brings to the effect."""
LEVELS = [0.9, 0.4, 0.6, 0.7, 0.5]
COLOURS = {0.9: "#0072b2", 0.4: "#d55e00", 0.6: "#009e73", 0.5: "#b0a89a"}
"""Of all but the first control, which is as grey as the axes."""


def codes_of(page: Pixels) -> Pixels:
    """One number a pixel."""
    return np.asarray(page @ np.array([1 << 16, 1 << 8, 1]))


def centres(codes: Pixels, wanted: tuple[int, int, int]) -> list[tuple[float, float]]:
    """The middle of the square of this colour, if there is one."""
    at = np.argwhere(codes == codes_of(np.array(wanted)))
    if len(at) < 50:
        return []
    assert np.ptp(at[:, 0]) < 200
    assert np.ptp(at[:, 1]) < 200
    return [(float(at[:, 0].mean()), float(at[:, 1].mean()))]


@pytest.mark.parametrize(
    ("count", "faces"),
    [
        (1, {"age": [0], "glasses": [2], "turn": [0]}),
        (2, {"age": [0, 2], "glasses": [0, 2], "turn": [0, 2]}),
    ],
)
def test_the_overview_shows_the_faces_that_most_editors_reach(
    made: Path, tmp_path: Path, count: int, faces: dict[str, list[int]]
) -> None:
    """Nobody reaches the second face; gamma does not reach the first one with glasses."""
    write_overview(made, tmp_path / "o.png", faces=count)
    with Image.open(tmp_path / "o.png") as picture:
        page = codes_of(pixels(picture))
    rows = []
    for task in TASKS:
        for place in range(3):
            shown = [
                centres(page, colour("alpha", task, place, "unedited")),
                *(centres(page, colour(name, task, place)) for name in EDITORS),
            ]
            there = [(name, task, place) not in MISSED for name in ("", *EDITORS)]
            assert [len(at) for at in shown] == [int(place in faces[task] and it) for it in there]
            if place in faces[task]:
                tops, lefts = zip(*(at[0] for at in shown if at), strict=True)
                assert np.ptp(tops) < 2
                assert list(lefts) == sorted(lefts)
                rows.append((tops[0], lefts[0]))
    half = -(-len(rows) // 2)
    assert rows[:half] == sorted(rows[:half])
    assert rows[half:] == sorted(rows[half:])
    assert max(left for _, left in rows[:half]) < min(left for _, left in rows[half:])


def test_the_overview_crosses_out_an_edit_that_did_not_reach_the_effect(
    made: Path, tmp_path: Path
) -> None:
    """The cross covers the whole of these small images."""
    write_overview(made, tmp_path / "all.png", faces=3)
    with Image.open(tmp_path / "all.png") as picture:
        page = codes_of(pixels(picture))
    missed = {
        (name, task, place)
        for name in EDITORS
        for task in TASKS
        for place in range(3)
        if not centres(page, colour(name, task, place))
    }
    assert missed == MISSED | {(name, task, 1) for name in EDITORS for task in TASKS}
    crosses = (page == codes_of(np.array(REFUSED))).sum()
    assert crosses > 50 * len(missed)


def test_the_overview_shows_two_faces_of_each_task_where_nobody_says_how_many(
    made: Path, tmp_path: Path
) -> None:
    write_overview(made, tmp_path / "two.png", faces=2)
    write_overview(made, tmp_path / "o.png")
    assert (tmp_path / "o.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_an_editor_that_lacks_a_task_is_not_in_the_overview(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    for file in (folder / "cells" / "edit--beta--seed0--turn").iterdir():
        file.unlink()
    write_overview(folder, tmp_path / "o.png")
    with Image.open(tmp_path / "o.png") as picture:
        page = codes_of(pixels(picture))
    shown = [bool(centres(page, colour(name, "age", 0))) for name in EDITORS]
    assert shown == [True, False, True]


def test_the_overview_of_one_task_draws_its_curves(made: Path, tmp_path: Path) -> None:
    """Under all the tasks, of which the curves of the others are level ones of the same height."""
    folder = tmp_path / "run"
    shutil.copytree(made, folder)
    results = json.loads((folder / "results.json").read_text())
    middle = [row for row in results["curves"] if row["task"] == TASKS[1]]
    rewrite(folder, results | {"curves": middle})
    write_overview(folder, tmp_path / "one.png")
    write_overview(made, tmp_path / "all.png")
    with Image.open(tmp_path / "one.png") as one, Image.open(tmp_path / "all.png") as every:
        difference = pixels(one) - pixels(every)
    assert np.abs(difference).max() <= 16


def test_the_overview_draws_the_mean_over_tasks_by_the_first_recogniser(
    made: Path, tmp_path: Path
) -> None:
    """Levels keep their distances, and a line ends where fewer than 0.3 of the faces come."""
    write_overview(made, tmp_path / "o.png")
    with Image.open(tmp_path / "o.png") as picture:
        page = pixels(picture)
    heights, ends = [], []
    right = page[:, page.shape[1] - 720 :]
    for name in COLOURS.values():
        wanted = np.array([int(name[i : i + 2], 16) for i in (1, 3, 5)])
        alike = (np.abs(right - wanted) <= 2).all(2)
        line = int(alike.sum(1).argmax())
        heights.append(line)
        ends.append(np.flatnonzero(alike[line])[[0, -1]])
    slope, offset = np.polyfit(list(COLOURS), heights, 1)
    assert slope < 0
    assert np.polyval((slope, offset), list(COLOURS)) == pytest.approx(heights, abs=2)
    axis = (right == (0x8A, 0x8F, 0x98)).all(2)
    start, end = np.flatnonzero(axis[int(axis.sum(1).argmax())])[[0, -1]]
    for first, last in ends:
        assert first == pytest.approx(start, abs=5)
        assert (last - start) / (end - start) == pytest.approx(0.75, abs=0.012)
