"""Where a face's eyes and mouth are, and the square that they lie in as in FFHQ."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentedit.errors import CorruptArtefact, EnvironmentFault, InputError
from latentedit.files.artefacts import read_json

Quad = NDArray[np.float64]
"""(4, 2) corners: upper left, lower left, lower right, upper right."""
_POINTS = ("left_eye", "right_eye", "left_mouth", "right_mouth")


@dataclass(frozen=True)
class Landmarks:
    """Four points (x, y) in pixels; left and right as one sees the picture."""

    left_eye: tuple[float, float]
    right_eye: tuple[float, float]
    left_mouth: tuple[float, float]
    right_mouth: tuple[float, float]


LandmarkFinder = Callable[[str, NDArray[np.uint8]], Landmarks | None]
"""(name of the file, (H, W, 3) picture) → landmarks of its largest face, or None."""


def face_square(found: Landmarks) -> Quad:
    """The oriented square around a face (Karras et al. 2018, "Progressive growing", appendix C).

        x' = e_r − e_l,  y' = e − m,  c = e − 0.1 y',  s = max(4 |x'|, 3.6 |y'|)
        x = (x' − y'⊥) / |x' − y'⊥|

    with e and m the middles of eyes and mouth.

    Raises:
        InputError: both eyes are in one place.

    >>> upright = Landmarks((40, 50), (60, 50), (43, 75), (57, 75))
    >>> face_square(upright).round(1).tolist()
    [[5.0, 7.5], [5.0, 97.5], [95.0, 97.5], [95.0, 7.5]]
    """
    if found.left_eye == found.right_eye:
        raise InputError(f"the eyes of a face are apart; received {found}")
    left, right, *mouth = (np.array(getattr(found, name), np.float64) for name in _POINTS)
    eyes = (left + right) / 2
    across, down = right - left, sum(mouth) / 2 - eyes
    x = across + np.array([down[1], -down[0]])
    x *= max(2.0 * np.linalg.norm(across), 1.8 * np.linalg.norm(down)) / np.linalg.norm(x)
    y = np.array([-x[1], x[0]])
    centre = eyes + 0.1 * down
    return np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])


def landmark_finder(file: Path) -> LandmarkFinder:
    """Landmarks from a file.

    Args:
        file: a ``.json`` that says where they are, ``{"photo.jpg": {"left_eye": [x, y], …}}``, or
            the ``.dat`` of a dlib shape predictor of 68 points, which needs dlib.

    Raises:
        EnvironmentFault: dlib is not installed.
    """
    if file.suffix == ".json":
        return _recorded(file)
    if file.suffix == ".dat":
        return _predicted(file)
    raise InputError(f"landmarks come from a .json or a dlib .dat file, received {file}")


def _recorded(file: Path) -> LandmarkFinder:
    table = read_json(file)
    try:
        known = {
            name: Landmarks(**{point: _pair(row[point]) for point in _POINTS})
            for name, row in table.items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CorruptArtefact(
            f"{file} lacks or garbles {error}; each picture has {', '.join(_POINTS)} as [x, y]"
        ) from None
    return lambda name, picture: known.get(name)


def _pair(value: Any) -> tuple[float, float]:
    x, y = (float(number) for number in value)
    if not (np.isfinite(x) and np.isfinite(y)):
        raise ValueError(f"[{x}, {y}]")
    return x, y


def _predicted(file: Path) -> LandmarkFinder:
    if not file.is_file():
        raise InputError(f"there is no file {file}")
    try:
        dlib = importlib.import_module("dlib")
    except ImportError:
        raise EnvironmentFault(
            "landmarks from a .dat file need dlib: pip install dlib; or give their positions as "
            ".json, or leave --landmarks out for a crop of the middle"
        ) from None
    detect = dlib.get_frontal_face_detector()
    try:
        predict = dlib.shape_predictor(str(file))
    except RuntimeError as error:
        raise CorruptArtefact(f"{file} is no shape predictor of dlib: {error}") from None

    def find(name: str, picture: NDArray[np.uint8]) -> Landmarks | None:
        faces = list(detect(picture, 1))
        if not faces:
            return None
        shape = predict(picture, max(faces, key=lambda face: face.area()))
        points = np.array([(part.x, part.y) for part in shape.parts()], np.float64)
        return _of_68(file, points)

    return find


def _of_68(file: Path, points: NDArray[np.float64]) -> Landmarks:
    if len(points) != 68:
        raise InputError(f"{file} finds {len(points)} points; one that finds 68 is needed")
    left, right = points[36:42].mean(0), points[42:48].mean(0)
    places = (left, right, points[48], points[54])
    return Landmarks(*((float(x), float(y)) for x, y in places))
