"""StyleFlow's vector field: a perceptron whose layers the condition gates and shifts."""

from __future__ import annotations

import platform
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

Velocity = Callable[[Tensor | float, Tensor], Tensor]
"""(t, z) → dz/dt, under fixed attributes; time is a number, (), or (N, 1)."""
Squash = tuple[Tensor, Tensor]
"""Gate σ(G c) and shift B c of one layer, both (N, outputs)."""
_MINUS_ONE = torch.tensor(-1.0)
"""As a tensor, since a number becomes one at every call."""


class ConcatSquash(nn.Module):
    """y = Linear(x) · σ(G c) + B c, with c = [t, a]; G has a bias and B has none."""

    def __init__(self, inputs: int, outputs: int, condition: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.gate = nn.Linear(condition, outputs)
        self.shift = nn.Linear(condition, outputs, bias=False)

    def forward(self, c: Tensor, x: Tensor) -> Tensor:
        return squashed(self.linear(x), self.gate(c).sigmoid_(), self.shift(c))


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

    def under(self, a: Tensor) -> Velocity:
        """The velocity (N, D) under attributes (N, A), for many times with the same attributes.

        The attributes' part of the conditions is computed once.
        """
        layers = [cast(ConcatSquash, layer) for layer in self.layers]
        products = [(layer.linear.weight, layer.linear.bias) for layer in layers]
        last, squashes = len(layers) - 1, _Squashes(layers, a)

        def velocity(t: Tensor | float, z: Tensor) -> Tensor:
            for i, (gate, shift) in enumerate(squashes.at(t)):
                z = squashed(linear(z, *products[i]), gate, shift)
                z = tanh(z) if i < last else z
            return z

        return velocity

    def forward(self, t: Tensor, z: Tensor, a: Tensor) -> Tensor:
        """Velocity (N, D) at z (N, D), time t () or (N, 1), attributes a (N, A)."""
        c = torch.cat([t.expand(len(a), 1), a], 1)
        *inner, last = self.layers
        for layer in inner:
            z = tanh(layer(c, z))
        return cast(Tensor, last(c, z))


class _Squashes:
    """Gates and shifts of `layers` under attributes (N, A), at any time."""

    def __init__(self, layers: list[ConcatSquash], a: Tensor) -> None:
        self._widths = [len(layer.gate.weight) for layer in layers]
        # Gates, and shifts, of all layers side by side: (N, Σ outputs). The results are joined,
        # since the weights are larger: to join those takes as long as one evaluation of the field.
        self._still = (
            torch.cat([linear(a, at.gate.weight[:, 1:], at.gate.bias) for at in layers], 1),
            torch.cat([linear(a, at.shift.weight[:, 1:]) for at in layers], 1),
        )
        self._moving = (
            torch.cat([at.gate.weight[:, 0] for at in layers]),
            torch.cat([at.shift.weight[:, 0] for at in layers]),
        )
        self._kept: tuple[Tensor, ...] = ()
        self._views: list[Squash] = []
        self._time: float | None = None

    def at(self, t: Tensor | float) -> list[Squash]:
        """Gate and shift of each layer at time `t`.

        Where no gradients are taken, those of a number `t` are valid until the next ones.
        """
        if torch.is_grad_enabled() or isinstance(t, Tensor):
            gates, shifts = (
                still + t * moving for still, moving in zip(self._still, self._moving, strict=True)
            )
            return self._each(gates.sigmoid(), shifts)
        if t != self._time:
            self._overwrite(t)
        return self._views

    def _overwrite(self, t: float) -> None:
        """Bring the kept gates and shifts to time `t`, in the same memory."""
        if not self._kept:
            self._kept = tuple(map(torch.empty_like, self._still))
            self._views = self._each(*self._kept)
        for still, moving, kept in zip(self._still, self._moving, self._kept, strict=True):
            torch.add(still, moving, alpha=t, out=kept)
        self._kept[0].sigmoid_()
        self._time = t

    def _each(self, gates: Tensor, shifts: Tensor) -> list[Squash]:
        """By layer, as views."""
        parts = gates.split(self._widths, 1), shifts.split(self._widths, 1)
        return list(zip(*parts, strict=True))


def squashed(x: Tensor, gate: Tensor, shift: Tensor) -> Tensor:
    """x · gate + shift. Without gradients it overwrites `x`."""
    if torch.is_grad_enabled():  # where gradients of addcmul take twice as long
        return (x * gate).add_(shift)
    return torch.addcmul(shift, x, gate, out=x)


class _Tanh(torch.autograd.Function):
    """tanh x = 2 σ(2x) − 1, with one new tensor and the derivative 1 − tanh² x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = _half_done(x + x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return cast(Tensor, torch.ops.aten.tanh_backward(dy, y))


def _slow_tanh() -> bool:
    """Whether torch.tanh is MKL's on a CPU of another maker than Intel."""
    try:
        intel = "GenuineIntel" in Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        intel = "Intel" in platform.processor()
    return torch.backends.mkl.is_available() and not intel


SLOW_TANH = _slow_tanh()


def tanh(x: Tensor) -> Tensor:
    """tanh x. Without gradients it overwrites `x`.

    MKL's tanh takes half the time of 2 σ(2x) − 1 on CPUs by Intel, and several times as much on
    others. There this is 2 σ(2x) − 1, in place: new tensors would take as long as the function.
    """
    if x.is_cuda:
        return x.tanh()
    if not SLOW_TANH:
        return x.tanh() if torch.is_grad_enabled() and x.requires_grad else x.tanh_()
    if torch.is_grad_enabled() and x.requires_grad:
        return cast(Tensor, _Tanh.apply(x))  # type: ignore[no-untyped-call]
    return _half_done(x.add_(x))


def _half_done(twice: Tensor) -> Tensor:
    """2 σ(y) − 1 of y = 2x, in the memory of y."""
    return torch.add(_MINUS_ONE, twice.sigmoid_(), alpha=2, out=twice)
