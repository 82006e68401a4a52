"""The operations of a graph in torch, with TensorFlow's layout and padding.

Images are (N, H, W, C), filters (H, W, C, O), depthwise filters (H, W, C, M). With padding SAME, an
output has ⌈side / stride⌉ pixels, and the odd pixel of padding is after the image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from latentedit import InputError
from latentedit_tfjs.graph import Node

Inputs = list[Tensor]


def run(node: Node, inputs: Inputs) -> Tensor:
    """The output of one node."""
    made = _RUN[node.op](node, inputs)
    return _fused(node, made, inputs[2:]) if node.fused else made


def _fused(node: Node, made: Tensor, more: Inputs) -> Tensor:
    for step in node.fused:
        made = made + more.pop(0) if step == "BiasAdd" else _ACTIVATIONS[step](made, more)
    return made


def _prelu(x: Tensor, more: Inputs) -> Tensor:
    """max(x, 0) + slope · min(x, 0), with slopes that broadcast to x."""
    slope = more.pop(0)
    if x.ndim == 4 and slope.numel() == x.shape[3] == slope.shape[-1]:
        return functional.prelu(x.permute(0, 3, 1, 2), slope.flatten()).permute(0, 2, 3, 1)
    return x.clamp_min(0) + slope * x.clamp_max(0)


_ACTIVATIONS: Mapping[str, Callable[[Tensor, Inputs], Tensor]] = {
    "Relu": lambda x, more: x.clamp_min(0),
    "Relu6": lambda x, more: x.clamp(0, 6),
    "Elu": lambda x, more: functional.elu(x),
    "Sigmoid": lambda x, more: x.sigmoid(),
    "Prelu": _prelu,
}


def _padded(node: Node, image: Tensor, kernel: tuple[int, int], value: float = 0.0) -> Tensor:
    """(N, C, H, W) with what SAME adds at the edges."""
    if node.padding == "VALID":
        return image
    sides = []
    for side, size, stride, dilation in zip(
        image.shape[2:], kernel, node.strides, node.dilations, strict=True
    ):
        reach = dilation * (size - 1) + 1
        total = max((-(-side // stride) - 1) * stride + reach - side, 0)
        sides.append((total // 2, total - total // 2))
    (top, bottom), (left, right) = sides
    if top + bottom + left + right == 0:
        return image
    return functional.pad(image, (left, right, top, bottom), value=value)


def _conv(node: Node, inputs: Inputs) -> Tensor:
    image, kernel = inputs[0].permute(0, 3, 1, 2), inputs[1].permute(3, 2, 0, 1)
    padded = _padded(node, image, (kernel.shape[2], kernel.shape[3]))
    made = functional.conv2d(padded, kernel, stride=node.strides, dilation=node.dilations)
    return made.permute(0, 2, 3, 1)


def _depthwise(node: Node, inputs: Inputs) -> Tensor:
    image = inputs[0].permute(0, 3, 1, 2)
    height, width, channels, multiplier = inputs[1].shape
    kernel = inputs[1].permute(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
    made = functional.conv2d(
        _padded(node, image, (height, width)),
        kernel,
        stride=node.strides,
        dilation=node.dilations,
        groups=channels,
    )
    return made.permute(0, 2, 3, 1)


def _max_pool(node: Node, inputs: Inputs) -> Tensor:
    image = _padded(node, inputs[0].permute(0, 3, 1, 2), node.window, float("-inf"))
    return functional.max_pool2d(image, node.window, node.strides).permute(0, 2, 3, 1)


def _average_pool(node: Node, inputs: Inputs) -> Tensor:
    """The mean of the pixels of the image, without those of the padding."""
    image = inputs[0].permute(0, 3, 1, 2)
    pooled, share = (
        functional.avg_pool2d(_padded(node, x, node.window), node.window, node.strides)
        for x in (image, torch.ones_like(image[:1, :1]))
    )
    return (pooled / share).permute(0, 2, 3, 1)


def _pad(node: Node, inputs: Inputs) -> Tensor:
    sides = [int(n) for pair in inputs[1].flip(0).tolist() for n in pair]
    if min(sides) < 0:
        raise InputError(f"node {node.name!r} pads by {sides}")
    return functional.pad(inputs[0], sides)


def _axes(inputs: Inputs) -> list[int]:
    return [int(axis) for axis in inputs[1].flatten().tolist()]


def _reshape(node: Node, inputs: Inputs) -> Tensor:
    return inputs[0].reshape([int(side) for side in inputs[1].flatten().tolist()])


def _squeeze(node: Node, inputs: Inputs) -> Tensor:
    return inputs[0].squeeze(node.axes) if node.axes else inputs[0].squeeze()


_RUN: Mapping[str, Callable[[Node, Inputs], Tensor]] = {
    "Conv2D": _conv,
    "_FusedConv2D": _conv,
    "DepthwiseConv2dNative": _depthwise,
    "FusedDepthwiseConv2dNative": _depthwise,
    "MatMul": lambda node, x: x[0] @ x[1],
    "_FusedMatMul": lambda node, x: x[0] @ x[1],
    "MaxPool": _max_pool,
    "AvgPool": _average_pool,
    "Add": lambda node, x: x[0] + x[1],
    "AddV2": lambda node, x: x[0] + x[1],
    "BiasAdd": lambda node, x: x[0] + x[1],
    "Sub": lambda node, x: x[0] - x[1],
    "Mul": lambda node, x: x[0] * x[1],
    "Maximum": lambda node, x: torch.maximum(x[0], x[1]),
    "Minimum": lambda node, x: torch.minimum(x[0], x[1]),
    "Relu": lambda node, x: x[0].clamp_min(0),
    "Relu6": lambda node, x: x[0].clamp(0, 6),
    "Elu": lambda node, x: functional.elu(x[0]),
    "Prelu": lambda node, x: _prelu(x[0], x[1:]),
    "Abs": lambda node, x: x[0].abs(),
    "Square": lambda node, x: x[0].square(),
    "Rsqrt": lambda node, x: x[0].rsqrt(),
    "Sigmoid": lambda node, x: x[0].sigmoid(),
    "Softmax": lambda node, x: x[0].softmax(-1),
    "Mean": lambda node, x: x[0].mean(_axes(x), node.keep_dims),
    "Sum": lambda node, x: x[0].sum(_axes(x), node.keep_dims),
    "Max": lambda node, x: x[0].amax(_axes(x), node.keep_dims),
    "Pad": _pad,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Identity": lambda node, x: x[0],
}
