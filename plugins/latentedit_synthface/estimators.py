"""Attribute estimators of SynthFace images: labellers, and independent judges."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from latentedit import AttributeEstimator, Described
from latentedit_synthface.pretrained import Pretrained
from latentedit_synthface.schema import SCHEMA


class SynthFaceEstimator(AttributeEstimator):
    """A bundled network; a subclass names it.

    Class attributes:
        NETWORK: its name.
    """

    NETWORK: ClassVar[str]

    def __init__(self) -> None:
        self._network = Pretrained(self.NETWORK)
        self.schema = SCHEMA
        self.fingerprint = self._network.fingerprint

    def estimate(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] → (N, 17) in natural units, linear: not clamped to a range."""
        return self._network(images)

    def card(self) -> dict[str, Any]:
        """Data, recipe, seeds and held-out error of each attribute."""
        return self._network.card


class SynthFaceLabeller(SynthFaceEstimator):
    """Labels banks: a residual network with an overlapping stem."""

    NETWORK = "labeller"


class SynthFaceNetLabeller(SynthFaceEstimator):
    """The labeller, with further training on images of ``synthface-net``."""

    NETWORK = "net-labeller"


class SynthFaceJudge(SynthFaceEstimator):
    """Judges edits. It differs from the labeller in architecture, training renders and seed."""

    NETWORK = "judge"

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] → (N, 256), the layer before the last."""
        return self._network.features(images)

    def described(self, images: Tensor) -> Described:
        """Values and features of one pass."""
        return Described(*self._network.with_features(images))


class SynthFaceNetJudge(SynthFaceJudge):
    """The judge, trained further on images of ``synthface-net`` (others than the labeller's)."""

    NETWORK = "net-judge"
