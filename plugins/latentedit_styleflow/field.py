"""StyleFlow's vector field: a perceptron whose layers the condition gates and shifts."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

Layer = Callable[[Tensor, Tensor], Tensor]
"""(t, x) → y, under fixed attributes."""


class ConcatSquash(nn.Module):
    """y = Linear(x) · σ(G c) + B c, with c = [t, a]; G has a bias and B has none."""

    def __init__(self, inputs: int, outputs: int, condition: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.gate = nn.Linear(condition, outputs)
        self.shift = nn.Linear(condition, outputs, bias=False)

    def under(self, a: Tensor) -> Layer:
        """The layer under attributes (N, A). Their part of G c and B c is computed only once."""
        weight = torch.cat([self.gate.weight, self.shift.weight])
        still = linear(a, weight[:, 1:], pad(self.gate.bias, (0, len(self.shift.weight))))
        moving = weight[:, 0]

        def layer(t: Tensor, x: Tensor) -> Tensor:
            gate, shift = torch.addcmul(still, t, moving).chunk(2, 1)
            return torch.addcmul(shift, self.linear(x), gate.sigmoid())

        return layer


class VectorField(nn.Module):
    """dz/dt = f(t, z, a): concat-squash layers D → hidden → D with tanh between them.

    Abdal et al., "StyleFlow", ACM TOG 2021; the layer is that of Grathwohl et al., "FFJORD", 2019.

    Args:
        dim: D, the size of a code.
        condition: A, the attribute columns.
        hidden: widths of the hidden layers; the released network has 512 five times.
    """

    def __init__(self, dim: int, condition: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            ConcatSquash(inputs, outputs, 1 + condition)
            for inputs, outputs in pairwise([dim, *hidden, dim])
        )

    @torch.no_grad()
    def rest(self) -> None:
        """Make every velocity zero, so that training starts from the identity."""
        last = cast(ConcatSquash, self.layers[-1])
        for parameter in (last.linear.weight, last.linear.bias, last.shift.weight):
            parameter.zero_()

    def under(self, a: Tensor) -> Layer:
        """(t, z) → velocity (N, D) under attributes (N, A), at time t () or (N, 1)."""
        *inner, last = (cast(ConcatSquash, layer).under(a) for layer in self.layers)

        def velocity(t: Tensor, z: Tensor) -> Tensor:
            for layer in inner:
                z = tanh(layer(t, z))
            return last(t, z)

        return velocity

    def forward(self, t: Tensor, z: Tensor, a: Tensor) -> Tensor:
        """Velocity (N, D) at z (N, D), time t () or (N, 1), attributes a (N, A)."""
        return self.under(a)(t, z)


def tanh(x: Tensor) -> Tensor:
    """tanh x = 2 σ(2x) − 1, which on a CPU is several times as fast as torch.tanh."""
    return x.tanh() if x.is_cuda else torch.add(x.new_tensor(-1.0), (2 * x).sigmoid(), alpha=2)
