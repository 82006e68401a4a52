"""Small ONNX models whose answers are known, and the contracts beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper


def linear_model(
    path: Path,
    size: tuple[int, int],
    weight: NDArray[Any],
    bias: NDArray[Any] | None = None,
    batch: int | str = "N",
    nhwc: bool = False,
    outputs: int = 1,
) -> Path:
    """A model whose output is ``flatten(input) @ weight + bias``; with two outputs, also minus
    that."""
    count = weight.shape[1]
    bias = np.zeros(count) if bias is None else bias
    shape = [batch, *size, 3] if nhwc else [batch, 3, *size]
    constants = [
        numpy_helper.from_array(weight.astype(np.float32), "weight"),
        numpy_helper.from_array(bias.astype(np.float32), "bias"),
    ]
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight", "bias"], ["scores"]),
    ]
    results = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, count])]
    if outputs == 2:
        nodes.append(helper.make_node("Neg", ["scores"], ["negated"]))
        results.append(helper.make_tensor_value_info("negated", TensorProto.FLOAT, [batch, count]))
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        results,
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def contract(file: Path, size: tuple[int, int], output: dict[str, Any], **more: Any) -> Path:
    """Write the YAML file beside `file`; `more` holds other keys of the contract."""
    inputs = {"size": list(size)} | more.pop("input", {})
    described = {"model": file.name, "licence": "made by a test", "input": inputs}
    path = file.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(described | {"output": output} | more))
    return path


def channel_means(size: tuple[int, int], nhwc: bool = False) -> NDArray[Any]:
    """(3·H·W, 3) weight that gives the mean of each channel."""
    pixels = size[0] * size[1]
    each = np.eye(3) / pixels
    return np.tile(each, (pixels, 1)) if nhwc else np.repeat(each, pixels, axis=0)
