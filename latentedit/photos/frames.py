"""Where a generator's images have the face, relative to the standard square."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from latentedit.data.images import images_to_bytes
from latentedit.errors import InputError
from latentedit.interfaces.generator import Generator
from latentedit.photos.landmarks import LandmarkFinder, Quad, face_square

SAMPLES, LEAST = 64, 16
"""Images of a generator in which faces are sought, and in how many one must be found."""
_SEED, _BATCH = 0, 8


@dataclass(frozen=True)
class Frame:
    """A square relative to that of `face_square`, along the axes of that one.

    Args:
        right: of its centre from that of the standard square, in sides of the standard square.
        down: the same, downwards.
        side: in sides of the standard square.

    >>> square = np.array([[0.0, 0.0], [0.0, 10.0], [10.0, 10.0], [10.0, 0.0]])
    >>> Frame(right=0.0, down=0.1, side=0.8).around(square).tolist()
    [[1.0, 2.0], [1.0, 10.0], [9.0, 10.0], [9.0, 2.0]]
    """

    right: float = 0.0
    down: float = 0.0
    side: float = 1.0

    def around(self, square: Quad) -> Quad:
        """This frame for the face that has this standard `square`."""
        across, along = square[3] - square[0], square[1] - square[0]
        centre = square.mean(0) + self.right * across + self.down * along
        quad: Quad = centre + self.side * (square - square.mean(0))
        return quad


STANDARD = Frame()


@torch.no_grad()
def frame_of(generator: Generator, find: LandmarkFinder) -> Frame:
    """The median frame of images that the generator samples.

    A photograph that is cut like this has its face where the generator's own images have theirs.

    Raises:
        InputError: faces are found in too few of the images.
    """
    codes = generator.sample(SAMPLES, _SEED, generator.home)
    height, width = generator.image_size
    middle, frames = np.array([width, height]) / 2, []
    for part in codes.split(_BATCH):
        images = images_to_bytes(generator.synthesize(part, generator.home))
        for picture in images.permute(0, 2, 3, 1).numpy():
            found = find("sample", picture)
            if found is not None:
                frames.append(_frame(face_square(found), middle, height))
    if len(frames) < LEAST:
        raise InputError(
            f"a face was found in {len(frames)} of {SAMPLES} images of the generator, and "
            f"{LEAST} are needed to measure its frame; use --frame standard or another detector"
        )
    right, down, side = np.median(np.array(frames), 0).tolist()
    return Frame(right, down, side)


def _frame(square: Quad, middle: Quad, height: int) -> tuple[float, float, float]:
    across, along = square[3] - square[0], square[1] - square[0]
    size, away = float(across @ across), middle - square.mean(0)
    return float(away @ across) / size, float(away @ along) / size, height / size**0.5
