"""Drawn grids and the overview have every image in its place."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_cells import colour
from made_runs import write_run
from made_world import EDITORS, GRID, TASKS
from numpy.typing import NDArray
from PIL import Image, ImageFont
from torch import Tensor

from latentedit.report.grid import draw_grid, save_grid
from latentedit.report.picture import write_overview

Pixels = NDArray[np.int64]


def pixels(picture: Image.Image) -> Pixels:
    return np.asarray(picture.convert("RGB")).astype(np.int64)


def drawn_image(image: Tensor, scale: int) -> Pixels:
    """(3, H, W) uint8 → as it looks, `scale` times larger."""
    shape = (image.shape[2] * scale, image.shape[1] * scale)
    plain = Image.fromarray(np.moveaxis(image.numpy(), 0, 2))
    return pixels(plain.resize(shape, Image.Resampling.BICUBIC))


def places(page: Pixels, image: Pixels) -> list[tuple[int, int]]:
    """Top and left of everywhere that `image` stands."""
    height, width = image.shape[:2]
    corner = np.argwhere((page == image[0, 0]).all(2))
    return [
        (int(top), int(left))
        for top, left in corner
        if page[top : top + height, left : left + width].shape == image.shape
        and (page[top : top + height, left : left + width] == image).all()
    ]


def grid_of(page: Pixels, images: Sequence[Sequence[Tensor]], scale: int = 2) -> None:
    """Refuse the page unless it has the images in these rows and columns, each exactly once."""
    found = []
    for row in images:
        found.append([places(page, drawn_image(image, scale)) for image in row])
    assert [[len(at) for at in row] for row in found] == [[1] * len(row) for row in images]
    tops = [{at[0][0] for at in row} for row in found]
    assert all(len(top) == 1 for top in tops)
    assert sorted(tops, key=min) == tops
    lefts = [[at[0][1] for at in row] for row in found]
    assert all(left == sorted(left) == lefts[0] for left in lefts)


def noise(seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(1, 255, (3, 8, 6), generator=rng, dtype=torch.uint8)


IMAGES = [[noise(3 * r + c) for c in range(3)] for r in range(3)]


def drawn(**changes: Any) -> Pixels:
    given: dict[str, Any] = {
        "rows": IMAGES,
        "column_titles": ["a", "b", "c"],
        "row_titles": ["one", "two", "the longest"],
        "captions": [["1", "2", "3"], ["4", "5", "6"], ["7", "8", "9"]],
        "scale": 5,
    }
    return pixels(draw_grid(**(given | changes)))


def test_a_grid_has_every_image_in_its_row_and_column() -> None:
    grid_of(drawn(), IMAGES, scale=5)


def test_images_that_are_wider_than_high_stand_side_by_side() -> None:
    rng = torch.Generator().manual_seed(20)
    wide = [
        [torch.randint(1, 255, (3, 4, 12), generator=rng, dtype=torch.uint8) for _ in range(3)]
        for _ in range(2)
    ]
    page = pixels(draw_grid(wide, ["a", "b", "c"], ["one", "two"], scale=2))
    grid_of(page, wide, scale=2)


def test_an_image_is_drawn_in_its_colours_and_upright(tmp_path: Path) -> None:
    """Red above green at the left, blue above white at the right, at scale 1."""
    image = torch.zeros(3, 2, 2, dtype=torch.uint8)
    image[0, 0, 0] = image[1, 1, 0] = image[2, 0, 1] = 255
    image[:, 1, 1] = 255
    save_grid(tmp_path / "g.png", [[image]], ["x"], ["y"], scale=1)
    with Image.open(tmp_path / "g.png") as picture:
        page = pixels(picture)
    ((top, left),) = np.argwhere((page == (255, 0, 0)).all(2)).tolist()
    assert page[top + 1, left].tolist() == [0, 255, 0]
    assert page[top, left + 1].tolist() == [0, 0, 255]
    assert page[top + 1, left + 1].tolist() == [255, 255, 255]


def test_an_empty_place_stays_empty_and_moves_nothing() -> None:
    page, whole = drawn(rows=[[IMAGES[0][0], None, IMAGES[0][2]], *IMAGES[1:]]), drawn()
    ((top, left),) = places(whole, drawn_image(IMAGES[0][1], 5))
    assert (page[top : top + 40, left : left + 30] == 255).all()
    page[top : top + 40, left : left + 30] = whole[top : top + 40, left : left + 30]
    assert (page == whole).all()


def changed_box(one: Pixels, other: Pixels) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of what differs."""
    at = np.argwhere((one != other).any(2))
    assert len(at)
    (top, left), (bottom, right) = at.min(0), at.max(0)
    return int(top), int(left), int(bottom), int(right)


