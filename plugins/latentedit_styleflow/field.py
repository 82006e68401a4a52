"""StyleFlow's vector field: a perceptron whose layers the condition gates and shifts."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class ConcatSquash(nn.Module):
    """y = Linear(x) · σ(G c) + B c, with c = [t, a]; G has a bias and B has none."""

    def __init__(self, inputs: int, outputs: int, condition: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.gate = nn.Linear(condition, outputs)
        self.shift = nn.Linear(condition, outputs, bias=False)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        return torch.addcmul(self.shift(c), self.linear(x), self.gate(c).sigmoid())


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

    def forward(self, t: Tensor, z: Tensor, a: Tensor) -> Tensor:
        """Velocity (N, D) at z (N, D), time t () or (N, 1), attributes a (N, A)."""
        c = torch.cat([t.expand(len(z), 1), a], 1)
        *inner, last = self.layers
        for layer in inner:
            z = layer(z, c).tanh()
        velocity: Tensor = last(z, c)
        return velocity
