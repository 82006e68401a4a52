"""Estimators of two families that share no network: one labels, the other one judges."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from latentedit import (
    Attribute,
    AttributeEstimator,
    AttributeSchema,
    Options,
    fingerprint,
)
from latentedit_tfjs.calibration import read_calibration, scaled
from latentedit_tfjs.crops import FACE, GREY, Box, cropped, mirrored
from latentedit_tfjs.loading import digest_of, read_human, read_separable, record_of
from latentedit_tfjs.onnx_model import COMPUTED
from latentedit_tfjs.packages import FACE_API, HUMAN_MODELS, Package
from latentedit_tfjs.readings import MESH, SIXTY_EIGHT, of_mirror, point_readings

Name = Literal["yaw", "pitch", "mouth-open", "smile", "gender", "age"]
PARTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "yaw": ("yaw",),
        "pitch": ("pitch",),
        "mouth-open": ("mouth-open",),
        "smile": ("happy", "width", "lift"),
        "gender": ("gender",),
        "age": ("age",),
    }
)
"""The readings whose mean, in standard deviations, is an attribute."""
LIMIT = 10.0
"""Values are clamped to so many standard deviations."""
POINTS_MARGIN, EXPRESSION_MARGIN, PERSON_MARGIN = 0.25, 0.15, 0.15
"""Margins around a face that each kind of network is shown."""
HAPPY = {"human": 3, "face-api": 1}
"""Place of the happy class."""


class FamilyOptions(Options):
    """Options of `human-attributes` and `face-api-attributes`.

    Args:
        attributes: which to read; only the networks that these need are run.
        face: where faces lie in the images: top, left, bottom and right, as shares of the sides.
        path: the folder of the imported package, instead of that in the cache.
        calibration: a calibration on another generator, by ``benchmarks/real_faces.py``.
    """

    attributes: tuple[Name, ...] = Field(
        default=("yaw", "pitch", "mouth-open", "smile"), min_length=1
    )
    face: Box = FACE
    path: Path | None = None
    calibration: Path | None = None


class FamilyAttributes(AttributeEstimator):
    """Attributes in standard deviations of unedited faces.

        a_k = 10 bounded mean over readings r of k of (r − mean_r) / σ_r

    Each reading is the mean of that of the image and that of its mirror image. Class scores are
    read as log-odds, not as probabilities, which saturate. Mean and σ are those of the faces of
    one generator; see `Calibration`.

    Class attributes:
        FAMILY: as the calibration names it.
        PACKAGE: where the networks come from.
        NETWORKS: their names.
    """

    Options: ClassVar[type[FamilyOptions]] = FamilyOptions
    FAMILY: ClassVar[str]
    NAME: ClassVar[str]
    PACKAGE: ClassVar[Package]
    NETWORKS: ClassVar[tuple[str, ...]]

    def __init__(self, options: FamilyOptions | None = None) -> None:
        self.options = FamilyOptions() if options is None else options
        self._record = record_of(self.PACKAGE, self.options.path, self.NAME)
        self._calibration = read_calibration(self.options.calibration)
        self.schema = AttributeSchema(
            tuple(
                Attribute(name, "continuous", -LIMIT, LIMIT, "σ")
                for name in self.options.attributes
            )
        )
        self._scales = self._calibration.scales.get(self.FAMILY, {})
        read = {part for name in self.options.attributes for part in (name, *PARTS[name])}
        self.fingerprint = fingerprint(
            {
                "estimator": self.NAME,
                "computed": COMPUTED,
                "weights": {
                    name: digest_of(self.PACKAGE, name, self.options.path) for name in self.NETWORKS
                },
                "scales": {n: scale.model_dump() for n, scale in self._scales.items() if n in read},
                **self.options.model_dump(mode="json", include={"attributes", "face"}),
            }
        )

    @torch.no_grad()
    def estimate(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] → (N, A) in standard deviations."""
        names = {part for name in self.options.attributes for part in PARTS[name]}
        raw = self.raw(images, names)
        scales, values = self._scales, []
        for name in self.options.attributes:
            parts = [scaled(raw[part], part, scales, self.NAME) for part in PARTS[name]]
            mean = torch.stack(parts).mean(0)
            values.append(mean if len(parts) == 1 else scaled(mean, name, scales, self.NAME))
        return torch.stack(values, 1).clamp(-LIMIT, LIMIT).to(images.device)

    @torch.no_grad()
    def raw(self, images: Tensor, names: set[str]) -> dict[str, Tensor]:
        """(N,) of each reading of (N, 3, H, W) images, before any scale."""
        ways = (self._readings(shown, names) for shown in (images, mirrored(images)))
        straight, turned = ways
        return {name: (straight[name] + of_mirror(name, turned[name])) / 2 for name in names}

    @abstractmethod
    def _readings(self, images: Tensor, names: set[str]) -> Mapping[str, Tensor]:
        """At least the readings `names` of the images as they are."""

    def card(self) -> dict[str, Any]:
        """Terms, and how far both families agree on unedited faces."""
        found = self._calibration
        return {
            "licence": self._record.licence,
            "source": self._record.package,
            "held_out": {
                name: {"agreement": found.agreement[name], "n": found.faces}
                for name in self.options.attributes
                if name in found.agreement
            },
        }


