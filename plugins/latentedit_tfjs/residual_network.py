"""The recogniser of face-api: dlib's residual network, with quantised weights.

King, "Dlib-ml", JMLR 2009; He et al., "Deep residual learning for image recognition", CVPR 2016.
Inputs are (N, 150, 150, 3), from 0 to 255.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from latentedit_tfjs.onnx_model import OnnxModel, OnnxSession
from latentedit_tfjs.separable_networks import MEANS, SCALE, weight

SHAPE = (150, 150, 3)
FIRST_SIDE = 35
"""Of what the first convolution and its pooling leave."""
BLOCKS: tuple[tuple[str, ...], ...] = (
    ("conv32_1", "conv32_2", "conv32_3"),
    ("conv64_down", "conv64_1", "conv64_2", "conv64_3"),
    ("conv128_down", "conv128_1", "conv128_2"),
    ("conv256_down", "conv256_1", "conv256_2"),
    ("conv256_down_out",),
)
DOWN = "_down"
"""In the name of a block that halves the sides."""


@dataclass(frozen=True)
class ResidualNetwork:
    """Weights by name, such as ``conv32_1/conv1/conv/filters``."""

    weights: Mapping[str, Tensor]

    def embedded(self, images: Tensor) -> Tensor:
        """(N, 128), of any norm."""
        return self._session(images)[0]

    @cached_property
    def _session(self) -> OnnxSession:
        model, side = OnnxModel(), FIRST_SIDE
        x = self._conv(model, model.centred(MEANS, SCALE), "conv32_down", 2, "VALID")
        x = model.add("Relu", x)
        x = model.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
        for name in (name for blocks in BLOCKS for name in blocks):
            if DOWN in name:
                x, side = self._halved(model, x, name, side), side // 2
            else:
                inner = model.add("Relu", self._conv(model, x, f"{name}/conv1"))
                inner = self._conv(model, inner, f"{name}/conv2")
                x = model.add("Relu", model.add("Add", inner, x))
        return model.session(SHAPE, [model.linear(model.pooled(x), weight(self.weights, "fc"))])

    def _halved(self, model: OnnxModel, x: str, name: str, side: int) -> str:
        """A block on half the sides, added to the means of 2 × 2 pixels.

        What has fewer channels, rows or columns than the other ends with zeros.
        """
        inner = model.add("Relu", self._conv(model, x, f"{name}/conv1", 2, "VALID"))
        inner = self._conv(model, inner, f"{name}/conv2")
        means = model.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
        before, after = weight(self.weights, f"{name}/conv1/conv/filters").shape[2:]
        lacking = side // 2 - ((side - 3) // 2 + 1)
        if lacking:
            inner = model.padded(inner, 0, lacking)
        if after > before:
            means = model.padded(means, after - before, 0)
        return model.add("Relu", model.add("Add", inner, means))

    def _conv(
        self, model: OnnxModel, x: str, name: str, stride: int = 1, padding: str = "SAME_UPPER"
    ) -> str:
        """A convolution whose outputs are scaled and shifted, channel by channel."""
        filters, bias, scale, shift = (
            weight(self.weights, f"{name}/{part}")
            for part in ("conv/filters", "conv/bias", "scale/weights", "scale/biases")
        )
        return model.conv(x, filters * scale, bias * scale + shift, stride, padding)
