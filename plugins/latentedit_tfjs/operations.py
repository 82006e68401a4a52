"""The operations of a graph as nodes of ONNX, with TensorFlow's layout and padding.

Images are (N, H, W, C), filters (H, W, C, O), depthwise filters (H, W, C, 1). With padding SAME, an
output has ⌈side / stride⌉ pixels, and the odd pixel of padding is after the image. Convolutions and
pools of ONNX take (N, C, H, W). onnxruntime removes transpositions that cancel each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentedit import InputError
from latentedit_tfjs.graph import Node
from latentedit_tfjs.onnx_model import OnnxModel

Weights = Mapping[str, NDArray[Any]]
STEPS = {"BiasAdd": "Add", "Prelu": "PRelu"}
"""Steps after an operation that have an input."""
PADDING = {"SAME": "SAME_UPPER", "VALID": "VALID"}


class Written:
    """A graph that is being written into a model.

    Attributes:
        names: of the values in the model, by their names in the graph.
    """

    def __init__(self, model: OnnxModel, weights: Weights) -> None:
        self.model, self._weights = model, weights
        self.names = dict[str, str]()

    def add(self, node: Node) -> None:
        """Write one node, whose inputs were written before.

        Raises:
            InputError: it lacks an input, or a weight has too few axes.
        """
        self.model.label = node.name
        try:
            self.names[node.name] = self._fused(node)
        except (IndexError, ValueError) as error:
            raise InputError(f"node {node.name!r} does not run: {str(error)[:200]}") from None

    def _fused(self, node: Node) -> str:
        made, more = _WRITE[node.op](self, node), list(node.inputs[2:])
        for step in node.fused:
            if step in STEPS:
                made = self.model.add(STEPS[step], made, self.name(more.pop(0)))
            else:
                made = _activated(self, step, made)
        return made

    def name(self, of: str) -> str:
        if of not in self.names:
            self.names[of] = self.model.constant(self.weight(of))
        return self.names[of]

    def weight(self, name: str) -> NDArray[Any]:
        if name not in self._weights:
            raise InputError(f"{name!r} is computed, and has to be a weight")
        return self._weights[name]

    def numbers(self, name: str) -> list[int]:
        return [int(number) for number in self.weight(name).flatten()]


def _activated(written: Written, step: str, x: str) -> str:
    if step == "Relu6":
        bounds = (written.model.constant(np.array(n, np.float32)) for n in (0, 6))
        return written.model.add("Clip", x, *bounds)
    return written.model.add(step, x)


def _channels_first(written: Written, node: Node) -> str:
    return written.model.add("Transpose", written.name(node.inputs[0]), perm=[0, 3, 1, 2])


def _windowed(written: Written, node: Node, operation: str, *inputs: str, **more: Any) -> str:
    """A convolution or a pool."""
    if node.padding == "SAME" and node.dilations != (1, 1):
        raise InputError(f"node {node.name!r} has dilations and padding SAME, which are not run")
    made = written.model.add(
        operation,
        _channels_first(written, node),
        *inputs,
        strides=list(node.strides),
        auto_pad=PADDING[node.padding],
        **more,
    )
    return written.model.add("Transpose", made, perm=[0, 2, 3, 1])


def _conv(written: Written, node: Node) -> str:
    kernel = written.model.constant(written.weight(node.inputs[1]).transpose(3, 2, 0, 1))
    return _windowed(written, node, "Conv", kernel, dilations=list(node.dilations))


def _depthwise(written: Written, node: Node) -> str:
    filters = written.weight(node.inputs[1])
    height, width, channels, multiplier = filters.shape
    kernel = filters.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
    return _windowed(
        written, node, "Conv", written.model.constant(kernel),
        dilations=list(node.dilations), group=channels,
    )  # fmt: skip


def _pool(operation: str) -> Callable[[Written, Node], str]:
    return lambda written, node: _windowed(written, node, operation, kernel_shape=list(node.window))


def _pad(written: Written, node: Node) -> str:
    sides = np.array(written.weight(node.inputs[1]), np.int64)
    if sides.min(initial=0) < 0:
        raise InputError(f"node {node.name!r} pads by {sides.tolist()}")
    ends = written.model.constant(sides.T.flatten())
    return written.model.add("Pad", written.name(node.inputs[0]), ends)


def _plain(operation: str, **attributes: Any) -> Callable[[Written, Node], str]:
    """All inputs in the same operation."""
    return lambda written, node: written.model.add(
        operation, *map(written.name, node.inputs), **attributes
    )


def _product(written: Written, node: Node) -> str:
    return written.model.add("MatMul", *map(written.name, node.inputs[:2]))


def _reduced(operation: str) -> Callable[[Written, Node], str]:
    def write(written: Written, node: Node) -> str:
        x, axes = written.name(node.inputs[0]), written.numbers(node.inputs[1])
        keep = {"keepdims": int(node.keep_dims)}
        if operation == "ReduceSum":
            return written.model.add(
                operation, x, written.model.constant(np.array(axes, np.int64)), **keep
            )
        return written.model.add(operation, x, axes=axes, **keep)

    return write


def _reshape(written: Written, node: Node) -> str:
    sides = np.array(written.numbers(node.inputs[1]), np.int64)
    return written.model.add("Reshape", written.name(node.inputs[0]), written.model.constant(sides))


def _squeeze(written: Written, node: Node) -> str:
    axes = [written.model.constant(np.array(node.axes, np.int64))] if node.axes else []
    return written.model.add("Squeeze", written.name(node.inputs[0]), *axes)


def _square(written: Written, node: Node) -> str:
    x = written.name(node.inputs[0])
    return written.model.add("Mul", x, x)


def _inverse_root(written: Written, node: Node) -> str:
    root = written.model.add("Sqrt", written.name(node.inputs[0]))
    return written.model.add("Reciprocal", root)


_WRITE: Mapping[str, Callable[[Written, Node], str]] = {
    "Placeholder": lambda written, node: written.model.image,
    "Conv2D": _conv,
    "_FusedConv2D": _conv,
    "DepthwiseConv2dNative": _depthwise,
    "FusedDepthwiseConv2dNative": _depthwise,
    "MatMul": _product,
    "_FusedMatMul": _product,
    "MaxPool": _pool("MaxPool"),
    "AvgPool": _pool("AveragePool"),
    "Add": _plain("Add"),
    "AddV2": _plain("Add"),
    "BiasAdd": _plain("Add"),
    "Sub": _plain("Sub"),
    "Mul": _plain("Mul"),
    "Maximum": _plain("Max"),
    "Minimum": _plain("Min"),
    "Relu": _plain("Relu"),
    "Relu6": lambda written, node: _activated(written, "Relu6", written.name(node.inputs[0])),
    "ClipByValue": _plain("Clip"),
    "Elu": _plain("Elu"),
    "Prelu": _plain("PRelu"),
    "Abs": _plain("Abs"),
    "Square": _square,
    "Rsqrt": _inverse_root,
    "Sigmoid": _plain("Sigmoid"),
    "Softmax": _plain("Softmax", axis=-1),
    "Mean": _reduced("ReduceMean"),
    "Sum": _reduced("ReduceSum"),
    "Max": _reduced("ReduceMax"),
    "Pad": _pad,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Identity": _plain("Identity"),
}
