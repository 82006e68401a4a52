"""Networks that were read from a package: nodes and weights, run by torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from latentedit import InputError, LatentEditError, UnknownName
from latentedit_tfjs.graph import Graph
from latentedit_tfjs.operations import run

TOGETHER = 4
"""Images of one pass."""


@dataclass(frozen=True)
class Network:
    """A graph with its weights.

    Args:
        weights: by the names that nodes read.
    """

    graph: Graph
    weights: Mapping[str, Tensor]

    @torch.no_grad()
    def __call__(self, images: Tensor, outputs: Sequence[str]) -> list[Tensor]:
        """(N, H, W, C) → the values of the nodes `outputs`, in order.

        Only nodes that these depend on are run, and few images at a time, which stay in the
        processor's cache.

        Raises:
            UnknownName: there is no such node.
            InputError: an operation does not fit its inputs.
        """
        parts = [self._run(part, outputs) for part in images.split(TOGETHER)]
        return [torch.cat(found) for found in zip(*parts, strict=True)]

    def _run(self, images: Tensor, outputs: Sequence[str]) -> list[Tensor]:
        needed, uses = self._needed(outputs)
        values: dict[str, Tensor] = {}
        for node in self.graph.nodes:
            if node.name not in needed:
                continue
            if node.op == "Placeholder":
                values[node.name] = images
                continue
            inputs = [values[n] if n in values else self.weights[n] for n in node.inputs]
            try:
                values[node.name] = run(node, inputs)
            except LatentEditError:
                raise
            except (RuntimeError, IndexError, ValueError) as error:
                raise InputError(f"node {node.name!r} does not run: {str(error)[:200]}") from None
            for name in node.inputs:  # frees what nothing needs any more
                uses[name] = uses.get(name, 1) - 1
                if not uses[name]:
                    values.pop(name, None)
        return [values[name] for name in outputs]

    def _needed(self, outputs: Sequence[str]) -> tuple[set[str], dict[str, int]]:
        """The nodes that `outputs` depend on, and how often each value is used."""
        nodes = {node.name: node for node in self.graph.nodes}
        for name in outputs:
            if name not in nodes:
                raise UnknownName("node", name, nodes, "of a network")
        needed, waiting = set(), list(outputs)
        uses = dict.fromkeys(outputs, 1)
        while waiting:
            name = waiting.pop()
            if name in needed or name not in nodes:
                continue
            needed.add(name)
            for source in nodes[name].inputs:
                uses[source] = uses.get(source, 0) + 1
                waiting.append(source)
        return needed, uses
