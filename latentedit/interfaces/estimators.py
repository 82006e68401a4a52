"""Interfaces of attribute estimators, identity encoders and trainers of estimators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from latentedit.data.attributes import AttributeSchema
from latentedit.interfaces.runtime import Progress, silent


@dataclass(frozen=True)
class Described:
    """What an estimator makes of N images.

    Args:
        values: (N, A) of `AttributeEstimator.estimate`.
        features: (N, F) of `AttributeEstimator.features`.
    """

    values: Tensor
    features: Tensor


class AttributeEstimator(ABC):
    """Estimates attributes from images. One estimator labels a bank; another one judges edits.

    Attributes:
        schema: the columns that `estimate` returns.
        fingerprint: sha256 of weights and configuration.

    Class attributes:
        selective: there are images that it cannot read; `found` names them.
    """

    selective: ClassVar[bool] = False
    schema: AttributeSchema
    fingerprint: str

    @abstractmethod
    def estimate(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) images in [-1, 1] → (N, A) values in natural units. Pure."""

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) images in [-1, 1] → (N, F) features for distances between sets of images.

        A hidden layer if the estimator has one; by default its estimates.
        """
        return self.estimate(images)

    def described(self, images: Tensor) -> Described:
        """What `estimate` and `features` return for (N, 3, H, W) images.

        An estimator whose features are a hidden layer can answer both in one pass.
        """
        return Described(self.estimate(images), self.features(images))

    def found(self, images: Tensor) -> Tensor:
        """(N,) bool, whether each of (N, 3, H, W) images shows what the estimator reads.

        Banks that a `selective` estimator labels hold only such images, and count the others.
        """
        return torch.ones(len(images), dtype=torch.bool)

    def recorded(self, split: str, n: int) -> Tensor | None:
        """(n, A) recorded values of the first n images of a bank's split, for labels by people.

        None if the values are estimated from images.
        """
        return None

    def card(self) -> dict[str, Any]:
        """Facts about the model: data, recipe, and under ``"held_out"`` its measured errors."""
        return {}


class IdentityEncoder(ABC):
    """Maps an image to a unit vector, such that images of one individual have similar vectors.

    Attributes:
        same_person_threshold: cosine above which two images count as one individual. It has a false
            accept rate of 1e-3 on images that the encoder was not trained on.
        fingerprint: sha256 of weights and configuration.
    """

    same_person_threshold: float
    fingerprint: str

    @abstractmethod
    def embed(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) images in [-1, 1] → (N, E) embeddings of unit norm. Pure."""

    def card(self) -> dict[str, Any]:
        """Facts about the model: data, recipe, and under ``"held_out"`` its measured errors."""
        return {}


@dataclass(frozen=True)
class TrainedEstimator:
    """A trained estimator.

    Args:
        estimator: the plugin that loads it.
        options: options of that plugin.
        held_out: error figures by attribute, on images that were not used for training.
    """

    estimator: str
    options: Mapping[str, Any]
    held_out: Mapping[str, Mapping[str, Any]]


class EstimatorTrainer(ABC):
    """Trains an attribute estimator on labelled images."""

    @abstractmethod
    def train(
        self,
        images: Path,
        labels: Path | None,
        out: Path,
        progress: Progress = silent,
    ) -> TrainedEstimator:
        """Train on a folder of pictures, and write the result to a new folder.

        Args:
            images: a folder of picture files.
            labels: a CSV with one row per picture; if None, subfolder names are the labels.
            out: a folder that does not exist yet; it is written completely or not at all.
        """
