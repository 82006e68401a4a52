"""Small graphs in the format of TensorFlow.js."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray[Any, Any]]
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


def package(files: dict[str, bytes], level: int = 9) -> bytes:
    """A package of npm.

    Args:
        level: of compression.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=level) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def packed(path: Path, files: dict[str, bytes]) -> Path:
    path.write_bytes(package(files))
    return path


def model_json(weights: Arrays) -> bytes:
    described = {"modelTopology": topology(), "weightsManifest": manifest(weights)}
    return json.dumps(described).encode()
