"""Two networks that read faces, whose features compare images while ``synthface-net`` trains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss

from latentedit_synthface.factors import NAMES
from latentedit_synthface.networks import ConvNet
from latentedit_synthface.pretrained import Pretrained
from workshop.synthface.coded_renders import CodedRenders
from workshop.synthface.optimizer import Muon
from workshop.synthface.renders import unpacked

PLANS: tuple[Sequence[Sequence[int]], ...] = (
    ((32, 3, 2, 0), (48, 3, 2, 0), (96, 3, 2, 0)),
    ((48, 4, 4, 0), (96, 3, 2, 1), (128, 3, 2, 1)),
)
"""One network with overlapping windows, one with patches: their errors seldom coincide."""
HIDDEN = 192
STEPS, BATCH, RATE, WARM = 2500, 64, 4e-3, 150
"""Without the warm-up the networks learn nothing at this rate."""
_SCALED_ON = 512


class ImageFeatures(nn.Module):
    """Distances of images in the features of two networks that read all 41 factors off renders, and
    of the labeller, which read only attributes and light, off renders of other faces.

    `sizes` are the mean sizes of the first network's stages, and of all three networks' dense
    layers, on renders; every feature is divided by its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self._nets = nn.ModuleList(ConvNet(plan, HIDDEN, len(NAMES)) for plan in PLANS)
        self._labeller = Pretrained("labeller")
        self.register_buffer("sizes", torch.ones(len(PLANS[0]) + len(PLANS) + 1))
        self.sizes: Tensor

    @property
    def nets(self) -> list[ConvNet]:
        return cast(list[ConvNet], list(self._nets))

    def textures(self, images: Tensor) -> list[Tensor]:
        """(N, 3, 64, 64) in [-1, 1] → (N, 32, 32, 32), (N, 48, 16, 16), (N, 96, 8, 8)."""
        x, features = images.contiguous(memory_format=torch.channels_last), []
        for layer, size in zip(self.nets[0].body, self.sizes, strict=False):
            x = layer(x)
            features.append(x / size.to(x.dtype))
        return features

    def meanings(self, images: Tensor) -> list[Tensor]:
        """(N, 3, 64, 64) in [-1, 1] → three (N, 192), what each network's last layer reads."""
        x = images.contiguous(memory_format=torch.channels_last)
        found = [torch.relu(net.dense(net.body(x).flatten(1))) for net in self.nets]
        found.append(self._labeller.features(x))
        sizes = self.sizes[-len(found) :]
        return [part / size for part, size in zip(found, sizes, strict=True)]

    def texture_distance(self, images: Tensor, others: Tensor) -> Tensor:
        """Mean absolute difference of `textures`, a mean over the stages."""
        with torch.no_grad():
            wanted = self.textures(others)
        return _gap(self.textures(images), wanted)

    def meaning_distance(self, images: Tensor, others: Tensor) -> Tensor:
        """Mean absolute difference of `meanings`, a mean over the networks."""
        with torch.no_grad():
            wanted = self.meanings(others)
        return _gap(self.meanings(images), wanted)


def _gap(features: list[Tensor], others: list[Tensor]) -> Tensor:
    pairs = zip(features, others, strict=True)
    return torch.stack([(a - b).abs().float().mean() for a, b in pairs]).mean()


def trained_features(
    renders: CodedRenders,
    seed: int,
    precision: torch.dtype,
    steps: int = STEPS,
    device: str = "cpu",
) -> ImageFeatures:
    """Learn to read the factors, for some minutes; frozen and in evaluation."""
    torch.manual_seed(seed)
    features = ImageFeatures().to(device)
    for i, net in enumerate(features.nets):
        _learn(net, renders, seed + i, precision, steps, device)
    features.eval().requires_grad_(False)
    with torch.no_grad():
        sample = unpacked(renders.images[:_SCALED_ON].to(device))
        found = features.textures(sample) + features.meanings(sample)
        features.sizes.copy_(torch.stack([part.abs().mean() for part in found]))
    return features.cpu()


def _learn(
    net: nn.Module,
    renders: CodedRenders,
    seed: int,
    precision: torch.dtype,
    steps: int,
    device: str,
) -> None:
    optimizer = Muon(net.parameters(), RATE, 0.05)
    centre, spread = renders.factors.mean(0), renders.factors.std(0)
    rng = torch.Generator().manual_seed(seed)
    for step in range(steps):
        falling = 0.5 * (1 + math.cos(math.pi * step / steps))
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, (step + 1) / WARM) * falling
        index = torch.randint(len(renders), (BATCH,), generator=rng)
        with torch.autocast(device, precision, enabled=precision != torch.float32):
            output = net(unpacked(renders.images[index].to(device)))
        wanted = (renders.factors[index] - centre) / spread
        loss = smooth_l1_loss(output.float(), wanted.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
