"""Features of frozen networks, as input of small trained models."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol, cast

from torch import Tensor

from latentedit import InputError
from latentedit_faces.clip_network import ClipNetwork
from latentedit_faces.onnx_contract import EmbeddingOutput, FeaturesOutput
from latentedit_faces.onnx_network import OnnxNetwork

FeatureKind = Literal["clip", "onnx"]


class Features(Protocol):
    """(N, 3, H, W) images in [-1, 1] → (N, F)."""

    fingerprint: str

    def __call__(self, images: Tensor) -> Tensor: ...


class ClipFeatures:
    """Image embeddings of a CLIP network."""

    def __init__(self, model: Path) -> None:
        self._network = ClipNetwork(model, "faces-trained")
        self.fingerprint = self._network.fingerprint

    def __call__(self, images: Tensor) -> Tensor:
        return self._network.embed_images(images)


class OnnxFeatures:
    """The output of an ONNX model, as it is."""

    def __init__(self, contract: Path) -> None:
        self._network = OnnxNetwork(contract, ("features", "embedding"), "faces-trained")
        self._name = cast(FeaturesOutput | EmbeddingOutput, self._network.contract.output).name
        self.fingerprint = self._network.fingerprint

    def __call__(self, images: Tensor) -> Tensor:
        return self._network(images, [self._name])[0].to(images.device)


def open_features(kind: FeatureKind, model: Path | None) -> Features:
    """A frozen network.

    Raises:
        InputError: no model is given.
    """
    if model is None:
        what = "a folder with a CLIP model" if kind == "clip" else "the contract of an ONNX model"
        raise InputError(f"features={kind} needs the option model: {what}")
    return ClipFeatures(model) if kind == "clip" else OnnxFeatures(model)
