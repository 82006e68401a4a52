"""The bundled networks: half-precision weights, and a card with measured figures."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from latentedit import CorruptArtefact, EnvironmentFault, InputError, fingerprint, read_tensors
from latentedit_synthface.networks import RESOLUTION, ConvNet, inference_net

WEIGHTS = Path(__file__).parent / "weights"
_BATCH = 64


class Pretrained:
    """A trained network by name, computing in float32.

    Attributes:
        card: the content of ``weights/NAME.json``: data, recipe, seeds, held-out figures.
        fingerprint: sha256 of the network's plan and weights.
    """

    def __init__(self, name: str, folder: Path = WEIGHTS) -> None:
        path = folder / f"{name}.safetensors"
        if not path.exists():
            raise EnvironmentFault(f"there is no {path}; install the package again")
        self.card: dict[str, Any] = json.loads((folder / f"{name}.json").read_text("utf-8"))
        if hashlib.sha256(path.read_bytes()).hexdigest() != self.card["sha256"]:
            raise CorruptArtefact(
                f"{path} is not the file that {name}.json describes; install the package again"
            )
        tensors = read_tensors(path)
        self.fingerprint = fingerprint(self.card["plan"], tensors)
        net = inference_net(self.card["plan"])
        net.load_state_dict({key: tensor.float() for key, tensor in tensors.items()})
        self._nets: dict[torch.device, ConvNet] = {torch.device("cpu"): net.eval()}

    def __call__(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1], H and W at least 64 → (N, outputs); differentiable."""
        return self.with_features(images)[0]

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] → (N, hidden), the non-negative input of the last layer."""
        return self.with_features(images)[1]

    def with_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) in [-1, 1], H and W at least 64 → (N, outputs), and (N, hidden) as of
        `features`, of one pass; differentiable."""
        images, plan = _fitted(images), self.card["plan"]
        if len(images) == 0:
            return images.new_zeros(0, plan["outputs"]), images.new_zeros(0, plan["hidden"])
        net = self._on(images.device)
        features = [net.features(part) for part in images.split(_BATCH)]
        return torch.cat([net.head(part) for part in features]), torch.cat(features)

    def activations(self, images: Tensor, dense: float) -> Tensor:
        """(N, 3, H, W) in [-1, 1] → (N, F): activations of every stage, unit norm at each pixel and
        divided by √(pixels), then those of the dense layer times √dense; differentiable."""
        images = _fitted(images)
        return self._on(images.device).activations(images, dense)

    def _on(self, device: torch.device) -> ConvNet:
        if device not in self._nets:
            net = inference_net(self.card["plan"])
            net.load_state_dict(self._nets[torch.device("cpu")].state_dict())
            self._nets[device] = net.eval().to(device)
        return self._nets[device]


def _fitted(images: Tensor) -> Tensor:
    """(N, 3, H, W) → (N, 3, 64, 64) float32."""
    if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < RESOLUTION:
        raise InputError(
            f"images have shape (N, 3, H, W) with H and W at least {RESOLUTION}, "
            f"received {tuple(images.shape)}"
        )
    images = images.float()
    if tuple(images.shape[2:]) == (RESOLUTION, RESOLUTION):
        return images
    return interpolate(images, (RESOLUTION, RESOLUTION), mode="bilinear", antialias=True)