class HumanAttributes(FamilyAttributes):
    """Attributes by facemesh, emotion and faceres of human-models."""

    NAME: ClassVar[str] = "human-attributes"
    FAMILY: ClassVar[str] = "human"
    PACKAGE: ClassVar[Package] = HUMAN_MODELS
    NETWORKS: ClassVar[tuple[str, ...]] = ("emotion", "facemesh", "faceres")
    selective: ClassVar[bool] = True

    def _readings(self, images: Tensor, names: set[str]) -> Mapping[str, Tensor]:
        found: dict[str, Tensor] = {}
        if names & {"yaw", "pitch", "mouth-open", "width", "lift"}:
            (mesh,) = self._run("facemesh", images, POINTS_MARGIN, ["Identity_2"])
            found |= point_readings(mesh.view(-1, 468, 3), MESH)
        if "happy" in names:
            scores = self._run("emotion", images, EXPRESSION_MARGIN, [EMOTION_SCORES])[0]
            found["happy"] = log_odds(scores, HAPPY["human"])
        if names & {"gender", "age"}:
            outputs = ["gender_pred/BiasAdd", "age_pred/Softmax"]
            gender, ages = self._run("faceres", images, PERSON_MARGIN, outputs)
            found["gender"] = gender[:, 0]
            found["age"] = ages @ torch.arange(ages.shape[1], dtype=ages.dtype)
        return found

    def _run(self, name: str, images: Tensor, margin: float, outputs: list[str]) -> list[Tensor]:
        side, prepare = INPUTS[name]
        network = read_human(name, self.options.path)
        shown = cropped(images.cpu(), self.options.face, margin, side)
        return network(prepare((shown + 1) / 2), outputs)

    @torch.no_grad()
    def found(self, images: Tensor) -> Tensor:
        """(N,) whether facemesh calls what it is shown a face."""
        (flag,) = self._run("facemesh", images, POINTS_MARGIN, ["Identity_1"])
        return flag.flatten() > 0.5


class FaceApiAttributes(FamilyAttributes):
    """Attributes by the 68 points, expressions, ages and genders of face-api."""

    NAME: ClassVar[str] = "face-api-attributes"
    FAMILY: ClassVar[str] = "face-api"
    PACKAGE: ClassVar[Package] = FACE_API
    NETWORKS: ClassVar[tuple[str, ...]] = ("age_gender", "face_expression", "face_landmark_68")

    def _readings(self, images: Tensor, names: set[str]) -> Mapping[str, Tensor]:
        found: dict[str, Tensor] = {}
        if names & {"yaw", "pitch", "mouth-open", "width", "lift"}:
            points = read_separable("face_landmark_68", self.options.path).dense(
                self._shown(images, 0.0)
            )
            found |= point_readings(points.view(-1, 68, 2), SIXTY_EIGHT)
        if "happy" in names:
            scores = read_separable("face_expression", self.options.path).dense(
                self._shown(images, EXPRESSION_MARGIN)
            )
            found["happy"] = log_odds(scores, HAPPY["face-api"])
        if names & {"gender", "age"}:
            network = read_separable("age_gender", self.options.path)
            found["age"], found["gender"] = network.ages_and_genders(
                self._shown(images, PERSON_MARGIN)
            )
        return found

    def _shown(self, images: Tensor, margin: float) -> Tensor:
        return (cropped(images.cpu(), self.options.face, margin, 112) + 1) * 127.5


def log_odds(scores: Tensor, column: int) -> Tensor:
    """(N, K) scores before a softmax → (N,) log-odds of one class against all others.

    >>> log_odds(torch.tensor([[2.0, 0.0, 0.0]]), 0).round(decimals=3)
    tensor([1.3070])
    """
    others = torch.cat([scores[:, :column], scores[:, column + 1 :]], 1)
    return scores[:, column] - others.logsumexp(1)


EMOTION_SCORES = "StatefulPartitionedCall/model_1/global_average_pooling2d_1/Mean"
INPUTS: Mapping[str, tuple[int, Any]] = MappingProxyType(
    {
        "facemesh": (192, lambda x: x),
        "emotion": (64, lambda x: 2 * (x @ GREY.to(x))[..., None] - 1),
        "faceres": (224, lambda x: 255 * x),
    }
)
"""Side of each network's input, and its scale from images in [0, 1]."""
