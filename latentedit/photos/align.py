"""Photographs, read safely, aligned, and cut to a square."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from latentedit.data.images import bytes_to_images
from latentedit.errors import InputError
from latentedit.files.pictures import open_picture, picture_files
from latentedit.interfaces.landmarks import Landmarks
from latentedit.photos.frames import STANDARD, Frame
from latentedit.photos.landmarks import LandmarkFinder, Quad, face_square

_MARGIN = 0.5
"""Largest part of a square outside the photograph that is filled by mirroring, in sides."""


@dataclass(frozen=True)
class Photograph:
    """A photograph in the format of a generator's images.

    Args:
        name: of its file.
        image: (3, R, R) in [-1, 1].
        crop: how the square was chosen, in words.
    """

    name: str
    image: Tensor
    crop: str


def find_photographs(paths: Iterable[Path]) -> list[Path]:
    """The given files, and the pictures in given folders, sorted by name.

    Raises:
        InputError: there is no picture, or two files have the same name.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += picture_files(path)
        else:
            found.append(path)
    names = [path.name for path in found]
    if not found:
        raise InputError("no photograph was given; name files or folders")
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(f"two photographs are called {sorted(twice)[0]}; rename one")
    return found


def read_photograph(
    path: Path,
    resolution: int,
    landmarks: LandmarkFinder | None = None,
    frame: Frame = STANDARD,
) -> Photograph:
    """A square part of the photograph, `resolution` pixels wide.

    With landmarks it is the square around the face (see `face_square`), or the `frame` relative to
    it. Without landmarks, or if no face is found, it is the largest central square. See
    `open_picture` for depth, transparency and orientation.

    Raises:
        InputError: there is no such file, it is too large, or the landmarks cannot be a face's.
        CorruptArtefact: it is not a readable picture.
    """
    picture = open_picture(path)
    if landmarks is None:
        quad, crop = centre_square(picture.size), "the middle: no landmarks were asked for"
    else:
        found = landmarks(path.name, np.asarray(picture))
        try:
            quad, crop = _square(picture, found, frame)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
    image = _cut(picture, quad, resolution)
    values = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    return Photograph(path.name, bytes_to_images(values), crop)


def centre_square(size: tuple[int, int]) -> Quad:
    """Corners of the largest square in the middle of a picture (width, height)."""
    side = min(size)
    left, top = (size[0] - side) / 2, (size[1] - side) / 2
    right, bottom = left + side, top + side
    return np.array([[left, top], [left, bottom], [right, bottom], [right, top]])


def _square(picture: Image.Image, found: Landmarks | None, frame: Frame) -> tuple[Quad, str]:
    if found is None:
        return centre_square(picture.size), "the middle: no face was found"
    quad = frame.around(face_square(found))
    side = float(np.linalg.norm(quad[3] - quad[0]))
    if side < 2 or _outside(picture, quad) > _MARGIN * side:
        return centre_square(picture.size), "the middle: the face leaves the picture"
    return quad, "aligned by landmarks" + ("" if frame == STANDARD else " in the generator's frame")


def _outside(picture: Image.Image, quad: Quad) -> float:
    """The largest distance of a corner beyond the picture's border, in pixels."""
    right, bottom = quad.max(0) - picture.size
    return max(0.0, float(-quad.min()), float(right), float(bottom))


def _cut(picture: Image.Image, quad: Quad, resolution: int) -> Image.Image:
    """The square with these corners; the part outside the picture is filled by mirroring."""
    side = float(np.linalg.norm(quad[3] - quad[0]))
    pad = min(math.ceil(_outside(picture, quad)), min(picture.size) - 1)
    if pad > 0:
        padded = np.pad(np.asarray(picture), ((pad, pad), (pad, pad), (0, 0)), mode="reflect")
        picture, quad = Image.fromarray(padded), quad + pad
    # `transform` samples single points. It therefore works at a multiple of the resolution that is
    # no coarser than the photo, and `resize` then averages without aliasing.
    fine = resolution * max(1, math.ceil(side / resolution))
    cut = picture.transform(
        (fine, fine),
        Image.Transform.QUAD,
        tuple(quad.flatten()),
        Image.Resampling.BICUBIC if side > resolution else Image.Resampling.BILINEAR,
    )
    return cut.resize((resolution, resolution), Image.Resampling.LANCZOS)
