"""Small graphs in the format of TensorFlow.js, and the same networks as ONNX models."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Arrays = dict[str, np.ndarray[Any, Any]]
FLOAT = TensorProto.FLOAT
SIDES = (11, 9)
"""Odd, so that padding SAME is not symmetric."""


def text(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def arrays(seed: int = 0) -> Arrays:
    """The weights of `topology`."""
    rng = np.random.default_rng(seed)
    shapes = {
        "filters": (3, 3, 3, 4), "bias": (4,), "depthwise": (3, 3, 4, 1), "slope": (1, 1, 4),
        "pointwise": (1, 1, 4, 6), "offset": (6,), "dense": (6, 5),
    }  # fmt: skip
    found: Arrays = {n: rng.normal(size=s).astype(np.float32) / 2 for n, s in shapes.items()}
    ints = {"paddings": [[0, 0], [1, 1], [0, 2], [0, 0]], "axes": [1, 2]}
    return found | {name: np.array(value, np.int32) for name, value in ints.items()}


def node(name: str, op: str, inputs: list[str], **attributes: Any) -> dict[str, Any]:
    return {"name": name, "op": op, "input": inputs, "attr": attributes}


def steps(*numbers: int) -> dict[str, Any]:
    return {"list": {"i": [str(n) for n in (1, *numbers, 1)]}}


def topology() -> dict[str, Any]:
    """Convolutions of three kinds, a pool, padding, a mean, a product and a softmax."""
    same, valid, nhwc = {"s": text("SAME")}, {"s": text("VALID")}, {"s": text("NHWC")}
    fused = {"list": {"s": [text("BiasAdd"), text("Prelu")]}}
    nodes = [
        node("Identity", "Identity", ["classes"]),
        node("classes", "Softmax", ["scores"]),
        node("scores", "MatMul", ["mean", "dense"], transpose_a={"b": False}),
        node("mean", "Mean", ["wide", "axes"], keep_dims={"b": False}),
        node("wide", "_FusedConv2D", ["padded", "pointwise", "offset"], padding=valid,
             strides=steps(1, 1), fused_ops={"list": {"s": [text("BiasAdd"), text("Relu6")]}}),
        node("padded", "Pad", ["pool", "paddings"]),
        node("pool", "MaxPool", ["depth"], padding=same, ksize=steps(3, 3), strides=steps(2, 2)),
        node("depth", "DepthwiseConv2dNative", ["first", "depthwise"], padding=same,
             strides=steps(2, 2), data_format=nhwc),
        node("first", "_FusedConv2D", ["image", "filters", "bias", "slope"], padding=same,
             strides=steps(2, 1), fused_ops=fused, data_format=nhwc),
        node("image", "Placeholder", [], dtype={"type": "DT_FLOAT"}),
    ]  # fmt: skip
    return {"node": [node(name, "Const", []) for name in arrays()] + nodes}


def manifest(weights: Arrays, shard: str = "small.bin") -> list[dict[str, Any]]:
    entries = [
        {"name": name, "shape": list(array.shape), "dtype": str(array.dtype)}
        for name, array in weights.items()
    ]
    return [{"paths": [shard], "weights": entries}]


def shard(weights: Arrays) -> bytes:
    return b"".join(array.tobytes() for array in weights.values())


def packed(path: Path, files: dict[str, bytes]) -> Path:
    """A package of npm."""
    with tarfile.open(path, "w:gz") as package:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            package.addfile(member, io.BytesIO(data))
    return path


def model_json(weights: Arrays) -> bytes:
    described = {"modelTopology": topology(), "weightsManifest": manifest(weights)}
    return json.dumps(described).encode()


def onnx_model(weights: Arrays) -> bytes:
    """The network of `topology` in the operations of ONNX, by their own rules of padding."""
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
