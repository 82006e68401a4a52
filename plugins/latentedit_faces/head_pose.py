"""Yaw, pitch and roll of a head from landmarks that an ONNX model finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor

from latentedit import (
    Attribute,
    AttributeEstimator,
    AttributeSchema,
    InputError,
    Options,
    UnknownName,
    fingerprint,
)
from latentedit_faces.onnx_contract import LandmarksOutput
from latentedit_faces.onnx_models import stated
from latentedit_faces.onnx_network import OnnxNetwork
from latentedit_faces.weak_perspective import FACE, head_angles, weak_perspective

ANGLES = ("yaw", "pitch", "roll")


class PoseOptions(Options):
    """Options of `faces-pose`.

    Args:
        landmarks: contract of an ONNX landmark model.
        angles: the angles to estimate, of yaw, pitch and roll.
        limit: largest angle in degrees, on both sides of 0.
        face: 3-D positions of the contract's points on a face, in any unit: x to the image's right,
            y up, z towards the viewer. Points with a standard name have defaults.
    """

    landmarks: Path
    angles: tuple[Literal["yaw", "pitch", "roll"], ...] = Field(("yaw", "pitch"), min_length=1)
    limit: float = Field(default=90.0, gt=0, le=90)
    face: dict[str, tuple[float, float, float]] = Field(default_factory=dict)


class HeadPose(AttributeEstimator):
    """Fits a face in weak perspective to its landmarks; see `weak_perspective`.

    A camera near the head violates the assumption. Over yaws to 60° and pitches to 40°, with exact
    points of the same face, the largest errors are 2.1° of yaw and 4.2° of pitch at half a metre,
    and 0.9° and 1.8° at 1.2 m. Errors of the detector and of the face's depth are added to these.
    """

    Options: ClassVar[type[PoseOptions]] = PoseOptions

    def __init__(self, options: PoseOptions | None = None) -> None:
        if options is None:
            raise InputError(
                "faces-pose needs landmarks: give the option landmarks, the YAML file that "
                "describes an ONNX landmark model"
            )
        self._network = OnnxNetwork(options.landmarks, ("landmarks",), "faces-pose")
        self._output = cast(LandmarksOutput, self._network.contract.output)
        known = FACE | options.face
        for name in self._output.points:
            if name not in known:
                raise UnknownName("place of a face", name, known, f"in {options.landmarks}")
        self._face = torch.tensor([known[name] for name in self._output.points])
        self._angles = [ANGLES.index(angle) for angle in options.angles]
        self.schema = AttributeSchema(
            tuple(
                Attribute(angle, "continuous", -options.limit, options.limit, "degrees")
                for angle in options.angles
            )
        )
        self.fingerprint = fingerprint(
            {
                "landmarks": self._network.fingerprint,
                "face": self._face.tolist(),
                "schema": self.schema.to_json(),
            }
        )

    def estimate(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] → (N, A) in degrees."""
        rotation, _ = weak_perspective(self.points(images), self._face)
        return head_angles(rotation)[:, self._angles].float().to(images.device)

    def points(self, images: Tensor) -> Tensor:
        """(N, P, 2) the contract's points in the cropped images, y upwards, in units of height."""
        (rows,) = self._network(images, [self._output.name])
        axes, wanted = self._output.axes, list(self._output.points.values())
        if rows.shape[1] % axes or max(wanted) >= rows.shape[1] // axes:
            raise InputError(
                f"the landmark model gives {rows.shape[1]} numbers an image, which holds no point "
                f"{max(wanted)} of {axes} numbers each; correct axes or points in its contract"
            )
        found = rows.view(len(rows), -1, axes)[:, wanted, :2]
        return self._proportioned(found, images) * found.new_tensor([1.0, -1.0])

    def _proportioned(self, found: Tensor, images: Tensor) -> Tensor:
        """Shares of the shown part's height, so that both axes have one unit."""
        height, width = self._network.contract.input.size
        unit = self._output.unit
        if unit == "pixels":
            found = found / found.new_tensor([width, height])
        elif unit == "signed":
            found = (found + 1) / 2
        top, left, bottom, right = self._network.contract.input.crop
        aspect = (right - left) * images.shape[3] / ((bottom - top) * images.shape[2])
        return found * found.new_tensor([aspect, 1.0])

    def card(self) -> dict[str, Any]:
        """Licence and source of the landmark model, as its contract states them."""
        return stated(self._network.contract)
