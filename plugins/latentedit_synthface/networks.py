"""Small convolutional networks that read a 64-pixel image."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils.fusion import fuse_conv_bn_eval

RESOLUTION = 64
"""Height and width of the networks' input in pixels."""


class Convolution(nn.Module):
    """Convolution, batch normalisation and ReLU; `fold` merges the first two after training."""

    def __init__(self, channels_in: int, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        padding = kernel // 2 if kernel % 2 else 0
        self.conv = nn.Conv2d(channels_in, channels, kernel, stride, padding, bias=False)
        self.norm: nn.BatchNorm2d | None = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return torch.relu(x if self.norm is None else self.norm(x))

    def fold(self) -> None:
        """Replace convolution and normalisation by one convolution, as used in evaluation."""
        if self.norm is not None:
            self.conv = fuse_conv_bn_eval(self.conv.eval(), self.norm.eval())
            self.norm = None


class Residual(nn.Module):
    """x + f(x), with f two 3×3 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            Convolution(channels, channels, 3), Convolution(channels, channels, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


class ConvNet(nn.Module):
    """Stages that halve or quarter the image, then two dense layers.

    Args:
        stages: for each stage its channels, kernel, stride and number of residual blocks.
        hidden: units of the dense layer.
        outputs: columns of the result.
    """

    def __init__(self, stages: Sequence[Sequence[int]], hidden: int, outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels_in, side = 3, RESOLUTION
        for channels, kernel, stride, blocks in stages:
            layers.append(Convolution(channels_in, channels, kernel, stride))
            layers.extend(Residual(channels) for _ in range(blocks))
            channels_in, side = channels, side // stride
        self.body = nn.Sequential(*layers)
        self.dense = nn.Linear(channels_in * side * side, hidden)
        self.head = nn.Linear(hidden, outputs)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, 64, 64) in [-1, 1] → (N, outputs)."""
        out: Tensor = self.head(self.features(images))
        return out

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, 64, 64) in [-1, 1] → (N, hidden), the non-negative input of the last layer."""
        maps = self.body(images.contiguous(memory_format=torch.channels_last))
        return torch.relu(self.dense(maps.flatten(1)))

    def activations(self, images: Tensor, dense: float = 1.0) -> Tensor:
        """(N, 3, 64, 64) → (N, F) activations: of each stage, scaled to unit norm at every pixel
        and divided by √(pixels), then of the dense layer, scaled to norm √dense."""
        x, parts = images.contiguous(memory_format=torch.channels_last), []
        for i, layer in enumerate(self.body):
            x = layer(x)
            if i + 1 == len(self.body) or isinstance(self.body[i + 1], Convolution):
                pixels = x.shape[2] * x.shape[3]
                parts.append(normalize(x, dim=1).flatten(1) / pixels**0.5)
        parts.append(dense**0.5 * normalize(torch.relu(self.dense(x.flatten(1))), dim=1))
        return torch.cat(parts, 1)

    def folded(self, scale: Tensor | None = None, shift: Tensor | None = None) -> ConvNet:
        """A copy for inference, without normalisation layers.

        Args:
            scale, shift: (outputs,) so that the copy returns scale · output + shift.
        """
        net: ConvNet = copy.deepcopy(self).eval()
        for module in net.modules():
            if isinstance(module, Convolution):
                module.fold()
        if scale is not None:
            net.head.weight.data *= scale[:, None]
            net.head.bias.data *= scale
        if shift is not None:
            net.head.bias.data += shift
        return net


def inference_net(plan: dict[str, Any]) -> ConvNet:
    """A folded network of the given plan (the arguments of `ConvNet`), to load weights into."""
    net = ConvNet(**plan).folded()
    return net.requires_grad_(False)
