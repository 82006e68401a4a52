"""Facial landmarks, and the square crop of generators of aligned faces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentedit.errors import CorruptArtefact, InputError
from latentedit.files.artefacts import read_json
from latentedit.interfaces.landmarks import LandmarkDetector, Landmarks
from latentedit.registry import Registry

Quad = NDArray[np.float64]
"""(4, 2) corners: upper left, lower left, lower right, upper right."""
_POINTS = ("left_eye", "right_eye", "left_mouth", "right_mouth")

LandmarkFinder = Callable[[str, NDArray[np.uint8]], Landmarks | None]
"""(file name, (H, W, 3) picture) → landmarks of its largest face, or None."""


def face_square(found: Landmarks) -> Quad:
    """The oriented square around a face (Karras et al. 2018, "Progressive growing", appendix C).

        x' = e_r − e_l,  y' = e − m,  c = e − 0.1 y',  s = max(4 |x'|, 3.6 |y'|)
        x = (x' − y'⊥) / |x' − y'⊥|

    with e and m the midpoints of eyes and mouth.

    Raises:
        InputError: both eyes are at the same point.

    >>> upright = Landmarks((40, 50), (60, 50), (43, 75), (57, 75))
    >>> face_square(upright).round(1).tolist()
    [[5.0, 7.5], [5.0, 97.5], [95.0, 97.5], [95.0, 7.5]]
    """
    if found.left_eye == found.right_eye:
        raise InputError(f"both eyes of a face are at the same point; received {found}")
    left, right, *mouth = (np.array(getattr(found, name), np.float64) for name in _POINTS)
    eyes = (left + right) / 2
    across, down = right - left, sum(mouth) / 2 - eyes
    x = across + np.array([down[1], -down[0]])
    x *= max(2.0 * np.linalg.norm(across), 1.8 * np.linalg.norm(down)) / np.linalg.norm(x)
    y = np.array([-x[1], x[0]])
    centre = eyes + 0.1 * down
    return np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])


def landmark_finder(
    registry: Registry, source: str, options: Mapping[str, Any] | None = None
) -> LandmarkFinder:
    """Landmarks from a file, or from a detector.

    Args:
        source: a ``.json`` file with positions in pixels, ``{"photo.jpg": {"left_eye": [x, y],
            …}}``, or the name of a landmark detector.
        options: of the detector.

    Raises:
        InputError: it is neither; lists the installed detectors.
    """
    if source.endswith(".json"):
        return _recorded(Path(source))
    if source not in registry.names("landmarks") and Path(source).suffix:
        installed = ", ".join(registry.names("landmarks")) or "(none is installed)"
        raise InputError(
            f"landmarks come from a .json file or a landmark detector, received {source}; "
            f"installed: {installed}"
        )
    detector: LandmarkDetector = registry.build("landmarks", source, options)
    return lambda name, picture: detector.find(picture)


def _recorded(file: Path) -> LandmarkFinder:
    table = read_json(file)
    try:
        known = {
            name: Landmarks(**{point: _pair(row[point]) for point in _POINTS})
            for name, row in table.items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CorruptArtefact(
            f"{file} has a missing or invalid entry: {error}; each picture needs "
            f"{', '.join(_POINTS)} as [x, y] in pixels"
        ) from None
    return lambda name, picture: known.get(name)


def _pair(value: Any) -> tuple[float, float]:
    x, y = (float(number) for number in value)
    if not (np.isfinite(x) and np.isfinite(y)):
        raise ValueError(f"[{x}, {y}]")
    return x, y
