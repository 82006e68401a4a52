"""The interfaces that look at images: attribute estimators and identity encoders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from latentedit.data.attributes import AttributeSchema
from latentedit.interfaces.runtime import Progress, silent


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

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) images in [-1, 1] → (N, F), what distances between sets of images are
        measured in: a hidden layer where the estimator has one, else what it estimates."""
        return self.estimate(images)

    def recorded(self, split: str, n: int) -> Tensor | None:
        """(n, A) values on record for the first n faces of a bank's split, where the labels are
        somebody's notes; None where images have to be looked at."""
        return None

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


@dataclass(frozen=True)
class TrainedEstimator:
    """What a trainer wrote.

    Args:
        estimator: name of the plugin that reads it.
        options: what to build that plugin with.
        held_out: figures by attribute, measured on images that were not trained on.
    """

    estimator: str
    options: Mapping[str, Any]
    held_out: Mapping[str, Mapping[str, Any]]


class EstimatorTrainer(ABC):
    """Makes an attribute estimator from images that somebody labelled."""

    @abstractmethod
    def train(
        self,
        images: Path,
        labels: Path | None,
        out: Path,
        progress: Progress = silent,
    ) -> TrainedEstimator:
        """Learn from a folder of pictures, and write the result to a new folder.

        Args:
            images: a folder of picture files.
            labels: a CSV with a row a picture; where there is none, the folder tells.
            out: a folder that does not exist yet; it appears whole or not at all.
        """
