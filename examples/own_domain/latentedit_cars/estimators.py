"""A labeller, a judge that was trained apart from it, and an encoder of a car's design."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from latentedit import AttributeEstimator, IdentityEncoder, fingerprint
from latentedit_cars.drawing import DESIGN, SCHEMA
from latentedit_cars.networks import apply, loaded, part, reader

LOW = torch.tensor([attribute.low for attribute in SCHEMA])
HIGH = torch.tensor([attribute.high for attribute in SCHEMA])


class _Reader(AttributeEstimator):
    """Reads shares of each attribute's range, which end smoothly at 0 and 1."""

    network: ClassVar[str]
    width: ClassVar[int]
    schema = SCHEMA

    def __init__(self) -> None:
        self._network = loaded(self.network, reader(self.width, SCHEMA.width))
        self.fingerprint = fingerprint({"estimator": "cars-1"}, part(self.network))

    def estimate(self, images: Tensor) -> Tensor:
        shares = apply(self._network, images).sigmoid().to(images)
        return LOW.to(images) + (HIGH - LOW).to(images) * shares

    def features(self, images: Tensor) -> Tensor:
        layers = nn.Sequential(*list(self._network.children())[:-1])
        return apply(layers, images).to(images)


class Labeller(_Reader):
    """Labels banks."""

    network, width = "labeller", 12


class Judge(_Reader):
    """Judges edits: wider than the labeller, with other pictures and another seed."""

    network, width = "judge", 14


class Design(IdentityEncoder):
    """What is seen of a car's design, as a unit vector."""

    def __init__(self) -> None:
        self._network = loaded("design", reader(12, DESIGN))
        card = part("card")
        self.same_person_threshold = float(card["threshold"])
        self._accepted = float(card["accepted"])
        self.fingerprint = fingerprint({"identity": "cars-1"}, part("design"))

    def embed(self, images: Tensor) -> Tensor:
        return nn.functional.normalize(apply(self._network, images).to(images), dim=1)

    def card(self) -> dict[str, Any]:
        return {"held_out": {"true_accept_rate": self._accepted}}
