"""The interfaces that look at images: attribute estimators and identity encoders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor

from latentedit.attributes import AttributeSchema


class AttributeEstimator(ABC):
    """Reads attributes off images. The bank is labelled by one, edits are judged by another.

    Attributes:
        schema: the columns that `estimate` returns.
        fingerprint: sha256 of weights and configuration.
    """

    schema: AttributeSchema
    fingerprint: str

    @abstractmethod
    def estimate(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) images in [-1, 1] → (N, A) values in natural units. Pure."""

    def card(self) -> dict[str, Any]:
        """What is known of the model: data, recipe, and under ``"held_out"`` its measured error."""
        return {}


class IdentityEncoder(ABC):
    """Maps an image to a unit vector, so that one person's images lie close together.

    Attributes:
        same_person_threshold: cosine above which two images count as one person, chosen at a false
            accept rate of 1e-3 on faces that the encoder was not trained on.
        fingerprint: sha256 of weights and configuration.
    """

    same_person_threshold: float
    fingerprint: str

    @abstractmethod
    def embed(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) images in [-1, 1] → (N, E) embeddings of unit norm. Pure."""

    def card(self) -> dict[str, Any]:
        """What is known of the model: data, recipe, and under ``"held_out"`` its measured error."""
        return {}
