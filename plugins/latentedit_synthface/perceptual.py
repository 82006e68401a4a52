"""A perceptual loss from the embedded networks' features."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from latentedit import Options, PerceptualLoss, fingerprint
from latentedit_synthface.pretrained import Pretrained


class SynthFaceFeaturesOptions(Options):
    """Options of the features.

    Args:
        dense: weight of the dense layer's features, relative to those of the convolutions.
    """

    dense: float = Field(default=1.0, ge=0)


class SynthFaceFeatures(PerceptualLoss):
    """Squared differences of a network's activations, each pixel's scaled to unit norm.

        d(x, y) = Σ_l mean_hw ‖f̂_l(x) − f̂_l(y)‖²

    as in Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric",
    CVPR 2018, without learned weights. The network is the labeller. Judge and recognisers measure
    the result of an inversion, so they are not used here.
    """

    Options: ClassVar[type[SynthFaceFeaturesOptions]] = SynthFaceFeaturesOptions
    options: SynthFaceFeaturesOptions

    def __init__(self, options: SynthFaceFeaturesOptions | None = None) -> None:
        super().__init__(options)
        self._network = Pretrained("labeller")
        self.fingerprint = fingerprint(
            {
                "perceptual": "synthface-features-1",
                "network": self._network.fingerprint,
                **self.options.model_dump(),
            }
        )

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, H, W), H and W at least 64 → (N, F)."""
        return self._network.activations(images, self.options.dense)
