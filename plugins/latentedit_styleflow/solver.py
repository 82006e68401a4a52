"""Integration with torchdiffeq, which also counts function evaluations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torchdiffeq import odeint, odeint_adjoint

Method = Literal["euler", "midpoint", "rk4", "bosh3", "dopri5", "dopri8"]
FIXED = ("euler", "midpoint", "rk4")


class Solver(NamedTuple):
    """Settings of the integration.

    Args:
        method: a fixed-step or adaptive method of torchdiffeq.
        steps: number of steps of a fixed-step method.
        tolerance: atol and rtol of an adaptive method.
    """

    method: Method = "rk4"
    steps: int = 4
    tolerance: float = 1e-5


class Solved(NamedTuple):
    """Final state (N, D), ∫ divergence dt (N,), and the number of evaluations of the field."""

    state: Tensor
    divergence: Tensor
    nfe: int


def integrate(
    field: Callable[[Tensor, Tensor], Tensor], z: Tensor, start: Tensor, end: Tensor, solver: Solver
) -> Solved:
    """Solve dz/dt = field(t, z) from `start` to `end`, without the divergence."""
    count = _Count()

    def velocity(t: Tensor, state: Tensor) -> Tensor:
        count.calls += 1
        return field(t, state)

    path = odeint(velocity, z, torch.stack([start, end]), **_settings(solver, start, end))
    return Solved(path[-1], z.new_zeros(len(z)), count.calls)


def integrate_with_divergence(
    field: Callable[[Tensor, Tensor], Tensor],
    z: Tensor,
    start: Tensor,
    end: Tensor,
    solver: Solver,
    probes: Tensor,
    adjoint: nn.Module | None = None,
) -> Solved:
    """Solve for z and ∫ Tr(∂f/∂z) dt together; only z decides the step size.

        Tr(∂f/∂z) ≈ mean over probes e of eᵀ (∂f/∂z) e        (Hutchinson's estimator)

    Args:
        probes: (P, N, D) noise of unit covariance; `basis_probes` gives the exact trace.
        adjoint: a module whose parameters get gradients by the adjoint method, in constant
            memory; by direct back-propagation if None.
    """
    count = _Count()
    differentiable = torch.is_grad_enabled()

    def velocity(t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        count.calls += 1
        with torch.enable_grad():
            x = state[0].clone()  # the adjoint method passes views created without gradients
            if not x.requires_grad:
                x.requires_grad_()
            f = field(t, x)
            keep = differentiable or f.requires_grad
            products = [
                torch.autograd.grad(f, x, e, create_graph=differentiable, retain_graph=keep)[0]
                for e in probes
            ]
        trace = (torch.stack(products) * probes).sum(2).mean(0)
        return (f, trace) if differentiable else (f.detach(), trace.detach())

    settings = _settings(solver, start, end)
    if solver.method not in FIXED:
        # The noisy trace would make an adaptive solver take needlessly small steps.
        settings["options"] = {"norm": lambda state: state[0].square().mean().sqrt()}
    times, initial = torch.stack([start, end]), (z, z.new_zeros(len(z)))
    if adjoint is None:
        states, traces = odeint(velocity, initial, times, **settings)
    else:
        states, traces = odeint_adjoint(
            velocity, initial, times, adjoint_params=tuple(adjoint.parameters()), **settings
        )
    return Solved(states[-1], traces[-1], count.calls)


def basis_probes(n: int, dim: int, like: Tensor) -> Tensor:
    """(D, n, D) probes √D e_i, with which Hutchinson's estimator is the exact trace."""
    # √D, since the estimator takes the mean over D probes and the trace is a sum.
    eye: Tensor = torch.eye(dim, dtype=like.dtype, device=like.device) * dim**0.5
    return eye[:, None].expand(-1, n, -1)


class _Count:
    calls = 0


def _settings(solver: Solver, start: Tensor, end: Tensor) -> dict[str, object]:
    if solver.method in FIXED:
        step = float((end - start).detach().abs()) / solver.steps
        return {"method": solver.method, "options": {"step_size": step}}
    return {"method": solver.method, "atol": solver.tolerance, "rtol": solver.tolerance}
