"""Networks as models of ONNX: written node by node, and run by onnxruntime.

onnxruntime fuses each convolution with what follows it. So a network takes half the time that it
takes as a sequence of torch's operations.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentedit import EnvironmentFault, InputError

Array = NDArray[np.float32]
COMPUTED = "onnxruntime"
"""What runs the networks; a part of every fingerprint."""
TOGETHER = 8
"""Images of one pass, which stay in the processor's cache."""
OPSET, FORMAT = 17, 9
INSTALL = "pip install 'latentedit[faces]', or pip install onnx onnxruntime"


class OnnxModel:
    """A model of images (N, H, W, C), to which nodes are added in order.

    Every method that adds a node returns the name of its output. Images are (N, C, H, W) for
    convolutions and pools.

    Attributes:
        image: the name of the input.
        label: of the nodes that are added next, for messages.
    """

    image = "image"

    def __init__(self) -> None:
        self.label = ""
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._helper = importlib.import_module("onnx.helper")

    def add(self, operation: str, *inputs: str, **attributes: Any) -> str:
        """An operation of ONNX."""
        output = f"{operation.lower()}{len(self._nodes)}"
        name = f"{self.label} {output}"
        self._nodes.append(
            self._helper.make_node(operation, inputs, [output], name=name, **attributes)
        )
        return output

    def constant(self, array: NDArray[Any]) -> str:
        name = f"constant{len(self._constants)}"
        made = importlib.import_module("onnx.numpy_helper").from_array(
            np.ascontiguousarray(array), name
        )
        self._constants.append(made)
        return name

    def centred(self, means: Sequence[float], scale: float) -> str:
        """The images as (N, C, H, W), less `means` (C,), over `scale`."""
        less = self.add("Sub", self.image, self.constant(np.array(means, np.float32)))
        shown = self.add("Div", less, self.constant(np.array(scale, np.float32)))
        return self.add("Transpose", shown, perm=[0, 3, 1, 2])

    def conv(
        self,
        x: str,
        filters: Array,
        bias: Array | None = None,
        stride: int = 1,
        padding: str = "SAME_UPPER",
    ) -> str:
        """A convolution with TensorFlow's filters (H, W, C, O)."""
        given = [self.constant(filters.transpose(3, 2, 0, 1))]
        if bias is not None:
            given.append(self.constant(bias))
        return self.add("Conv", x, *given, strides=[stride, stride], auto_pad=padding)

    def depthwise(self, x: str, filters: Array, stride: int = 1) -> str:
        """A convolution of each channel on its own, with filters (H, W, C, 1)."""
        kernel = self.constant(filters.transpose(2, 3, 0, 1))
        return self.add(
            "Conv",
            x,
            kernel,
            strides=[stride, stride],
            auto_pad="SAME_UPPER",
            group=filters.shape[2],
        )

    def padded(self, x: str, channels: int, pixels: int) -> str:
        """Zeros after the last channel, and after the last row and column."""
        ends = np.array([0, 0, 0, 0, 0, channels, pixels, pixels], np.int64)
        return self.add("Pad", x, self.constant(ends))

    def pooled(self, x: str) -> str:
        """(N, C), the means over all pixels."""
        return self.add("Flatten", self.add("GlobalAveragePool", x))

    def linear(self, x: str, weights: Array, bias: Array | None = None) -> str:
        made = self.add("MatMul", x, self.constant(weights))
        return made if bias is None else self.add("Add", made, self.constant(bias))

    def session(self, shape: Sequence[int], outputs: Sequence[str]) -> OnnxSession:
        """What computes the nodes `outputs` of images (N, *shape)."""
        helper, number = self._helper, importlib.import_module("onnx").TensorProto.FLOAT
        shown = helper.make_tensor_value_info(self.image, number, ["N", *shape])
        found = [helper.make_tensor_value_info(output, number, None) for output in outputs]
        graph = helper.make_graph(self._nodes, "network", [shown], found, self._constants)
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=FORMAT)
        return OnnxSession(model.SerializeToString(), self.image, outputs)


class OnnxSession:
    """A model that is ready to run, on one thread, so that a forked process can use it."""

    def __init__(self, model: bytes, image: str, outputs: Sequence[str]) -> None:
        runtime = importlib.import_module("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self._image, self._outputs = image, list(outputs)
        with _explained():
            self._session = runtime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )

    def __call__(self, images: Tensor) -> list[Tensor]:
        """(N, H, W, C) → the values of the outputs, a row an image."""
        if not len(images):
            return [found[:0] for found in self(images.new_zeros(1, *images.shape[1:]))]
        with _explained():
            parts = [
                self._session.run(self._outputs, {self._image: part.contiguous().numpy()})
                for part in images.split(TOGETHER)
            ]
        return [torch.from_numpy(np.concatenate(found)) for found in zip(*parts, strict=True)]


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # onnxruntime has one class per fault, none of them public
        raise InputError(f"a network does not run: {str(error)[:300]}") from None


def check_libraries(needed_by: str) -> None:
    """Raise `EnvironmentFault` unless onnx and onnxruntime are installed."""
    for module in ("onnx", "onnxruntime"):
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise EnvironmentFault(
                f"{needed_by} needs the library {module}: {INSTALL} ({error})"
            ) from None
