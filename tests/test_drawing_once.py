"""Images that are kept by code: the same to the last bit, and drawn once."""

from __future__ import annotations

import torch
from torch import Tensor

from latentedit import Registry
from latentedit.benchmark.cells.pictures import WHOLE, Pictures

R = 8


class Drawing:
    """Draws a code's first number, and records what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, codes: Tensor, space: str) -> Tensor:
        self.asked.append(len(codes))
        shade = codes.flatten(1)[:, 0] + (100 if space == "z" else 0)
        return shade[:, None, None, None].expand(-1, 3, R, R).clone()


def codes(*shades: float) -> Tensor:
    return torch.tensor(shades)[:, None].expand(-1, 4)


def shades(images: Tensor) -> list[float]:
    return [float(value) for value in images[:, 0, 0, 0]]


def test_a_code_is_drawn_once_wherever_it_comes_again() -> None:
    drawing = Drawing()
    pictures = Pictures(drawing, R, 64)
    assert shades(pictures.of(codes(1, 2, 1), "w")) == [1, 2, 1]
    assert shades(pictures.of(codes(2, 1), "w")) == [2, 1]
    assert drawing.asked == [WHOLE]
    assert shades(pictures.of(codes(3, 1), "w")) == [3, 1]
    assert shades(pictures.of(codes(1), "z")) == [101]
    assert drawing.asked == [WHOLE] * 3


def test_images_are_dropped_first_come_first_where_there_is_no_room() -> None:
    drawing = Drawing()
    pictures = Pictures(drawing, R, 2, room=4 * 12 * R**2)
    for shade in range(5):
        pictures.of(codes(shade), "w")
    assert shades(pictures.of(codes(4, 1), "w")) == [4, 1]
    assert len(drawing.asked) == 5
    assert shades(pictures.of(codes(0), "w")) == [0]
    assert len(drawing.asked) == 6


def test_large_images_are_drawn_as_they_are_asked_for() -> None:
    drawing = Drawing()
    pictures = Pictures(drawing, R, 64, room=100 * 12 * R**2)
    assert shades(pictures.of(codes(1, 1), "w")) == [1, 1]
    assert shades(pictures.of(codes(1), "w")) == [1]
    assert drawing.asked == [2, 1]


def test_an_image_of_the_rendered_world_does_not_depend_on_what_it_is_drawn_with() -> None:
    world = Registry.discover().generator("synthface", {"resolution": 32})
    faces = world.sample(64, seed=3)
    together = world.synthesize(faces)
    pictures = Pictures(world.synthesize, world.resolution, 64)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    for rows in order.split([1, 2, 3, 7, 20, 31]):
        assert torch.equal(pictures.of(faces[rows], "w"), together[rows])