@pytest.mark.parametrize("c", [0, 1, 2])
def test_a_column_title_stands_above_its_own_column(c: int) -> None:
    titles = [["a", "b", "c"][i] if i != c else "" for i in range(3)]
    _, left, bottom, right = changed_box(drawn(), drawn(column_titles=titles))
    ((top, at),) = places(drawn(), drawn_image(IMAGES[0][c], 5))
    assert bottom < top
    assert (left + right) / 2 == pytest.approx(at + 15, abs=2)


@pytest.mark.parametrize("r", [0, 1])
def test_a_row_title_stands_left_of_its_own_row(r: int) -> None:
    titles = ["one", "two", "the longest"]
    titles[r] = ""
    top, _, bottom, right = changed_box(drawn(), drawn(row_titles=titles))
    ((at, left),) = places(drawn(), drawn_image(IMAGES[r][0], 5))
    assert right < left
    assert (top + bottom) / 2 == pytest.approx(at + 20, abs=3)


@pytest.mark.parametrize(("r", "c"), list(itertools.product(range(3), range(3))))
def test_a_caption_stands_under_its_own_image(r: int, c: int) -> None:
    captions = [["1", "2", "3"], ["4", "5", "6"], ["7", "8", "9"]]
    captions[r][c] = ""
    top, left, bottom, right = changed_box(drawn(), drawn(captions=captions))
    ((at, side),) = places(drawn(), drawn_image(IMAGES[r][c], 5))
    assert at + 40 <= top < bottom < at + 40 + 20
    assert (left + right) / 2 == pytest.approx(side + 15, abs=2)


def test_a_long_title_takes_two_lines_within_its_column() -> None:
    """Broken at the hyphen, so that the same ink is on two lines and none beside the column."""
    wide = [[torch.zeros(3, 8, 16, dtype=torch.uint8)] * 2]
    blank, long = (
        pixels(draw_grid(wide, [title, ""], [""], scale=5)) for title in ("", "random-direction")
    )
    top, left, bottom, right = changed_box(blank, long)
    assert right - left < 80
    inked = (blank != long).any(2)[top : bottom + 1].any(1)
    lines = int(np.diff(np.concatenate([[False], inked, [False]]).astype(int)).clip(0).sum())
    assert lines >= 2


def test_a_long_title_is_broken_after_its_hyphen_and_not_later() -> None:
    wide = [[torch.zeros(3, 8, 16, dtype=torch.uint8)] * 2]
    blank, long = (
        pixels(draw_grid(wide, [title, ""], [""], scale=5)) for title in ("", "random-direction")
    )
    top, _, _, _ = changed_box(blank, long)
    font = ImageFont.load_default(size=15)
    for rows, text in ((slice(top, top + 13), "random-"), (slice(top + 16, None), "direction")):
        inked = np.flatnonzero((blank != long)[rows].any((0, 2)))
        left, _, right, _ = font.getbbox(text)
        assert inked[-1] - inked[0] + 1 == pytest.approx(right - left, abs=2)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with level curves, whose order by the first recogniser is that by no other."""
    folder = write_run(tmp_path_factory.mktemp("overview") / "run")
    results = json.loads((folder / "results.json").read_text())
    for row in results["curves"]:
        at = [*EDITORS, "still", "stray"].index(row["editor"])
        up = TASKS.index(row["task"]) - 1
        level = LEVELS[at] if row["metric"].endswith("zeta") else 1.3 - LEVELS[at]
        row["mean"] = [level + 0.03 * up * at] * len(GRID)
        row["reach"] = [1.0, 1.0, 0.5, 0.31, 0.2]
    (folder / "results.json").write_text(json.dumps(results))
    return folder


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
            assert [len(at) for at in shown] == [int(place in faces[task])] * 4
            if place in faces[task]:
                tops, lefts = zip(*(at[0] for at in shown), strict=True)
                assert np.ptp(tops) < 2
                assert list(lefts) == sorted(lefts)
                rows.append((tops[0], lefts[0]))
    half = -(-len(rows) // 2)
    assert rows[:half] == sorted(rows[:half])
    assert rows[half:] == sorted(rows[half:])
    assert max(left for _, left in rows[:half]) < min(left for _, left in rows[half:])


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
    (folder / "results.json").write_text(json.dumps(results | {"curves": middle}))
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
