"""Recognisers from human-models and face-api."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from latentedit import IdentityEncoder, InputError, Options, fingerprint
from latentedit_tfjs.calibration import read_calibration
from latentedit_tfjs.crops import FACE, Box, cropped
from latentedit_tfjs.loading import RECOGNISER, digest_of, read_human, read_residual, record_of
from latentedit_tfjs.onnx_model import COMPUTED
from latentedit_tfjs.packages import FACE_API, HUMAN_MODELS, Package


class RecogniserOptions(Options):
    """Options of `human-mobileface`, `human-faceres` and `face-api-resnet`.

    Args:
        face: where faces lie in the images: top, left, bottom and right, as shares of the sides.
        same_person_threshold: cosine at a false accept rate of 1e-3; measured on `dcgan-faces` by
            default.
        path: the folder of the imported package, instead of that in the cache.
    """

    face: Box = FACE
    same_person_threshold: float | None = Field(default=None, gt=-1, lt=1)
    path: Path | None = None


class CropRecogniser(IdentityEncoder):
    """Embeds a fixed crop of an image.

    Class attributes:
        PACKAGE, NETWORK: where the network comes from, and its name there.
        SIDE: of its input, in pixels; its values are from 0 to 255.
        MARGIN: around the face, as a share of its box.
    """

    Options: ClassVar[type[RecogniserOptions]] = RecogniserOptions
    NAME: ClassVar[str]
    PACKAGE: ClassVar[Package]
    NETWORK: ClassVar[str]
    SIDE: ClassVar[int]
    MARGIN: ClassVar[float]

    def __init__(self, options: RecogniserOptions | None = None) -> None:
        self.options = RecogniserOptions() if options is None else options
        self._record = record_of(self.PACKAGE, self.options.path, self.NAME)
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
                "computed": COMPUTED,
                "weights": digest_of(self.PACKAGE, self.NETWORK, self.options.path),
                "threshold": self.same_person_threshold,
                "face": list(self.options.face),
            }
        )

    @torch.no_grad()
    def embed(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] → (N, E), unit norm."""
        shown = cropped(images.cpu(), self.options.face, self.MARGIN, self.SIDE)
        rows = self._embedded((shown + 1) * 127.5)
        return normalize(rows, dim=1).to(images.device)

    @abstractmethod
    def _embedded(self, shown: Tensor) -> Tensor:
        """(N, SIDE, SIDE, 3) from 0 to 255 → (N, E)."""

    def card(self) -> dict[str, Any]:
        """Terms, and how well it tells generated faces apart."""
        return {
            "licence": self._record.licence,
            "source": self._record.package,
            "held_out": {} if self._measured is None else {"auc": self._measured.area},
        }


class HumanRecogniser(CropRecogniser):
    """A graph of human-models.

    Its margin is the widest of those tried (0 to 0.3), with which a shifted crop counts least.

    Class attributes:
        OUTPUT: name of the node that is the embedding.
    """

    PACKAGE: ClassVar[Package] = HUMAN_MODELS
    MARGIN: ClassVar[float] = 0.3
    OUTPUT: ClassVar[str]

    def _embedded(self, shown: Tensor) -> Tensor:
        (rows,) = read_human(self.NETWORK, self.options.path)(shown, [self.OUTPUT])
        return rows.flatten(1)


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


class FaceApiResnet(CropRecogniser):
    """128 numbers by dlib's residual network, which the StyleFlow paper measures identity with.

    The weights are dlib's, with eight bits each. The crop is fixed. With this margin, embeddings
    are nearest to those that dlib has of faces that it finds and turns upright.
    """

    NAME: ClassVar[str] = "face-api-resnet"
    PACKAGE: ClassVar[Package] = FACE_API
    NETWORK: ClassVar[str] = RECOGNISER
    SIDE: ClassVar[int] = 150
    MARGIN: ClassVar[float] = 0.05

    def _embedded(self, shown: Tensor) -> Tensor:
        return read_residual(self.options.path).embedded(shown)
