"""Photographs are cut as a generator's own images show faces, and inverted in any home space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import odd_spaces
import pytest
import torch
import toy_photos
from numpy.typing import NDArray

import latentedit_inversion
from latentedit import InputError, InversionRuntime, Landmarks, WeightedLoss
from latentedit.photos.align import read_photograph
from latentedit.photos.frames import STANDARD, Frame, frame_of
from latentedit.photos.landmarks import check_face, face_square

WORLD = odd_spaces.ZOnly()


def upright(left: float, top: float, side: float) -> Landmarks:
    """Landmarks of an upright face whose square of FFHQ is this one."""
    eyes, mouth = top + 0.4722 * side, top + 0.75 * side
    middle, apart = left + side / 2, side / 9
    points = [(middle - apart, eyes), (middle + apart, eyes)]
    points += [(middle - apart / 2, mouth), (middle + apart / 2, mouth)]
    return Landmarks(*points)


def test_the_frame_of_a_generator_is_where_its_own_images_have_the_face() -> None:
    def find(name: str, picture: NDArray[np.uint8]) -> Landmarks:
        return upright(-2.0, 1.0, 10.0)

    found = frame_of(WORLD, find)
    square = face_square(find("", np.zeros((8, 8, 3), np.uint8)))
    assert found.side == pytest.approx(8 / np.linalg.norm(square[3] - square[0]))
    assert found.around(square).min(0) == pytest.approx([0, 0], abs=1e-9)
    assert found.around(square).max(0) == pytest.approx([8, 8], abs=1e-9)


def test_a_frame_turns_with_the_face() -> None:
    square = face_square(Landmarks((50, 40), (50, 60), (25, 43), (25, 57)))
    moved = Frame(down=0.25).around(square)
    down = square[1] - square[0]
    assert moved - square == pytest.approx(np.tile(down / 4, (4, 1)))
    assert STANDARD.around(square) == pytest.approx(square)


def test_a_photograph_is_cut_in_the_frame(tmp_path: Path) -> None:
    picture = torch.rand(3, 60, 60, generator=torch.Generator().manual_seed(0)) * 2 - 1
    toy_photos.as_picture(picture).save(tmp_path / "photo.png")

    def find(name: str, picture: NDArray[np.uint8]) -> Landmarks:
        return upright(10, 10, 40)

    square = face_square(find("", np.zeros((60, 60, 3), np.uint8)))
    side = float(np.linalg.norm(square[3] - square[0]))
    centre = square.mean(0)
    away = (np.array([30.0, 30.0]) - centre) / side
    frame = Frame(float(away[0]), float(away[1]), 60 / side)
    found = read_photograph(tmp_path / "photo.png", 60, find, frame)
    assert found.crop == "aligned by landmarks in the generator's frame"
    assert (found.image - picture).abs().mean() < 0.02


def test_a_point_in_the_first_pixel_does_not_make_pixels_shares() -> None:
    check_face(Landmarks((0.5, 40), (60, 40), (10, 90), (50, 90)))
    with pytest.raises(InputError, match="look like shares"):
        check_face(Landmarks((0.1, 0.4), (1.0, 0.4), (0.2, 0.9), (0.8, 0.9)))


def test_too_few_faces_give_no_frame() -> None:
    with pytest.raises(InputError, match=r"found in 0 of 64 images .*use --frame standard"):
        frame_of(WORLD, lambda name, picture: None)


@pytest.mark.parametrize(("kind", "space"), [("z-only", "z"), ("maps", "h")])
def test_codes_are_found_in_the_home_space_of_a_generator_without_w(kind: str, space: str) -> None:
    world: Any = odd_spaces.KINDS[kind]()
    registry = odd_spaces.registry()
    registry.add(latentedit_inversion, "inversion")
    images = world.synthesize(world.sample(2, 5, space), space)
    loss = WeightedLoss(((1.0, registry.build("perceptual", "pyramid")),))
    options = {"pictures": 64, "w_steps": 40, "rows_steps": 20}
    inverter = registry.build("inverter", "optimisation", options)
    found = inverter.invert(images, InversionRuntime(world, loss))
    assert found.space == space
    assert found.codes.shape == (2, *world.spaces[space])
    assert (world.synthesize(found.codes, space) - images).abs().mean() < 2 / 127.5
