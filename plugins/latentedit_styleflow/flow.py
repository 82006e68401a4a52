"""StyleFlow's conditional continuous normalizing flow: norms and blocks in a chain."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from latentedit import InputError
from latentedit_styleflow.field import VectorField
from latentedit_styleflow.solver import Solver, integrate, integrate_with_divergence


class Mapped(NamedTuple):
    """Mapped codes (N, D), and how often vector fields were evaluated."""

    codes: Tensor
    nfe: int


class MovingBatchNorm(nn.Module):
    """y = (x − mean) / √(var + 1e-4) · exp(weight) + bias, with running statistics."""

    EPSILON = 1e-4
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(dim))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.register_buffer("running_mean", torch.zeros(dim))
        self.register_buffer("running_var", torch.ones(dim))

    @property
    def log_scale(self) -> Tensor:
        """(D,) log dy/dx."""
        return self.weight - 0.5 * (self.running_var + self.EPSILON).log()

    def encode(self, x: Tensor) -> Tensor:
        return (x - self.running_mean) * self.log_scale.exp() + self.bias

    def decode(self, y: Tensor) -> Tensor:
        return (y - self.bias) * (-self.log_scale).exp() + self.running_mean


class Block(nn.Module):
    """One vector field, integrated from 0 to T = sqrt_end_time²."""

    def __init__(self, dim: int, condition: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.field = VectorField(dim, condition, hidden)
        self.sqrt_end_time = nn.Parameter(torch.tensor(1.0))

    @property
    def times(self) -> tuple[Tensor, Tensor]:
        end = self.sqrt_end_time.square()
        return torch.zeros_like(end), end

    def velocity(self, a: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        """(t, z) → dz/dt under attributes (N, A)."""

        def at(t: Tensor, z: Tensor) -> Tensor:
            moved: Tensor = self.field(t, z, a)
            return moved

        return at


class ContinuousFlow(nn.Module):
    """norm, block, norm, …, block, norm: an invertible map for every attribute vector.

        z = encode(w, a),   w = decode(z, a),   log p(w | a) = log N(z; 0, I) + log |∂z/∂w|
        log |∂z/∂w| = Σ norms' log scales + Σ blocks' ∫ Tr(∂f/∂z) dt

    Abdal et al., "StyleFlow", ACM TOG 2021.

    Args:
        dim: D; condition: A; hidden: widths of each vector field; blocks: how many fields.
    """

    def __init__(
        self, dim: int, condition: int, hidden: tuple[int, ...], blocks: int, solver: Solver
    ) -> None:
        super().__init__()
        self.dim, self.solver = dim, solver
        self.norms = nn.ModuleList(MovingBatchNorm(dim) for _ in range(blocks + 1))
        self.blocks = nn.ModuleList(Block(dim, condition, hidden) for _ in range(blocks))

    def links(self) -> tuple[MovingBatchNorm, list[tuple[Block, MovingBatchNorm]]]:
        """The first norm, and each block with the norm after it."""
        first, *others = (cast(MovingBatchNorm, norm) for norm in self.norms)
        blocks = (cast(Block, block) for block in self.blocks)
        return first, list(zip(blocks, others, strict=True))

    @torch.no_grad()
    def standardise(self, mean: Tensor, variance: Tensor) -> None:
        """Let the first norm bring codes to zero mean and unit variance."""
        first, _ = self.links()
        first.running_mean.copy_(mean)
        first.running_var.copy_(variance)

    def matching(self) -> tuple[MovingBatchNorm, VectorField]:
        """The norm and the field of a flow of one block, for flow matching.

        Raises:
            InputError: more than one block; straight paths fit only one.
        """
        first, links = self.links()
        if len(links) != 1:
            raise InputError(
                f"flow matching trains one block, received {len(links)}; "
                "use objective='likelihood' or blocks=1"
            )
        return first, links[0][0].field

    def encode(self, w: Tensor, a: Tensor) -> Mapped:
        """Joint reverse encoding: codes (N, D) under attributes (N, A) → base samples (N, D)."""
        first, links = self.links()
        z, nfe = first.encode(w), 0
        for block, norm in links:
            start, end = block.times
            z, _, used = integrate(block.velocity(a), z, start, end, self.solver)
            z, nfe = norm.encode(z), nfe + used
        return Mapped(z, nfe)

    def decode(self, z: Tensor, a: Tensor) -> Mapped:
        """Conditional forward editing: base samples (N, D) under attributes (N, A) → codes."""
        first, links = self.links()
        nfe = 0
        for block, norm in reversed(links):
            start, end = block.times
            z, _, used = integrate(block.velocity(a), norm.decode(z), end, start, self.solver)
            nfe += used
        return Mapped(first.decode(z), nfe)

    def log_prob(self, w: Tensor, a: Tensor, probes: Tensor, adjoint: bool = False) -> Tensor:
        """log p(w | a) (N,), in nats, of codes in the units they came in.

        Args:
            probes: (P, N, D) for Hutchinson's estimator; `basis_probes` for the exact trace.
            adjoint: gradients by the adjoint method, not by direct back-propagation.
        """
        first, links = self.links()
        z, log_det = first.encode(w), first.log_scale.sum()
        for block, norm in links:
            start, end = block.times
            z, trace, _ = integrate_with_divergence(
                block.velocity(a), z, start, end, self.solver, probes, block if adjoint else None
            )
            z, log_det = norm.encode(z), log_det + trace + norm.log_scale.sum()
        return standard_normal_log_prob(z) + log_det


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """log N(z; 0, I) of (N, D) → (N,)."""
    return -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)
