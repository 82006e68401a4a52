"""Training objectives of flows: likelihood and flow matching."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from latentedit_styleflow.coupling import CouplingFlow
from latentedit_styleflow.flow import ContinuousFlow
from latentedit_styleflow.solver import basis_probes

Flow = ContinuousFlow | CouplingFlow


class Objective(ABC):
    """A loss over a batch: lower is better."""

    def prepared(self, flow: Flow, w: Tensor) -> Tensor:
        """What `loss` takes of codes (N, D), which training does not change."""
        return w

    @abstractmethod
    def loss(self, flow: Flow, x: Tensor, a: Tensor, rng: torch.Generator) -> Tensor:
        """Scalar loss of prepared codes (N, D) under attributes (N, A); `rng` draws its noise."""


class Likelihood(Objective):
    """−log p(w | a) per dimension.

    Args:
        trace: ``"hutchinson"`` with one probe per sample, or ``"exact"`` with D probes.
        adjoint: gradients by the adjoint method.
    """

    def __init__(self, trace: Literal["hutchinson", "exact"] = "hutchinson", adjoint: bool = False):
        self.trace, self.adjoint = trace, adjoint

    def loss(self, flow: Flow, x: Tensor, a: Tensor, rng: torch.Generator) -> Tensor:
        if isinstance(flow, CouplingFlow):
            return -flow.log_prob(x, a).mean() / flow.dim
        probes = (
            basis_probes(len(x), flow.dim, x)
            if self.trace == "exact"
            else noise(1, *x.shape, rng=rng, like=x)
        )
        return -flow.log_prob(x, a, probes, self.adjoint).mean() / flow.dim


class FlowMatching(Objective):
    """Regress the velocity of straight paths from normalised codes x to base samples z.

        x_t = (1 − t) x + t z,    loss = mean ‖f(t, x_t, a) − (z − x)‖² / D,    t ~ U(0, 1)

    Lipman et al., "Flow matching for generative modeling", ICLR 2023; Tong et al., "Improving and
    generalizing flow-based generative models with minibatch optimal transport", TMLR 2024.

    Args:
        coupling: pairing of z with x: ``"independent"``, or ``"optimal-transport"``, with the least
            total squared distance within the batch.
    """

    def __init__(self, coupling: Literal["independent", "optimal-transport"] = "independent"):
        self.coupling = coupling

    def prepared(self, flow: Flow, w: Tensor) -> Tensor:
        """The normalised codes (N, D)."""
        norm, _ = flow.matching()
        return norm.encode(w).detach()

    def loss(self, flow: Flow, x: Tensor, a: Tensor, rng: torch.Generator) -> Tensor:
        _, field = flow.matching()
        z = noise(*x.shape, rng=rng, like=x)
        if self.coupling == "optimal-transport":
            z = z[optimal_pairs(x, z)]
        t = torch.rand(len(x), 1, generator=rng).to(x)
        velocity: Tensor = field(t, torch.lerp(x, z, t), a)
        return mse_loss(velocity, z - x)


def log_likelihood(
    flow: Flow, w: Tensor, a: Tensor, rng: torch.Generator, probes: int = 1
) -> Tensor:
    """log p(w | a) (N,) in nats; for continuous flows by Hutchinson's estimator."""
    with torch.no_grad():
        if isinstance(flow, CouplingFlow):
            return flow.log_prob(w, a)
        return flow.log_prob(w, a, noise(probes, *w.shape, rng=rng, like=w))


def optimal_pairs(x: Tensor, z: Tensor) -> Tensor:
    """The index π of the z (N, D) paired with each x (N, D), with least Σ ‖x_i − z_π(i)‖²: (N,)."""
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415  takes long to import

    _, pairs = linear_sum_assignment(torch.cdist(x, z).square().cpu().numpy())
    return torch.from_numpy(pairs).to(x.device)


def noise(*shape: int, rng: torch.Generator, like: Tensor) -> Tensor:
    """Standard normal numbers with the dtype and device of `like`."""
    # Drawn on the CPU, so that a seed gives the same numbers on every device.
    return torch.randn(*shape, generator=rng).to(like)
