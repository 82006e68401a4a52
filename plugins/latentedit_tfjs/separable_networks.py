"""The networks of face-api that read attributes; its package has weights and no graph.

Dense blocks and blocks in the manner of Xception (Chollet, CVPR 2017), of depthwise separable
convolutions with TensorFlow's padding. Inputs are (N, 112, 112, 3), from 0 to 255.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from latentedit import InputError
from latentedit_tfjs.onnx_model import Array, OnnxModel, OnnxSession

SHAPE = (112, 112, 3)
MEANS = (122.782, 117.001, 104.298)
"""Of the channels, which the networks expect to be subtracted."""
SCALE = 255


@dataclass(frozen=True)
class SeparableNetwork:
    """Weights by name, such as ``dense0/conv1/pointwise_filter``."""

    weights: Mapping[str, Tensor]

    def __getitem__(self, name: str) -> Array:
        return weight(self.weights, name)

    def dense(self, images: Tensor) -> Tensor:
        """Four dense blocks and a linear map: (N, 7) expressions, or (N, 136) places of points."""
        return self._dense(images)[0]

    def ages_and_genders(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N,) years, and (N,) log-odds of a male face."""
        (found,) = self._person(images)
        return found[:, 0], found[:, 1] - found[:, 2]

    @cached_property
    def _dense(self) -> OnnxSession:
        model = OnnxModel()
        x = model.centred(MEANS, SCALE)
        for block in range(4):
            name = f"dense{block}"
            first = self._conv if block == 0 else self._separable
            total = first(model, x, f"{name}/conv0", 2)
            total = step = model.add("Relu", total)
            for i in range(1, 4):
                total = model.add("Add", total, self._separable(model, step, f"{name}/conv{i}"))
                step = model.add("Relu", total)
            x = step
        found = model.linear(model.pooled(x), self["fc/weights"], self["fc/bias"])
        return model.session(SHAPE, [found])

    @cached_property
    def _person(self) -> OnnxSession:
        """(N, 3): years, and the scores of a male and of a female face."""
        model = OnnxModel()
        x = self._conv(model, model.centred(MEANS, SCALE), "entry_flow/conv_in", 2)
        x = model.add("Relu", x)
        x = self._reduced(model, x, "entry_flow/reduction_block_0", x)
        x = self._reduced(model, x, "entry_flow/reduction_block_1", model.add("Relu", x))
        for block in range(2):
            kept = x
            for i in range(3):
                name = f"middle_flow/main_block_{block}/separable_conv{i}"
                x = self._separable(model, model.add("Relu", x), name)
            x = model.add("Add", x, kept)
        x = self._reduced(model, x, "exit_flow/reduction_block", model.add("Relu", x))
        x = model.add("Relu", self._separable(model, x, "exit_flow/separable_conv"))
        features = model.pooled(x)
        heads = [
            model.linear(features, self[f"fc/{head}/weights"], self[f"fc/{head}/bias"])
            for head in ("age", "gender")
        ]
        return model.session(SHAPE, [model.add("Concat", *heads, axis=1)])

    def _conv(self, model: OnnxModel, x: str, name: str, stride: int) -> str:
        return model.conv(x, self[f"{name}/filters"], self[f"{name}/bias"], stride)

    def _separable(self, model: OnnxModel, x: str, name: str, stride: int = 1) -> str:
        """A convolution of each channel, and a linear map of each pixel's channels."""
        spread = model.depthwise(x, self[f"{name}/depthwise_filter"], stride)
        return model.conv(spread, self[f"{name}/pointwise_filter"], self[f"{name}/bias"])

    def _reduced(self, model: OnnxModel, x: str, name: str, active: str) -> str:
        inner = model.add("Relu", self._separable(model, active, f"{name}/separable_conv0"))
        inner = self._separable(model, inner, f"{name}/separable_conv1")
        pool = {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}
        return model.add(
            "Add",
            model.add("MaxPool", inner, **pool),
            self._conv(model, x, f"{name}/expansion_conv", 2),
        )


def weight(weights: Mapping[str, Tensor], name: str) -> Array:
    """Raises `InputError` if the network has no such weight."""
    if name not in weights:
        raise InputError(f"the network has no weight {name!r}; import its package again")
    found: Array = weights[name].numpy()
    return found
