"""Steps of a fixed size against torchdiffeq, and the field's functions against torch's."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torchdiffeq import odeint

from latentedit_styleflow import field
from latentedit_styleflow.field import VectorField, tanh
from latentedit_styleflow.solver import FIXED, Solver, integrate


@pytest.mark.parametrize("method", [*FIXED])
@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("backwards", [False, True])
def test_fixed_steps_are_those_of_torchdiffeq(method: str, steps: int, backwards: bool) -> None:
    field = VectorField(6, 3, (7, 5)).double()
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in field.parameters():
            p.copy_(torch.randn(p.shape, generator=rng, dtype=torch.float64))
    z, a = (torch.randn(4, n, generator=rng, dtype=torch.float64) for n in (6, 3))
    times = torch.tensor([1.3, 0.0] if backwards else [0.0, 1.3], dtype=torch.float64)
    even = lambda field, state, t: t[0] + (t[-1] - t[0]) * torch.arange(steps + 1) / steps  # noqa: E731
    options = {"grid_constructor": even}
    wanted = odeint(lambda t, x: field(t, x, a), z, times, method=method, options=options)[-1]
    solver = Solver(method, steps)  # type: ignore[arg-type]
    with torch.no_grad():
        fast = integrate(field.under(a), z, *times, solver)
    taught = integrate(lambda t, x: field(t, x, a), z, *times, solver)
    for found in (fast, taught):
        assert torch.allclose(found.state, wanted, rtol=1e-12, atol=1e-12)
        assert found.nfe == steps * {"euler": 1, "midpoint": 2, "rk4": 4}[method]


def test_fixed_steps_give_the_gradients_of_torchdiffeq() -> None:
    field = VectorField(6, 3, (7, 5)).double()
    rng = torch.Generator().manual_seed(0)
    z, a, probe = (torch.randn(4, n, generator=rng, dtype=torch.float64) for n in (6, 3, 6))
    end = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    inputs = (end, *field.parameters())
    right = lambda t, x: field(t, x, a)  # noqa: E731
    found = integrate(field.under(a), z, 0 * end, end, Solver("rk4", 2)).state
    options = {"step_size": 0.65 * (1 + 1e-12)}
    wanted = odeint(right, z, torch.stack([0 * end, end]), method="rk4", options=options)[-1]
    pairs = zip(
        *(torch.autograd.grad((path * probe).sum(), inputs) for path in (found, wanted)),
        strict=True,
    )
    for ours, theirs in pairs:
        assert torch.allclose(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("slow", [True, False])
@pytest.mark.parametrize("size", [0.01, 1.0, 30.0])
def test_tanh_and_its_first_two_derivatives_are_those_of_torch(
    size: float, slow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(field, "SLOW_TANH", slow)
    given = size * torch.randn(64, generator=torch.Generator().manual_seed(0)).double()
    found = [given.clone().requires_grad_() for _ in range(2)]
    outputs = [tanh(found[0]), found[1].tanh()]
    for _ in range(3):
        assert torch.allclose(outputs[0], outputs[1], rtol=1e-12, atol=1e-14)
        outputs = [
            torch.autograd.grad(y.sum(), x, create_graph=True)[0]
            for x, y in zip(found, outputs, strict=True)
        ]


def test_flows_of_fixed_steps_never_import_torchdiffeq_or_scipy() -> None:
    script = (
        "import sys, torch; from latentedit_styleflow.flow import ContinuousFlow; "
        "from latentedit_styleflow.solver import Solver; import latentedit_styleflow.editor; "
        "flow = ContinuousFlow(4, 2, (5,), 1, Solver('rk4', 2)); "
        "flow.encode(torch.ones(1, 4), torch.ones(1, 2)); "
        "assert not {'torchdiffeq', 'scipy'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
