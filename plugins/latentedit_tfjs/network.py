"""Networks that were read from a package: nodes and weights, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from latentedit import UnknownName
from latentedit_tfjs.graph import Graph, Node
from latentedit_tfjs.onnx_model import OnnxModel, OnnxSession
from latentedit_tfjs.operations import Written

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Network:
    """A graph with its weights.

    Args:
        weights: by the names that nodes read.
    """

    graph: Graph
    weights: Mapping[str, Tensor]
    _sessions: dict[tuple[tuple[str, ...], Shape], OnnxSession] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @torch.no_grad()
    def __call__(self, images: Tensor, outputs: Sequence[str]) -> list[Tensor]:
        """(N, H, W, C) → the values of the nodes `outputs`, in order.

        Only nodes that these depend on are run.

        Raises:
            UnknownName: there is no such node.
            InputError: an operation does not fit its inputs.
        """
        key = tuple(outputs), tuple(images.shape[1:])
        if key not in self._sessions:
            self._sessions[key] = self._session(*key)
        return self._sessions[key](images)

    def _session(self, outputs: tuple[str, ...], shape: Shape) -> OnnxSession:
        nodes = clipped(self.graph.nodes, self.weights)
        written = Written(
            OnnxModel(), {name: tensor.numpy() for name, tensor in self.weights.items()}
        )
        needed = _needed(nodes, outputs)
        for node in nodes:
            if node.name in needed:
                written.add(node)
        return written.model.session(shape, [written.names[name] for name in outputs])


def clipped(nodes: Sequence[Node], weights: Mapping[str, Tensor]) -> list[Node]:
    """Nodes in which the maximum of a minimum is one node that clips.

        max(min(x, high), low) = clip(x, low, high)

    onnxruntime joins such a node to the convolution before it.
    """
    known = {node.name: node for node in nodes}

    def joined(node: Node) -> Node:
        if node.op != "Maximum" or len(node.inputs) != 2 or node.inputs[0] not in known:
            return node
        inner, low = known[node.inputs[0]], node.inputs[1]
        if inner.op != "Minimum" or len(inner.inputs) != 2:
            return node
        x, high = inner.inputs
        if any(name not in weights or weights[name].ndim for name in (low, high)):
            return node
        return Node(name=node.name, op="ClipByValue", inputs=(x, low, high))

    return [joined(node) for node in nodes]


def _needed(nodes: Sequence[Node], outputs: Sequence[str]) -> set[str]:
    """The nodes that `outputs` depend on."""
    known = {node.name: node for node in nodes}
    for name in outputs:
        if name not in known:
            raise UnknownName("node", name, known, "of a network")
    needed, waiting = set[str](), list(outputs)
    while waiting:
        name = waiting.pop()
        if name in known and name not in needed:
            needed.add(name)
            waiting += known[name].inputs
    return needed
