"""StyleFlow's conditional continuous normalizing flow: norms and blocks in a chain."""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from latentedit import InputError
from latentedit_styleflow.field import VectorField, Velocity
from latentedit_styleflow.solver import Solver, integrate, integrate_with_divergence


class Mapped(NamedTuple):
    """Mapped codes (N, D), and the number of evaluations of vector fields."""

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

    @torch.no_grad()
    def take(self, mean: Tensor, covariance: Tensor) -> None:
        """Bring codes of mean (D,) and covariance (D, D) to zero mean and unit variance."""
        self.running_mean.copy_(mean)
        self.running_var.copy_(covariance.diagonal())

    def encode(self, x: Tensor) -> Tensor:
        return (x - self.running_mean) * self.log_scale.exp() + self.bias

    def decode(self, y: Tensor) -> Tensor:
        return (y - self.bias) * (-self.log_scale).exp() + self.running_mean


class Whitening(nn.Module):
    """y = Λ^(−1/2) Uᵀ (x − mean), with the covariance U Λ Uᵀ of the codes; not trained.

    Codes of a generator vary a thousand times more along some directions than along others. In
    these coordinates they are nearly standard normal, which leaves little for the flow to learn.
    """

    mean: Tensor
    basis: Tensor
    variance: Tensor

    FLOOR = 1e-6
    """Smallest variance as a share of the largest; with few codes, some variances would be 0."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        # Of a meta tensor torch.eye imports the compiler, which takes longer than an edit.
        self.register_buffer("basis", torch.zeros(dim, dim).fill_diagonal_(1))
        self.register_buffer("variance", torch.ones(dim))

    @torch.no_grad()
    def take(self, mean: Tensor, covariance: Tensor) -> None:
        """Whiten codes of mean (D,) and covariance (D, D)."""
        variance, basis = torch.linalg.eigh(covariance.double())
        self.mean.copy_(mean)
        self.basis.copy_(basis)
        self.variance.copy_(variance.clamp_min(self.FLOOR * float(variance[-1])))

    @property
    def log_scale(self) -> Tensor:
        """(D,) log dy/dx along the basis."""
        return -0.5 * self.variance.log()

    def encode(self, x: Tensor) -> Tensor:
        return ((x - self.mean) @ self.basis).mul_(self.log_scale.exp())

    def decode(self, y: Tensor) -> Tensor:
        return (y * (-self.log_scale).exp()) @ self.basis.T + self.mean


Norm = MovingBatchNorm | Whitening


class Block(nn.Module):
    """One vector field, integrated from 0 to T = sqrt_end_time², which keeps T positive."""

    def __init__(self, dim: int, condition: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.field = VectorField(dim, condition, hidden)
        self.sqrt_end_time = nn.Parameter(torch.tensor(1.0))

    @property
    def times(self) -> tuple[Tensor, Tensor]:
        end = self.sqrt_end_time.square()
        return torch.zeros_like(end), end

    def velocity(self, a: Tensor) -> Velocity:
        """(t, z) → dz/dt under attributes (N, A)."""
        return self.field.under(a)


class ContinuousFlow(nn.Module):
    """norm, block, norm, …, block, norm: an invertible map for every attribute vector.

        z = encode(w, a),   w = decode(z, a),   log p(w | a) = log N(z; 0, I) + log |∂z/∂w|
        log |∂z/∂w| = Σ norms' log scales + Σ blocks' ∫ Tr(∂f/∂z) dt

    Abdal et al., "StyleFlow", ACM TOG 2021.

    Args:
        dim: D; condition: A; hidden: widths of each vector field; blocks: how many fields.
        whiten: begin with `Whitening`, not with the release's `MovingBatchNorm`.
    """

    def __init__(
        self,
        dim: int,
        condition: int,
        hidden: tuple[int, ...],
        blocks: int,
        solver: Solver,
        whiten: bool = False,
    ) -> None:
        super().__init__()
        self.dim, self.condition, self.hidden, self.solver = dim, condition, hidden, solver
        first = Whitening(dim) if whiten else MovingBatchNorm(dim)
        self.norms = nn.ModuleList([first, *(MovingBatchNorm(dim) for _ in range(blocks))])
        self.blocks = nn.ModuleList(Block(dim, condition, hidden) for _ in range(blocks))

    def links(self) -> tuple[Norm, list[tuple[Block, Norm]]]:
        """The first norm, and each block with the norm after it."""
        first, *others = (cast(Norm, norm) for norm in self.norms)
        blocks = (cast(Block, block) for block in self.blocks)
        return first, list(zip(blocks, others, strict=True))

    @torch.no_grad()
    def start(self, mean: Tensor, covariance: Tensor) -> None:
        """Set the first norm to standardise codes, and all velocities to zero."""
        first, links = self.links()
        first.take(mean, covariance)
        for block, _ in links:
            block.field.rest()

    def matching(self) -> tuple[Norm, VectorField]:
        """The norm and the field of a flow of one block, for flow matching.

        Raises:
            InputError: there is more than one block, but straight paths have one velocity field.
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
        """log p(w | a) (N,) in nats, as a density over the original codes.

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
