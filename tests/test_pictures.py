"""Drawn grids have every image in its place."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from latentedit.report.grid import TITLE, draw_grid, font, save_grid

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
    for rows, text in ((slice(top, top + 13), "random-"), (slice(top + 16, None), "direction")):
        inked = np.flatnonzero((blank != long)[rows].any((0, 2)))
        left, _, right, _ = font(TITLE).getbbox(text)
        assert inked[-1] - inked[0] + 1 == pytest.approx(right - left, abs=2)


def test_titles_show_the_letters_of_the_suites() -> None:
    """A font draws every letter that it lacks as the same box."""
    missing = bytes(font(TITLE).getmask("\U000f0000"))
    assert any(missing)
    assert [letter for letter in "σΔψ±×–≤" if bytes(font(TITLE).getmask(letter)) == missing] == []
