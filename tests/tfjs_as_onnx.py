"""The network of `tfjs_files` as an ONNX model."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tfjs_files import SIDES, Arrays

FLOAT = TensorProto.FLOAT


def onnx_model(weights: Arrays) -> bytes:
    """The network in the operations of ONNX, by their own rules of padding."""
    kernels: Arrays = {
        "k1": weights["filters"].transpose(3, 2, 0, 1),
        "k2": weights["depthwise"].transpose(2, 3, 0, 1),
        "k3": weights["pointwise"].transpose(3, 2, 0, 1),
        "slopes": weights["slope"].transpose(2, 0, 1),
        "pads": np.array([0, 0, 1, 0, 0, 0, 1, 2], np.int64),
        "low": np.array(0, np.float32),
        "high": np.array(6, np.float32),
    }
    kernels |= {name: weights[name] for name in ("bias", "offset", "dense")}
    same = {"auto_pad": "SAME_UPPER"}
    nodes = [
        helper.make_node("Transpose", ["image"], ["x"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["x", "k1", "bias"], ["c"], strides=[2, 1], **same),
        helper.make_node("PRelu", ["c", "slopes"], ["first"]),
        helper.make_node("Conv", ["first", "k2"], ["depth"], strides=[2, 2], group=4, **same),
        helper.make_node(
            "MaxPool", ["depth"], ["pool"], kernel_shape=[3, 3], strides=[2, 2], **same
        ),
        helper.make_node("Pad", ["pool", "pads"], ["padded"]),
        helper.make_node("Conv", ["padded", "k3", "offset"], ["w"]),
        helper.make_node("Clip", ["w", "low", "high"], ["wide"]),
        helper.make_node("GlobalAveragePool", ["wide"], ["m"]),
        helper.make_node("Flatten", ["m"], ["mean"]),
        helper.make_node("MatMul", ["mean", "dense"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["classes"], axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", FLOAT, ["N", *SIDES, 3])],
        [helper.make_tensor_value_info(n, FLOAT, ["N", 5]) for n in ("classes", "scores")],
        [numpy_helper.from_array(np.ascontiguousarray(a), n) for n, a in kernels.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
