"""A small network whose features compare images in training ``synthface-net``; never a judge."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss

from latentedit_synthface.coded_renders import CodedRenders
from latentedit_synthface.factors import NAMES
from latentedit_synthface.networks import ConvNet
from latentedit_synthface.optimizer import Muon
from latentedit_synthface.renders import unpacked

STAGES = ((32, 3, 2, 0), (48, 3, 2, 0), (96, 3, 2, 0))
STEPS, BATCH, RATE = 1200, 64, 4e-3
_HIDDEN = 128


class ImageFeatures(nn.Module):
    """Images → three stages of features, each of unit mean size on renders."""

    def __init__(self) -> None:
        super().__init__()
        self.net = ConvNet(STAGES, _HIDDEN, len(NAMES))
        self.register_buffer("sizes", torch.ones(len(STAGES)))
        self.sizes: Tensor

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, 64, 64) in [-1, 1] → (N, 32, 32, 32), (N, 48, 16, 16), (N, 96, 8, 8)."""
        x, features = images.contiguous(memory_format=torch.channels_last), []
        for layer, size in zip(self.net.body, self.sizes, strict=True):
            x = layer(x)
            features.append(x / size.to(x.dtype))
        return features

    def distance(self, images: Tensor, others: Tensor) -> Tensor:
        """Mean absolute difference of the features, a mean over the stages."""
        with torch.no_grad():
            wanted = self(others)
        pairs = zip(self(images), wanted, strict=True)
        return torch.stack([(a - b).abs().float().mean() for a, b in pairs]).mean()


def trained_features(renders: CodedRenders, seed: int, precision: torch.dtype) -> ImageFeatures:
    """Learn to read all 41 factors off renders, for about a minute; frozen and in evaluation."""
    torch.manual_seed(seed)
    features = ImageFeatures()
    optimizer = Muon(features.net.parameters(), RATE, 0.05)
    centre, spread = renders.factors.mean(0), renders.factors.std(0)
    rng = torch.Generator().manual_seed(seed)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / STEPS))
        index = torch.randint(len(renders), (BATCH,), generator=rng)
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            output = features.net(unpacked(renders.images[index]))
        loss = smooth_l1_loss(output.float(), (renders.factors[index] - centre) / spread)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    features.eval().requires_grad_(False)
    with torch.no_grad():
        sample = features(unpacked(renders.images[:512]))
        features.sizes.copy_(torch.stack([stage.abs().mean() for stage in sample]))
    return features
