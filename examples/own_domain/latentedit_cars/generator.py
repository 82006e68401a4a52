"""The generator: the decoder of an autoencoder of drawn cars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from latentedit import CodeSpaces, Companions, Generator, Subject, fingerprint
from latentedit_cars.drawing import SIZE
from latentedit_cars.networks import MAP, Autoencoder, loaded, part


class Cars(Generator):
    """Codes are maps h of shape (8, 4, 4). They are drawn from a Gaussian with the mean and the
    covariance of the training pictures' codes."""

    home_space: ClassVar[str] = "h"
    row_spaces: ClassVar[Mapping[str, str]] = {}
    subject: ClassVar[Subject] = Subject("car", "cars")
    companions: ClassVar[Companions | None] = Companions(
        labeller="cars-labeller", judge="cars-judge", identity=("cars-identity",)
    )
    spaces: Mapping[str, tuple[int, ...]] = {"h": MAP}
    resolution = SIZE

    def __init__(self) -> None:
        self._network, self._prior = loaded("autoencoder", Autoencoder()), part("prior")
        state = {f"autoencoder.{k}": v for k, v in part("autoencoder").items()}
        self.fingerprint = fingerprint({"generator": "cars-1"}, state | self._prior)
        self._spaces = CodeSpaces("cars", self.spaces)

    def sample(self, n: int, seed: int, space: str = "h", truncation_psi: float = 1.0) -> Tensor:
        shape = self._spaces.shape(space)
        rng = torch.Generator().manual_seed(seed)
        scores = truncation_psi * torch.randn(n, self._prior["mean"].numel(), generator=rng)
        return (self._prior["mean"] + scores @ self._prior["factor"].T).view(n, *shape)

    def convert(self, codes: Tensor, source: str, target: str) -> Tensor:
        return self._spaces.walk(codes, source, target, ())

    def synthesize(self, codes: Tensor, space: str = "h") -> Tensor:
        return self._network.decode(self.convert(codes, space, "h").float()).to(codes.dtype)
