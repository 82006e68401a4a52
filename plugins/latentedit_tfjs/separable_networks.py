"""The networks of face-api, whose package has weights and no graph.

Dense blocks and blocks in the manner of Xception (Chollet, CVPR 2017), of depthwise separable
convolutions with TensorFlow's padding. Inputs are (N, 112, 112, 3), from 0 to 255.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from latentedit import InputError
from latentedit_tfjs.graph import Node
from latentedit_tfjs.network import TOGETHER
from latentedit_tfjs.operations import run

SIDE = 112
MEANS = (122.782, 117.001, 104.298)
"""Of the channels, which the networks expect to be subtracted."""


@dataclass(frozen=True)
class SeparableNetwork:
    """Weights by name, such as ``dense0/conv1/pointwise_filter``."""

    weights: Mapping[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.weights:
            raise InputError(f"the network has no weight {name!r}; import its package again")
        return self.weights[name]

    def conv(self, x: Tensor, name: str, stride: int) -> Tensor:
        node = Node(name=name, op="Conv2D", padding="SAME", strides=(stride, stride))
        return run(node, [x, self[f"{name}/filters"]]) + self[f"{name}/bias"]

    def separable(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        """A convolution of each channel, and a linear map of each pixel's channels."""
        node = Node(name=name, op="DepthwiseConv2dNative", padding="SAME", strides=(stride, stride))
        spread = run(node, [x, self[f"{name}/depthwise_filter"]])
        return spread @ self[f"{name}/pointwise_filter"][0, 0] + self[f"{name}/bias"]

    @torch.no_grad()
    def dense(self, images: Tensor) -> Tensor:
        """Four dense blocks and a linear map: (N, 7) expressions, or (N, 136) places of points."""
        return torch.cat([self._dense(part) for part in images.split(TOGETHER)])

    def _dense(self, images: Tensor) -> Tensor:
        x = _centred(images)
        for block in range(4):
            name = f"dense{block}"
            first = self.conv if block == 0 else self.separable
            total = step = first(x, f"{name}/conv0", 2).relu()
            for i in range(1, 4):
                step = self.separable(step, f"{name}/conv{i}")
                total = total + step
                step = total.relu()
            x = step
        return _pooled(x) @ self["fc/weights"] + self["fc/bias"]

    @torch.no_grad()
    def ages_and_genders(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N,) years, and (N,) log-odds of a male face."""
        found = torch.cat([self._person(part) for part in images.split(TOGETHER)])
        return found[:, 0], found[:, 1] - found[:, 2]

    def _person(self, images: Tensor) -> Tensor:
        """(N, 3): years, and the scores of a male and of a female face."""
        x = self.conv(_centred(images), "entry_flow/conv_in", 2).relu()
        x = self._reduced(x, "entry_flow/reduction_block_0", x)
        x = self._reduced(x, "entry_flow/reduction_block_1", x.relu())
        for block in range(2):
            kept = x
            for i in range(3):
                x = self.separable(x.relu(), f"middle_flow/main_block_{block}/separable_conv{i}")
            x = x + kept
        x = self._reduced(x, "exit_flow/reduction_block", x.relu())
        features = _pooled(self.separable(x, "exit_flow/separable_conv").relu())
        age = features @ self["fc/age/weights"] + self["fc/age/bias"]
        gender = features @ self["fc/gender/weights"] + self["fc/gender/bias"]
        return torch.cat([age, gender], 1)

    def _reduced(self, x: Tensor, name: str, active: Tensor) -> Tensor:
        inner = self.separable(active, f"{name}/separable_conv0").relu()
        inner = self.separable(inner, f"{name}/separable_conv1")
        pool = Node(name=name, op="MaxPool", padding="SAME", strides=(2, 2), window=(3, 3))
        return run(pool, [inner]) + self.conv(x, f"{name}/expansion_conv", 2)


def _centred(images: Tensor) -> Tensor:
    return (images - images.new_tensor(MEANS)) / 255


def _pooled(x: Tensor) -> Tensor:
    """The mean of the upper left 7 × 7 pixels, which are all or nearly all of them."""
    return x[:, :7, :7].mean((1, 2))
