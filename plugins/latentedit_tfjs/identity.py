"""Recognisers from human-models."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from latentedit import IdentityEncoder, InputError, Options, fingerprint
from latentedit_tfjs.calibration import read_calibration
from latentedit_tfjs.crops import FACE, Box, cropped
from latentedit_tfjs.loading import read_human, record_of
from latentedit_tfjs.packages import HUMAN_MODELS

MARGIN = 0.3
"""Around the face; the widest of those tried (0 to 0.3), with which a shifted crop counts least."""


class RecogniserOptions(Options):
    """Options of `human-mobileface` and `human-faceres`.

    Args:
        face: where faces lie in the images: top, left, bottom and right, as shares of the sides.
        same_person_threshold: cosine at a false accept rate of 1e-3; measured on `dcgan-faces` by
            default.
        path: the folder of the imported package, instead of that in the cache.
    """

    face: Box = FACE
    same_person_threshold: float | None = Field(default=None, gt=-1, lt=1)
    path: Path | None = None


class HumanRecogniser(IdentityEncoder):
    """Embeds a fixed crop of an image.

    Class attributes:
        NETWORK, OUTPUT: name of the network, and of the node that is the embedding.
        SIDE: of its input, in pixels; its values are from 0 to 255.
    """

    Options: ClassVar[type[RecogniserOptions]] = RecogniserOptions
    NAME: ClassVar[str]
    NETWORK: ClassVar[str]
    OUTPUT: ClassVar[str]
    SIDE: ClassVar[int]

    def __init__(self, options: RecogniserOptions | None = None) -> None:
        self.options = RecogniserOptions() if options is None else options
        self._record = record_of(HUMAN_MODELS, self.options.path, self.NAME)
        self._measured = read_calibration(None).recognisers.get(self.NAME)
        threshold = self.options.same_person_threshold
        if threshold is None and self._measured is not None:
            threshold = self._measured.threshold
        if threshold is None:
            raise InputError(
                f"{self.NAME} needs the option same_person_threshold: the calibration has none"
            )
        self.same_person_threshold = threshold
        self.fingerprint = fingerprint(
            {
                "recogniser": self.NAME,
                "weights": self._record.weights_sha256[self.NETWORK],
                "threshold": self.same_person_threshold,
                "face": list(self.options.face),
            }
        )

    @torch.no_grad()
    def embed(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] → (N, E), unit norm."""
        shown = (cropped(images.cpu(), self.options.face, MARGIN, self.SIDE) + 1) * 127.5
        (rows,) = read_human(self.NETWORK, self.options.path)(shown, [self.OUTPUT])
        return normalize(rows.flatten(1), dim=1).to(images.device)

    def card(self) -> dict[str, Any]:
        """Terms, and how well it tells generated faces apart."""
        return {
            "licence": self._record.licence,
            "source": self._record.package,
            "held_out": {} if self._measured is None else {"auc": self._measured.area},
        }


class MobileFace(HumanRecogniser):
    """256 numbers."""

    NAME: ClassVar[str] = "human-mobileface"
    NETWORK: ClassVar[str] = "mobileface"
    OUTPUT: ClassVar[str] = "batchnorm0/add_1"
    SIDE: ClassVar[int] = 112


class FaceRes(HumanRecogniser):
    """1,024 numbers, from which the same network reads age and gender."""

    NAME: ClassVar[str] = "human-faceres"
    NETWORK: ClassVar[str] = "faceres"
    OUTPUT: ClassVar[str] = "global_pooling/Mean"
    SIDE: ClassVar[int] = 224
