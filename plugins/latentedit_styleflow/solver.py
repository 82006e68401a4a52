"""Integration that counts evaluations of the field: fixed steps here, adaptive by torchdiffeq.

torchdiffeq brings SciPy with it, and takes longer to import than many edits take. It is imported
for what only it can do: adaptive steps, and the adjoint method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

Method = Literal["euler", "midpoint", "rk4", "bosh3", "dopri5", "dopri8"]
Field = Callable[[Any, Tensor], Tensor]
"""(t, state) → derivative of the state; t is a tensor (), or a float without gradients."""


class Solver(NamedTuple):
    """Settings of the integration.

    Args:
        method: a fixed-step method, or an adaptive one of torchdiffeq.
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


def integrate(field: Field, z: Tensor, start: Tensor, end: Tensor, solver: Solver) -> Solved:
    """Solve dz/dt = field(t, z) from `start` to `end`, without the divergence."""
    counted = _Counted(field)
    if solver.method in FIXED:
        state = _stepped(counted, z, start, end, solver)
    else:
        from torchdiffeq import odeint  # noqa: PLC0415  imports SciPy

        state = odeint(counted, z, torch.stack([start, end]), **_settings(solver, start, end))[-1]
    return Solved(state, z.new_zeros(len(z)), counted.calls)


def integrate_with_divergence(
    field: Field,
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
    counted, dim = _Counted(_with_trace(field, probes)), z.shape[1]
    initial = torch.cat([z, z.new_zeros(len(z), 1)], 1)
    if adjoint is None and solver.method in FIXED:
        state = _stepped(counted, initial, start, end, solver)
    else:
        from torchdiffeq import odeint, odeint_adjoint  # noqa: PLC0415  imports SciPy

        settings, times = _settings(solver, start, end), torch.stack([start, end])
        if solver.method not in FIXED:
            # The noisy trace would make an adaptive solver take needlessly small steps.
            settings["options"] = {"norm": lambda state: state[:, :dim].square().mean().sqrt()}
        if adjoint is None:
            state = odeint(counted, initial, times, **settings)[-1]
        else:
            parameters = tuple(adjoint.parameters())
            state = odeint_adjoint(counted, initial, times, adjoint_params=parameters, **settings)[
                -1
            ]
    return Solved(state[:, :dim], state[:, dim], counted.calls)


def _with_trace(field: Field, probes: Tensor) -> Field:
    """The derivative of [z, ∫ Tr(∂f/∂z) dt] (N, D + 1), by Hutchinson's estimator."""
    differentiable = torch.is_grad_enabled()

    def velocity(t: Any, state: Tensor) -> Tensor:
        with torch.enable_grad():
            x = state[:, :-1].clone()  # the adjoint method passes views created without gradients
            if not x.requires_grad:
                x.requires_grad_()
            f = field(t, x)
            keep = differentiable or f.requires_grad
            products = [
                torch.autograd.grad(f, x, e, create_graph=differentiable, retain_graph=keep)[0]
                for e in probes
            ]
        trace = (torch.stack(products) * probes).sum(2).mean(0)
        derivative = torch.cat([f, trace[:, None]], 1)
        return derivative if differentiable else derivative.detach()

    return velocity


def basis_probes(n: int, dim: int, like: Tensor) -> Tensor:
    """(D, n, D) probes √D e_i, with which Hutchinson's estimator is the exact trace."""
    # √D, since the estimator takes the mean over D probes and the trace is a sum.
    eye: Tensor = torch.eye(dim, dtype=like.dtype, device=like.device) * dim**0.5
    return eye[:, None].expand(-1, n, -1)


class _Counted:
    """A field that counts its evaluations."""

    def __init__(self, field: Field) -> None:
        self.field, self.calls = field, 0

    def __call__(self, t: Any, state: Tensor) -> Tensor:
        self.calls += 1
        return self.field(t, state)


def _stepped(field: Field, state: Tensor, start: Tensor, end: Tensor, solver: Solver) -> Tensor:
    """The state at `end`, after equal steps from `start`."""
    step = (end - start).detach() / solver.steps
    times: list[Any] = [*(start + i * step for i in range(solver.steps)), end]
    if not torch.is_grad_enabled():
        times = torch.stack(times).tolist()
    for now, then in pairwise(times):
        state = FIXED[solver.method](field, now, then, state)
    return state


def _euler(field: Field, now: Any, then: Any, y: Tensor) -> Tensor:
    end: Tensor = y + (then - now) * field(now, y)
    return end


def _midpoint(field: Field, now: Any, then: Any, y: Tensor) -> Tensor:
    half = 0.5 * (then - now)
    end: Tensor = y + (then - now) * field(now + half, y + half * field(now, y))
    return end


def _three_eighths(field: Field, now: Any, then: Any, y: Tensor) -> Tensor:
    """Kutta's rule of order four with thirds of a step, as torchdiffeq's ``rk4``."""
    third = (then - now) / 3
    k1 = field(now, y)
    k2 = field(now + third, _moved(y, third, (1, k1)))
    k3 = field(now + 2 * third, _moved(y, third, (3, k2), (-1, k1)))
    k4 = field(then, _moved(y, 3 * third, (1, k1), (-1, k2), (1, k3)))
    return _moved(y, 0.375 * third, (1, k1), (3, k2), (3, k3), (1, k4))


def _moved(y: Tensor, step: Any, *parts: tuple[int, Tensor]) -> Tensor:
    """y + step Σ weight · k."""
    for weight, k in parts:
        y = y + weight * step * k if isinstance(step, Tensor) else y.add(k, alpha=weight * step)
    return y


FIXED: Mapping[str, Callable[[Field, Any, Any, Tensor], Tensor]] = {
    "euler": _euler,
    "midpoint": _midpoint,
    "rk4": _three_eighths,
}
"""One step of each fixed-step method, from one time and state to the next."""


def _settings(solver: Solver, start: Tensor, end: Tensor) -> dict[str, Any]:
    """Of torchdiffeq."""
    if solver.method in FIXED:
        step = float((end - start).detach().abs()) / solver.steps
        return {"method": solver.method, "options": {"step_size": step}}
    return {"method": solver.method, "atol": solver.tolerance, "rtol": solver.tolerance}
