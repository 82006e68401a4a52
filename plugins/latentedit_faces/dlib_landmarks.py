"""Landmarks of faces by dlib (King, "Dlib-ml", JMLR 2009)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from latentedit import CorruptArtefact, InputError, LandmarkDetector, Landmarks, Options
from latentedit_faces.optional import library

NAME = "faces-dlib-landmarks"


class DlibLandmarksOptions(Options):
    """Options of `faces-dlib-landmarks`.

    Args:
        file: shape_predictor_68_face_landmarks.dat, or another predictor of the same 68 points.
    """

    file: Path


class DlibLandmarks(LandmarkDetector):
    """The largest face that dlib finds, and the middles of its eyes and the ends of its mouth."""

    Options: ClassVar[type[DlibLandmarksOptions]] = DlibLandmarksOptions

    def __init__(self, options: DlibLandmarksOptions | None = None) -> None:
        if options is None:
            raise InputError(f"{NAME} needs the option file, a shape predictor of 68 points")
        self.options = options
        if not options.file.is_file():
            raise InputError(f"there is no file {options.file}")
        dlib = library("dlib", needed_by=NAME, install="pip install dlib (it is compiled)")
        self._detect = dlib.get_frontal_face_detector()
        try:
            self._predict = dlib.shape_predictor(str(options.file))
        except RuntimeError as error:
            raise CorruptArtefact(
                f"{options.file} is no shape predictor of dlib: {error}"
            ) from None

    def find(self, picture: NDArray[np.uint8]) -> Landmarks | None:
        """Landmarks of the largest face in a (H, W, 3) picture; None where no face is found.

        Raises:
            InputError: the file predicts another number of points than 68.
        """
        faces = list(self._detect(picture, 1))
        if not faces:
            return None
        shape = self._predict(picture, max(faces, key=lambda face: face.area()))
        points = np.array([(part.x, part.y) for part in shape.parts()], np.float64)
        if len(points) != 68:
            raise InputError(
                f"{self.options.file} finds {len(points)} points; one that finds 68 is needed"
            )
        left, right = points[36:42].mean(0), points[42:48].mean(0)
        places = (left, right, points[48], points[54])
        return Landmarks(*((float(x), float(y)) for x, y in places))
