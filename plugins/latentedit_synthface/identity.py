"""Identity encoders of SynthFace people: two networks with different training objectives."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor
from torch.nn.functional import normalize

from latentedit import IdentityEncoder
from latentedit_synthface.pretrained import Pretrained


class SynthFaceIdentity(IdentityEncoder):
    """A bundled network; a subclass names it.

    Class attributes:
        NETWORK: its name.
    """

    NETWORK: ClassVar[str]

    def __init__(self) -> None:
        self._network = Pretrained(self.NETWORK)
        self.same_person_threshold = float(self._network.card["held_out"]["threshold"])
        self.fingerprint = self._network.fingerprint

    def embed(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] → (N, E), unit norm."""
        return normalize(self._network(images), dim=1)

    def card(self) -> dict[str, Any]:
        """Data, recipe, seeds, threshold and held-out verification figures."""
        return self._network.card


class ContrastiveIdentity(SynthFaceIdentity):
    """Embeds in 64 dimensions, trained with a contrastive loss (Khosla et al. 2020)."""

    NETWORK = "identity-contrastive"


class RegressionIdentity(SynthFaceIdentity):
    """Trained to regress the 14 identity factors; its embedding is the normalised estimate."""

    NETWORK = "identity-regression"
