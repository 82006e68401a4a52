"""Facial landmarks, and the square crop of generators of aligned faces."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentedit.errors import CorruptArtefact, InputError, nearest
from latentedit.files.artefacts import read_json
from latentedit.interfaces.landmarks import LandmarkDetector, Landmarks
from latentedit.registry import Registry

Quad = NDArray[np.float64]
"""(4, 2) corners: upper left, lower left, lower right, upper right."""
Vector = NDArray[np.float64]
"""(2,) x and y in pixels."""
_POINTS = ("left_eye", "right_eye", "left_mouth", "right_mouth")
_LARGEST = 1_000_000
"""Largest coordinate in pixels; a picture has fewer."""
_FLAT = 0.1
"""Smallest sine of the angle between the eyes and the line from eyes to mouth."""

LandmarkFinder = Callable[[str, NDArray[np.uint8]], Landmarks | None]
"""(file name, (H, W, 3) picture) → landmarks of its largest face, or None."""


def face_square(found: Landmarks) -> Quad:
    """The oriented square around a face (Karras et al. 2018, "Progressive growing", appendix C).

        x' = e_r − e_l,  y' = e − m,  c = e − 0.1 y',  s = max(4 |x'|, 3.6 |y'|)
        x = (x' − y'⊥) / |x' − y'⊥|

    with e and m the midpoints of eyes and mouth.

    Raises:
        InputError: the points cannot be those of a face; see `check_face`.

    >>> upright = Landmarks((40, 50), (60, 50), (43, 75), (57, 75))
    >>> face_square(upright).round(1).tolist()
    [[5.0, 7.5], [5.0, 97.5], [95.0, 97.5], [95.0, 7.5]]
    """
    check_face(found)
    eyes, across, down, _ = _axes(found)
    x = across + np.array([down[1], -down[0]])
    x *= max(2.0 * np.linalg.norm(across), 1.8 * np.linalg.norm(down)) / np.linalg.norm(x)
    y = np.array([-x[1], x[0]])
    centre = eyes + 0.1 * down
    return np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])


def check_face(found: Landmarks) -> None:
    """Raise `InputError` unless the points can be those of a face, turned by any angle.

    With e the vector from the left to the right eye and m the one from the eyes to the mouth,
    e × m > 0 holds for every face in a picture whose y axis points down. Exchanging left and right,
    or x and y, changes the sign. The error names the cause that leaves the face more upright.
    """
    points = np.array([getattr(found, name) for name in _POINTS], np.float64)
    if not (np.isfinite(points).all() and (np.abs(points) <= _LARGEST).all()):
        raise InputError(f"landmarks are pixels up to {_LARGEST:,}, received {found}")
    if found.left_eye == found.right_eye:
        raise InputError(f"both eyes of a face are at the same point; received {found}")
    if (points >= 0).all() and (points <= 1).all():
        raise InputError(
            "landmarks look like shares of the picture's sides; multiply them by its width and "
            f"height, since pixels are expected. Received {found}"
        )
    _, across, down, mouth = _axes(found)
    size = float(np.linalg.norm(across) * np.linalg.norm(down))
    sine = _cross(across, down) / size if size else 0.0
    if abs(sine) < _FLAT:
        raise InputError(f"eyes and mouth of a face lie on one line; received {found}")
    if sine < 0:
        exchanged, swapped = _upright(-across, down), _upright(across[::-1], down[::-1])
        cause = (
            "left and right seem to be exchanged: left is the left side of the picture"
            if exchanged >= swapped
            else "y seems to stand before x: each point is [x, y]"
        )
        raise InputError(f"landmarks of a mirrored face; {cause}. Received {found}")
    if across @ mouth < 0:
        raise InputError(
            "left and right seem to be exchanged for the eyes or for the mouth alone; "
            f"received {found}"
        )


def _axes(found: Landmarks) -> tuple[Vector, Vector, Vector, Vector]:
    """Midpoint of the eyes, and the vectors along the eyes, from eyes to mouth, along the mouth."""
    left, right, mouth_left, mouth_right = (
        np.array(getattr(found, name), np.float64) for name in _POINTS
    )
    eyes = (left + right) / 2
    return eyes, right - left, (mouth_left + mouth_right) / 2 - eyes, mouth_right - mouth_left


def _cross(a: Vector, b: Vector) -> float:
    return float(a[0] * b[1] - a[1] * b[0])


def _upright(across: Vector, down: Vector) -> float:
    """2 for a face that is exactly upright, down to -2 for one upside down."""
    return float(across[0] / np.linalg.norm(across) + down[1] / np.linalg.norm(down))


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
    known: dict[str, Landmarks] = {}
    try:
        for name, row in table.items():
            key = unicodedata.normalize("NFC", name)
            if key in known:
                raise ValueError(f"two entries for {name!r}")
            known[key] = Landmarks(**{point: _pair(row[point]) for point in _POINTS})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CorruptArtefact(
            f"{file} has a missing or invalid entry: {error}; each picture needs "
            f"{', '.join(_POINTS)} as [x, y] in pixels"
        ) from None

    def find(name: str, picture: NDArray[np.uint8]) -> Landmarks:
        # Some systems store file names in decomposed form (e + ¨), and editors write ë.
        key = unicodedata.normalize("NFC", name)
        if key not in known:
            similar = _similar(key, known)
            hint = f"; did you mean {similar!r}?" if similar else "."
            raise InputError(
                f"{file} does not name the photo {name!r}{hint} It has {len(known)} entries; each "
                "key is the file name of a photo, without its folder"
            )
        return known[key]

    return find


def _similar(name: str, known: Iterable[str]) -> str | None:
    """The known name with the same file name or stem in any case, or else the nearest one."""

    def parts(of: str) -> tuple[str, str]:
        path = PurePath(of.casefold().replace("\\", "/"))
        return path.name, path.stem

    same = (other for other in known if set(parts(other)) & set(parts(name)))
    return next(same, None) or nearest(name, known)


def _pair(value: Any) -> tuple[float, float]:
    x, y = value
    for number in (x, y):
        plain = isinstance(number, (int, float)) and not isinstance(number, bool)
        if not (plain and abs(number) <= _LARGEST):  # also false for NaN
            raise ValueError(f"[{str(x)[:30]}, {str(y)[:30]}]")
    return float(x), float(y)
