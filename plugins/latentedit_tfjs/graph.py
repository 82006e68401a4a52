"""Graphs of TensorFlow.js: a GraphDef in JSON, as a list of checked nodes.

Nothing of a graph is run here. Nodes are put in an order in which each follows its inputs. Of the
attributes, only those stay that `latentedit_tfjs.operations` reads.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from latentedit import StrictRecord
from latentedit_tfjs.refusing import refuse

MOST_NODES = 5_000
LARGEST_STEP = 64
"""Of strides, dilations and windows."""

Operation = Literal[
    "Abs", "Add", "AddV2", "AvgPool", "BiasAdd", "ClipByValue", "Conv2D", "DepthwiseConv2dNative",
    "Elu", "FusedDepthwiseConv2dNative", "Identity", "MatMul", "Max", "Maximum", "MaxPool", "Mean",
    "Minimum", "Mul", "Pad", "Placeholder", "Prelu", "Relu", "Relu6", "Reshape", "Rsqrt",
    "Sigmoid", "Softmax", "Square", "Squeeze", "Sub", "Sum", "_FusedConv2D", "_FusedMatMul",
]  # fmt: skip
OPERATIONS = frozenset(get_args(Operation))
Step = Literal["BiasAdd", "Elu", "Prelu", "Relu", "Relu6", "Sigmoid"]
STEPS = frozenset(get_args(Step))
WINDOWED = frozenset(
    {"Conv2D", "DepthwiseConv2dNative", "FusedDepthwiseConv2dNative", "_FusedConv2D"}
    | {"MaxPool", "AvgPool"}
)


class Node(StrictRecord):
    """One operation.

    Args:
        inputs: names of earlier nodes, or of weights.
        strides, dilations, window: along height and width.
        fused: steps that follow the operation, in order.
        keep_dims: of reductions.
        axes: of `Squeeze`.
    """

    name: str
    op: Operation
    inputs: tuple[str, ...] = ()
    padding: Literal["SAME", "VALID"] = "VALID"
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    window: tuple[int, int] = (1, 1)
    fused: tuple[Step, ...] = ()
    keep_dims: bool = False
    axes: tuple[int, ...] = ()


class Graph(StrictRecord):
    """A network: nodes in an order in which they can run."""

    nodes: tuple[Node, ...]


class _Listed(BaseModel):
    i: list[str | int] = Field(default=[], max_length=16)
    s: list[str] = Field(default=[], max_length=16)


class _Attribute(BaseModel):
    s: str | None = Field(default=None, max_length=1000)
    b: bool = False
    list: _Listed = _Listed()


class _RawNode(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str = Field(min_length=1, max_length=300)
    op: str = Field(min_length=1, max_length=100)
    input: tuple[str, ...] = Field(default=(), max_length=100)
    attr: dict[str, Any] = Field(default={}, max_length=100)


def read_graph(path: Path, topology: object, weights: Mapping[str, Any]) -> Graph:
    """The nodes of a ``modelTopology``.

    Args:
        path: of the package, for messages.
        weights: by name; every constant is one of them.

    Raises:
        RefusedFile: a node is malformed, unknown, repeated, in a circle, or has unknown inputs.
    """
    raw = topology.get("node") if isinstance(topology, dict) else None
    if not isinstance(raw, list) or not 0 < len(raw) <= MOST_NODES:
        refuse(path, f"its graph has no list of 1 to {MOST_NODES:,} nodes")
    nodes: dict[str, Node] = {}
    names: set[str] = set()
    for entry in raw:
        try:
            node = _RawNode.model_validate(entry)
        except ValidationError as error:
            refuse(path, f"a node of its graph is malformed: {error.errors()[0]['msg']}")
        if node.name in names:
            refuse(path, f"node {node.name[:80]!r} is there twice")
        names.add(node.name)
        if node.op == "Const":
            if node.name not in weights:
                refuse(path, f"constant {node.name[:80]!r} has no weight")
            continue
        if node.name in weights:
            refuse(path, f"{node.name[:80]!r} is a node and a weight")
        nodes[node.name] = _checked(path, node)
    return Graph(nodes=_ordered(path, nodes, set(weights)))


def _ordered(path: Path, nodes: Mapping[str, Node], weights: set[str]) -> tuple[Node, ...]:
    """Nodes after their inputs (Kahn 1962)."""
    for node in nodes.values():
        for name in node.inputs:
            if name not in nodes and name not in weights:
                refuse(path, f"node {node.name[:80]!r} reads {name[:80]!r}, which is not there")
    done, ordered, waiting = set(weights), [], list(nodes.values())
    while waiting:
        ready = [node for node in waiting if done.issuperset(node.inputs)]
        if not ready:
            refuse(path, f"node {waiting[0].name[:80]!r} is in a circle")
        ordered += ready
        done.update(node.name for node in ready)
        waiting = [node for node in waiting if node.name not in done]
    return tuple(ordered)


def _checked(path: Path, raw: _RawNode) -> Node:
    """A node with the attributes that count, in plain values."""
    if raw.op not in OPERATIONS:
        refuse(path, f"its graph has the operation {raw.op!r}, which is not read")
    if raw.attr.get("explicit_paddings", {}).get("list", {}).get("i"):
        refuse(path, f"node {raw.name[:80]!r} has explicit paddings, which are not read")
    try:
        attributes = {
            name: _Attribute.model_validate(raw.attr[name])
            for name in _READ
            if raw.attr.get(name) is not None
        }
        made = _node(raw, attributes)
    except (ValidationError, ValueError, AttributeError) as error:
        refuse(path, f"node {raw.name[:80]!r}: {str(error)[:200]}")
    steps = (*made.strides, *made.dilations, *made.window)
    if not all(1 <= step <= LARGEST_STEP for step in steps):
        refuse(path, f"node {raw.name[:80]!r} has a stride, dilation or window of {steps}")
    return made


_READ = (
    "T", "data_format", "padding", "strides", "dilations", "ksize", "fused_ops", "keep_dims",
    "transpose_a", "transpose_b", "squeeze_dims",
)  # fmt: skip


def _node(raw: _RawNode, attributes: Mapping[str, _Attribute]) -> Node:
    empty = _Attribute()
    if any(attributes.get(name, empty).b for name in ("transpose_a", "transpose_b")):
        raise ValueError("transposed factors are not read")
    if _text(attributes.get("data_format", empty).s) not in ("", "NHWC"):
        raise ValueError("only NHWC is read")
    fields: dict[str, Any] = {}
    if raw.op in WINDOWED:
        fields["padding"] = _text(attributes.get("padding", empty).s)
        for field, name in (
            ("strides", "strides"),
            ("dilations", "dilations"),
            ("window", "ksize"),
        ):
            if name in attributes:
                fields[field] = _height_and_width(attributes[name])
    inputs = tuple(name.removesuffix(":0") for name in raw.input if not name.startswith("^"))
    fields |= {
        "name": raw.name,
        "op": raw.op,
        "inputs": inputs,
        "fused": tuple(_text(step) for step in attributes.get("fused_ops", empty).list.s),
        "keep_dims": attributes.get("keep_dims", empty).b,
        "axes": tuple(int(i) for i in attributes.get("squeeze_dims", empty).list.i),
    }
    return Node(**fields)


def _height_and_width(attribute: _Attribute) -> tuple[int, int]:
    numbers = [int(number) for number in attribute.list.i]
    if len(numbers) != 4 or numbers[0] != 1 or numbers[3] != 1:
        raise ValueError(f"steps are 1, height, width, 1, received {numbers}")
    return numbers[1], numbers[2]


def _text(encoded: str | None) -> str:
    try:
        return base64.b64decode(encoded or "", validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError(f"{str(encoded)[:40]!r} is no base64") from None
