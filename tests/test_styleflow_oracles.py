"""Flows and their training against scipy's solver, exact jacobians, and loops written by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.special import expit
from scipy.stats import multivariate_normal
from torch import Tensor, nn

from latentedit import (
    Attribute,
    AttributeSchema,
    InputError,
    NotFitted,
    Runtime,
    Split,
    moments,
    read_tensors,
    write_tensors,
)
from latentedit_styleflow import editor as editors
from latentedit_styleflow.checkpoint import RELEASED_CONDITION, flow_of, from_released, to_released
from latentedit_styleflow.coupling import AffineCoupling, CouplingFlow
from latentedit_styleflow.editor import CouplingEditor, StyleFlow
from latentedit_styleflow.field import ConcatSquash, VectorField
from latentedit_styleflow.flow import (
    ContinuousFlow,
    MovingBatchNorm,
    Whitening,
    standard_normal_log_prob,
)
from latentedit_styleflow.importing import import_checkpoint
from latentedit_styleflow.objectives import (
    FlowMatching,
    Likelihood,
    Objective,
    log_likelihood,
    noise,
    optimal_pairs,
)
from latentedit_styleflow.presets import RELEASED_GAINS
from latentedit_styleflow.solver import Solver, basis_probes, integrate, integrate_with_divergence
from latentedit_styleflow.training import Condition, HeldOut, Plan, Trainer

Array = NDArray[np.float64]
D, A = 4, 2
SCHEMA = AttributeSchema(
    (Attribute("age", "continuous", -99, 99), Attribute("tilt", "continuous", -99, 99))
)
FINE = Solver("dopri5", tolerance=1e-10)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def double(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=rng(seed), dtype=torch.float64)


def scrambled(module: nn.Module, seed: int = 0, size: float = 0.5) -> None:
    """Random parameters and buffers, so that no term of a formula is zero or one."""
    generator = rng(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(size * torch.randn(p.shape, generator=generator, dtype=torch.float64))
        for name, b in module.named_buffers():
            if name.endswith("running_var"):
                b.copy_(0.01 + torch.rand(b.shape, generator=generator, dtype=torch.float64))
            elif name.endswith("running_mean"):
                b.copy_(torch.randn(b.shape, generator=generator, dtype=torch.float64))


def a_flow(blocks: int = 2, whiten: bool = False) -> ContinuousFlow:
    flow = ContinuousFlow(D, A, (5,), blocks, FINE, whiten).double()
    scrambled(flow)
    for i, (block, _) in enumerate(flow.links()[1]):
        block.sqrt_end_time.data.fill_((1.2, 0.7)[i])
    if whiten:
        mixing = double(D, D, seed=8)
        flow.norms[0].take(double(D, seed=9), mixing @ mixing.T)  # type: ignore[operator]
    return flow.requires_grad_(False)


# --- the same map in numpy


def field(state: dict[str, Array], i: int, t: float, z: Array, a: Array) -> Array:
    """The vector field of block i at codes (D,), from the parameters alone."""
    c = np.concatenate([[t], a])
    for layer in range(2):
        name = f"blocks.{i}.field.layers.{layer}"
        y = state[f"{name}.linear.weight"] @ z + state[f"{name}.linear.bias"]
        gate = expit(state[f"{name}.gate.weight"] @ c + state[f"{name}.gate.bias"])
        y = y * gate + state[f"{name}.shift.weight"] @ c
        z = np.tanh(y) if layer == 0 else y
    return z


def jacobian(state: dict[str, Array], i: int, t: float, z: Array, a: Array) -> Array:
    """Central differences."""
    step, eye = 1e-6, np.eye(len(z))
    columns = [
        (field(state, i, t, z + step * e, a) - field(state, i, t, z - step * e, a)) / (2 * step)
        for e in eye
    ]
    return np.stack(columns, 1)


def solved(right: Callable[[float, Array], Array], start: float, end: float, z: Array) -> Array:
    found = solve_ivp(right, (start, end), z, method="DOP853", rtol=1e-10, atol=1e-11)
    last: Array = found.y[:, -1]
    return last


def scale_of(state: dict[str, Array], i: int) -> Array:
    found: Array = np.exp(state[f"norms.{i}.weight"]) / np.sqrt(
        state[f"norms.{i}.running_var"] + 1e-4
    )
    return found


def first_scale(state: dict[str, Array]) -> tuple[Array, Array, Array]:
    """Matrix, offset and log-determinant of the first norm: y = M (x − mean) + offset."""
    if "norms.0.basis" in state:
        basis, variance = state["norms.0.basis"], state["norms.0.variance"]
        return np.diag(variance**-0.5) @ basis.T, np.zeros(D), -0.5 * np.log(variance).sum()
    scale = scale_of(state, 0)
    return np.diag(scale), state["norms.0.bias"], np.log(scale).sum()


def by_hand(
    flow: ContinuousFlow, w: Array, a: Array, probe: Array | None = None
) -> tuple[Array, float]:
    """z, and log p(w | a) with the trace of the jacobian, or eᵀJe for a probe."""
    state = {k: v.double().numpy() for k, v in flow.state_dict().items()}
    matrix, offset, log_det = first_scale(state)
    mean = state.get("norms.0.mean", state.get("norms.0.running_mean"))
    assert mean is not None
    z = matrix @ (w - mean) + offset
    for i in range(len(flow.blocks)):

        def right(t: float, both: Array, i: int = i) -> Array:
            j = jacobian(state, i, t, both[:-1], a)
            trace = np.trace(j) if probe is None else probe @ j @ probe
            return np.append(field(state, i, t, both[:-1], a), trace)

        both = solved(right, 0.0, float(state[f"blocks.{i}.sqrt_end_time"]) ** 2, np.append(z, 0.0))
        n = i + 1
        z = (both[:-1] - state[f"norms.{n}.running_mean"]) * scale_of(state, n)
        z = z + state[f"norms.{n}.bias"]
        log_det = log_det + both[-1] + np.log(scale_of(state, n)).sum()
    density = multivariate_normal(np.zeros(len(z))).logpdf(z)
    return z, float(density + log_det)


def back_by_hand(flow: ContinuousFlow, z: Array, a: Array) -> Array:
    state = {k: v.double().numpy() for k, v in flow.state_dict().items()}
    for i in reversed(range(len(flow.blocks))):
        n = i + 1
        z = (z - state[f"norms.{n}.bias"]) / scale_of(state, n) + state[f"norms.{n}.running_mean"]
        end = float(state[f"blocks.{i}.sqrt_end_time"]) ** 2
        z = solved(lambda t, x, i=i: field(state, i, t, x, a), end, 0.0, z)
    matrix, offset, _ = first_scale(state)
    mean = state.get("norms.0.mean", state.get("norms.0.running_mean"))
    assert mean is not None
    found: Array = np.linalg.solve(matrix, z - offset) + mean
    return found


# --- the field, norms and flow


@pytest.mark.parametrize("by_face", [False, True])
def test_a_layer_is_gated_and_shifted_by_time_and_attributes(by_face: bool) -> None:
    layer = ConcatSquash(3, 5, 1 + A).double()
    scrambled(layer)
    x, a = double(6, 3, seed=1), double(6, A, seed=2)
    t = double(6, 1, seed=3) if by_face else torch.tensor(0.3, dtype=torch.float64)
    found = layer(torch.cat([t.expand(len(a), 1), a], 1), x).detach().numpy()
    c = np.concatenate([np.broadcast_to(t.numpy(), (6, 1)), a.numpy()], 1)
    p = {k: v.detach().numpy() for k, v in layer.state_dict().items()}
    assert set(p) == {"linear.weight", "linear.bias", "gate.weight", "gate.bias", "shift.weight"}
    line = x.numpy() @ p["linear.weight"].T + p["linear.bias"]
    gate = expit(c @ p["gate.weight"].T + p["gate.bias"])
    assert np.allclose(found, line * gate + c @ p["shift.weight"].T, atol=1e-12)


def test_the_field_is_squashed_between_layers_and_not_after_the_last() -> None:
    flow, a = a_flow(1), double(3, A, seed=2)
    z = 3 * double(3, D, seed=1)
    state = {k: v.numpy() for k, v in flow.state_dict().items()}
    found = flow.links()[1][0][0].field(torch.tensor(0.6, dtype=torch.float64), z, a)
    for row in range(3):
        wanted = field(state, 0, 0.6, z[row].numpy(), a[row].numpy())
        assert np.allclose(found[row], wanted, atol=1e-12)
    wide = VectorField(4, 2, (7, 3))
    shapes = [tuple(layer.linear.weight.shape) for layer in wide.layers]  # type: ignore[union-attr]
    assert shapes == [(7, 4), (3, 7), (4, 3)]


def test_a_field_at_rest_has_no_velocity_but_can_learn() -> None:
    resting = VectorField(D, A, (5,)).double()
    scrambled(resting)
    resting.rest()
    z, a = double(3, D), double(3, A, seed=1)
    velocity = resting(torch.tensor(0.5, dtype=torch.float64), z, a)
    assert torch.equal(velocity, torch.zeros(3, D))
    velocity.sum().backward()
    last = resting.layers[-1]
    assert last.linear.weight.grad.abs().min() > 0  # type: ignore[union-attr]


def test_the_moving_norm_is_its_formula_and_knows_its_volume() -> None:
    norm = MovingBatchNorm(3).double()
    scrambled(norm)
    norm.running_var.copy_(torch.tensor([1e-4, 1.0, 9.0]))
    x = double(4, 3, seed=1)
    p = {k: v.detach().numpy() for k, v in norm.state_dict().items()}
    wanted = (x.numpy() - p["running_mean"]) / np.sqrt(p["running_var"] + 1e-4)
    wanted = wanted * np.exp(p["weight"]) + p["bias"]
    y = norm.encode(x).detach()
    assert np.allclose(y, wanted, atol=1e-12)
    assert np.allclose(norm.decode(y).detach(), x, atol=1e-12)
    exact = torch.autograd.functional.jacobian(norm.encode, x[0])
    volume = torch.linalg.slogdet(exact)[1].item()
    assert norm.log_scale.sum().item() == pytest.approx(volume, abs=1e-10)
    norm.take(torch.tensor([1.0, 2, 3]), torch.diag(torch.tensor([4.0, 5, 6])) + 0.1)
    assert norm.running_mean.tolist() == [1, 2, 3]
    assert norm.running_var.tolist() == pytest.approx([4.1, 5.1, 6.1])


def test_whitening_has_a_floor_at_a_millionth_of_the_largest_variance() -> None:
    norm = Whitening(3).double()
    norm.take(torch.tensor([1.0, 0, 0]), torch.diag(torch.tensor([9.0, 4.0, 1e-9])))
    assert sorted(norm.variance.tolist()) == pytest.approx([9e-6, 4.0, 9.0])
    y = norm.encode(torch.tensor([[4.0, 2.0, 0.0]], dtype=torch.float64))
    assert sorted(y.abs()[0].tolist()) == pytest.approx([0.0, 1.0, 1.0])
    assert norm.log_scale.exp().prod().item() == pytest.approx(1 / (3 * 2 * 3e-3))


@pytest.mark.parametrize(("blocks", "whiten"), [(1, True), (2, False)])
def test_encoding_density_and_decoding_are_those_of_scipys_solver(
    blocks: int, whiten: bool
) -> None:
    flow = a_flow(blocks, whiten)
    w, a, other = double(2, D, seed=4), double(2, A, seed=5), double(2, A, seed=6)
    z = flow.encode(w, a).codes
    density = flow.log_prob(w, a, basis_probes(2, D, w))
    edited = flow.decode(z, other).codes
    for row in range(2):
        wanted, log_p = by_hand(flow, w[row].numpy(), a[row].numpy())
        assert np.allclose(z[row], wanted, atol=1e-6)
        assert float(density[row]) == pytest.approx(log_p, abs=1e-5)
        back = back_by_hand(flow, wanted, other[row].numpy())
        assert np.allclose(edited[row], back, atol=1e-5)


def test_probes_give_the_mean_of_their_quadratic_forms() -> None:
    flow, w, a = a_flow(1), double(2, D, seed=4), double(2, A, seed=5)
    probes = double(2, 2, D, seed=7)
    found = flow.log_prob(w, a, probes)
    for row in range(2):
        each = [by_hand(flow, w[row].numpy(), a[row].numpy(), p[row].numpy())[1] for p in probes]
        assert float(found[row]) == pytest.approx(np.mean(each), abs=1e-5)


def test_basis_probes_give_the_trace_of_the_exact_jacobian() -> None:
    matrix = double(D, D, seed=1)
    x = double(3, D, seed=2)
    start, end = torch.tensor(0.0, dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64)

    def right(t: Tensor, z: Tensor) -> Tensor:
        return z.sin() @ matrix.T * (1 + t)

    with torch.no_grad():
        found = integrate_with_divergence(right, x, start, end, FINE, basis_probes(3, D, x))

    def both(t: float, y: Array) -> Array:
        z = torch.from_numpy(y[:-1])
        j = torch.autograd.functional.jacobian(
            lambda v: right(torch.tensor(t, dtype=torch.float64), v[None])[0], z
        )
        velocity = (torch.sin(z) @ matrix.T * (1 + t)).numpy()
        return np.append(velocity, float(torch.trace(j)))

    for row in range(3):
        wanted = solved(both, 0.0, 0.5, np.append(x[row].numpy(), 0.0))
        assert np.allclose(found.state[row], wanted[:-1], atol=1e-7)
        assert float(found.divergence[row]) == pytest.approx(wanted[-1], abs=1e-6)
    still = integrate(right, x, start, end, FINE)
    assert torch.allclose(still.state, found.state, atol=1e-7)
    assert still.divergence.tolist() == [0, 0, 0]


@pytest.mark.parametrize(("method", "a_step"), [("euler", 1), ("midpoint", 2), ("rk4", 4)])
def test_fixed_solvers_take_the_steps_that_they_are_given(method: Any, a_step: int) -> None:
    start, end = torch.tensor(0.0, dtype=torch.float64), torch.tensor(0.64, dtype=torch.float64)
    x = torch.ones(1, 1, dtype=torch.float64)
    h = 0.64 / 5
    growth = {1: 1 + h, 2: 1 + h + h**2 / 2, 4: 1 + h + h**2 / 2 + h**3 / 6 + h**4 / 24}[a_step]
    for begin, finish, factor in ((start, end, growth**5), (end, start, None)):
        found = integrate(lambda t, z: z, x, begin, finish, Solver(method, steps=5))
        assert found.nfe == 5 * a_step
        if factor is not None:
            assert found.state.item() == pytest.approx(factor, rel=1e-6)
    probed = integrate_with_divergence(
        lambda t, z: z, x, start, end, Solver(method, steps=5), basis_probes(1, 1, x)
    )
    assert probed.nfe == 5 * a_step
    assert probed.divergence.item() == pytest.approx(0.64)


def test_a_flow_counts_the_evaluations_of_all_its_blocks() -> None:
    flow = a_flow(2)
    flow.solver = Solver("midpoint", steps=3)
    w, a = double(1, D), double(1, A)
    assert flow.encode(w, a).nfe == flow.decode(w, a).nfe == 2 * 3 * 2
    assert Solver() == ("rk4", 4, 1e-5)


def test_the_tolerance_of_an_adaptive_solver_is_its_error() -> None:
    flow, w, a = a_flow(1), double(3, D, seed=4), double(3, A, seed=5)
    exact, errors = flow.encode(w, a).codes, []
    for tolerance in (1e-2, 1e-6):
        flow.solver = Solver("dopri5", tolerance=tolerance)
        errors.append(float((flow.encode(w, a).codes - exact).abs().max()))
    assert errors[1] < 1e-4
    assert errors[0] > 20 * errors[1]


def test_a_state_far_below_the_tolerance_is_solved_in_fewer_evaluations() -> None:
    """The tolerance is absolute too: of a state of 0.01, a millionth is 1e-4."""
    solver, ends = Solver("dopri5", tolerance=1e-6), double(2)
    ends[0], ends[1] = 0, 1

    def turning(t: Tensor, z: Tensor) -> Tensor:
        return 20 * torch.stack([-z[:, 1], z[:, 0]], 1)

    z = torch.tensor([[1.0, 0.0], [0.6, 0.8]], dtype=torch.float64)
    large, small = (integrate(turning, s * z, *ends, solver) for s in (1.0, 0.01))
    turned = torch.tensor([[np.cos(20), np.sin(20)]], dtype=torch.float64)
    assert torch.allclose(large.state[:1], turned, atol=1e-3)
    assert small.nfe < large.nfe / 2


def test_the_base_is_a_standard_normal() -> None:
    z = double(5, 3)
    wanted = multivariate_normal(np.zeros(3)).logpdf(z.numpy())
    assert np.allclose(standard_normal_log_prob(z), wanted)


# --- the coupling flow


def test_a_coupling_moves_one_half_by_what_its_network_says_of_the_other() -> None:
    order = torch.tensor([3, 0, 4, 2, 1])
    layer = AffineCoupling(order, A, 7).double()
    scrambled(layer, size=1.0)
    x, a = double(6, 5, seed=1), double(6, A, seed=2)
    found, log_det = layer.encode(x, a)
    kept = x.numpy()[:, [3, 0]]
    h = np.concatenate([kept, a.numpy()], 1)
    p = {k: v.detach().numpy() for k, v in layer.state_dict().items()}
    for i in (0, 2, 4):
        h = h @ p[f"net.{i}.weight"].T + p[f"net.{i}.bias"]
        h = h * expit(h) if i < 4 else h
    scale, shift = 2 * np.tanh(h[:, :3] / 2), h[:, 3:]
    wanted = np.concatenate([kept, x.numpy()[:, [4, 2, 1]] * np.exp(scale) + shift], 1)
    assert np.allclose(found.detach(), wanted, atol=1e-10)
    assert np.allclose(log_det.detach(), scale.sum(1))
    assert np.allclose(layer.decode(found, a).detach(), x, atol=1e-10)


@pytest.mark.parametrize("whiten", [False, True])
def test_the_coupling_flow_starts_as_its_norm_and_its_density_is_gaussian(whiten: bool) -> None:
    flow = CouplingFlow(5, A, 7, 3, whiten)
    mixing, mean = double(5, 5, seed=3), double(5, seed=4)
    covariance = mixing @ mixing.T + torch.eye(5)
    flow.start(mean, covariance)
    w, a = (mean + double(6, 5) @ mixing.T).float(), double(6, A).float()
    spread = covariance.numpy() if whiten else np.diag(covariance.diagonal().numpy() + 1e-4)
    wanted = multivariate_normal(mean.numpy(), spread).logpdf(w.numpy())
    assert np.allclose(flow.log_prob(w, a).detach(), wanted, atol=1e-3)
    assert flow.encode(w, a).nfe == flow.decode(w, a).nfe == 3
    assert isinstance(flow.norm, Whitening if whiten else MovingBatchNorm)


def test_layers_of_a_coupling_flow_move_different_halves() -> None:
    orders = [layer.order.tolist() for layer in CouplingFlow(8, A, 4, 6).layers]  # type: ignore[operator]
    assert all(sorted(order) == list(range(8)) for order in orders)
    assert len({tuple(sorted(order[:4])) for order in orders}) > 3
    again = [layer.order.tolist() for layer in CouplingFlow(8, A, 4, 6).layers]  # type: ignore[operator]
    assert again == orders
    assert CouplingFlow(7, A, 4, 1).layers[0].kept == 3


# --- what a flow is trained for


@pytest.mark.parametrize("coupling", ["independent", "optimal-transport"])
def test_flow_matching_regresses_the_straight_velocity_from_codes_to_noise(coupling: Any) -> None:
    flow, w, a = a_flow(1, whiten=True), double(7, D, seed=4), double(7, A, seed=5)
    objective = FlowMatching(coupling)
    found = objective.loss(flow, objective.prepared(flow, w), a, rng(11))
    drawn = rng(11)
    z = torch.randn(7, D, generator=drawn).double().numpy()
    state = {k: v.numpy() for k, v in flow.state_dict().items()}
    matrix, _, _ = first_scale(state)
    x = (w.numpy() - state["norms.0.mean"]) @ matrix.T
    if coupling == "optimal-transport":
        z = z[linear_sum_assignment(cdist(x, z) ** 2)[1]]
    t = torch.rand(7, 1, generator=drawn).double().numpy()
    at = (1 - t) * x + t * z
    pairs = zip(t[:, 0], at, a.numpy(), strict=True)
    velocity = np.stack([field(state, 0, float(s), y, c) for s, y, c in pairs])
    wanted = ((velocity - (z - x)) ** 2).mean()
    assert found.item() == pytest.approx(wanted, rel=1e-5)


def test_optimal_pairs_are_the_least_squared_distances() -> None:
    """On a line the order decides; plain distances would leave ties."""
    x = torch.tensor([[0.0], [1.0], [2.0]])
    z = torch.tensor([[2.5], [0.4], [1.1]])
    assert optimal_pairs(x, z).tolist() == [1, 2, 0]


@pytest.mark.parametrize("trace", ["exact", "hutchinson"])
def test_the_likelihood_is_the_mean_density_per_dimension(trace: Any) -> None:
    flow, w, a = a_flow(1), double(3, D, seed=4), double(3, A, seed=5)
    found = Likelihood(trace).loss(flow, w, a, rng(12)).item()
    probes = torch.randn(1, 3, D, generator=rng(12)).double().numpy()[0]
    given = [None] * 3 if trace == "exact" else list(probes)
    rows = zip(w.numpy(), a.numpy(), given, strict=True)
    wanted = -np.mean([by_hand(flow, *row)[1] for row in rows]) / D
    assert found == pytest.approx(wanted, abs=1e-5)
    coupling = CouplingFlow(D, A, 5, 2).double()
    loss = Likelihood().loss(coupling, w, a, rng(0)).item()
    assert loss == pytest.approx(-coupling.log_prob(w, a).mean().item() / D)


def test_measured_densities_draw_standard_normal_probes() -> None:
    flow, w, a = a_flow(1), double(2, D, seed=4), double(2, A, seed=5)
    found = log_likelihood(flow, w, a, rng(13), probes=3)
    probes = torch.randn(3, 2, D, generator=rng(13)).double()
    for row in range(2):
        each = [by_hand(flow, w[row].numpy(), a[row].numpy(), p[row].numpy())[1] for p in probes]
        assert float(found[row]) == pytest.approx(np.mean(each), abs=1e-5)
    many = noise(100, 1000, rng=rng(1), like=w)
    assert many.dtype == torch.float64
    assert many.square().mean().item() == pytest.approx(1, abs=0.02)
    assert (many**4).mean().item() == pytest.approx(3, abs=0.15)


# --- training


class Point(CouplingFlow):
    """One number; its loss draws it to 3, and its "density" is what it is."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.dim = 1
        self.theta = nn.Parameter(torch.tensor([0.0, 1.0], dtype=torch.float64))

    def log_prob(self, w: Tensor, a: Tensor) -> Tensor:
        return self.theta[0] + 0 * w[:, 0]


class Watched(Objective):
    """A quadratic of the codes; notes every call; told what to say of held-out codes."""

    def __init__(self, told: list[float] | None = None) -> None:
        self.told = told
        self.trained: list[tuple[list[int], int]] = []
        self.measured: list[tuple[list[int], int, list[float]]] = []

    def loss(self, flow: Any, w: Tensor, a: Tensor, rng: torch.Generator) -> Tensor:
        rows, seed = [round(x) for x in w[:, 0].tolist()], rng.initial_seed()
        scale = torch.tensor([1.0, 5.0], dtype=torch.float64)
        found: Tensor = (scale * (flow.theta - w[:, 1:3].mean(0)).square()).sum()
        if torch.is_grad_enabled():
            self.trained.append((rows, seed))
            return found
        self.measured.append((rows, seed, flow.theta.tolist()))
        if self.told is not None:
            return torch.tensor(self.told[len(self.measured) - 1])
        return found


PLAN = Plan(
    steps=30,
    batch=6,
    learning_rate=0.1,
    ema=0.6,
    clip=2.0,
    validation_share=0.2,
    evaluations=10,
    patience=99,
    warmup=4,
)


def numbered(n: int = 40) -> Split:
    """Codes whose first number is their row."""
    codes = double(n, 3, seed=3)
    codes[:, 1] += 3
    codes[:, 0] = torch.arange(n)
    return Split("w", SCHEMA, ((codes, double(n, A, seed=4)),))


def trainer(objective: Objective, **changes: Any) -> Trainer:
    data, runtime = numbered(), changes.pop("runtime", Runtime(seed=7))
    still, plan = Condition(torch.zeros(A), torch.ones(A)), replace(PLAN, **changes)
    rows = HeldOut.of(data, plan, runtime)
    return Trainer(Point(), objective, still, plan, data, rows, runtime)


def adam_by_hand(
    batches: list[list[int]], plan: Plan, start: Array
) -> tuple[list[Array], list[Array]]:
    """Clipped gradients, warm-up and half a cosine, Adam, and averages after every step."""
    codes = numbered().codes.numpy()
    p, average = start.copy(), start.copy()
    m, v, path, averages = np.zeros(2), np.zeros(2), [], []
    for step, rows in enumerate(batches):
        g = 2 * np.array([1.0, 5.0]) * (p - codes[rows, 1:3].mean(0))
        g = g * min(1.0, plan.clip / (np.linalg.norm(g) + 1e-6))
        if step < plan.warmup:
            rate = (step + 1) / plan.warmup
        else:
            rate = 0.5 + 0.5 * math.cos(math.pi * (step - plan.warmup) / (plan.steps - plan.warmup))
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        up, down = m / (1 - 0.9 ** (step + 1)), v / (1 - 0.999 ** (step + 1))
        p = p - plan.learning_rate * rate * up / (np.sqrt(down) + 1e-8)
        decay = min(plan.ema, (step + 1) / (step + 11))
        average = decay * average + (1 - decay) * p
        path.append(p)
        averages.append(average)
    return path, averages


@pytest.mark.parametrize("clip", [2.0, 1e9])
def test_training_is_adam_by_hand_and_keeps_the_average_with_the_least_loss(clip: float) -> None:
    objective = Watched()
    one = trainer(objective, clip=clip)
    figures = one.train()
    _, averages = adam_by_hand(
        [rows for rows, _ in objective.trained], replace(PLAN, clip=clip), np.array([0.0, 1.0])
    )
    assert len(objective.trained) == 30
    held = numbered().codes.numpy()[objective.measured[0][0], 1:3].mean(0)
    losses = [float((np.array([1, 5]) * (q - held) ** 2).sum()) for q in averages[2::3]]
    assert [theta for *_, theta in objective.measured] == [
        pytest.approx(q.tolist(), abs=1e-6) for q in averages[2::3]
    ]
    best = int(np.argmin(losses))
    assert figures == {
        "steps": 30.0,
        "held_out_loss": pytest.approx(losses[best], rel=1e-5),
    }
    theta = one.flow.state_dict()["theta"]
    assert np.allclose(theta, averages[2::3][best], atol=1e-6)
    assert not any(p.requires_grad for p in one.flow.parameters())
    assert not one.flow.training


class Prepared(Watched):
    """Notes how many codes were prepared at a time, and sees them with their numbers moved."""

    def __init__(self) -> None:
        super().__init__()
        self.together: list[int] = []

    def prepared(self, flow: Any, w: Tensor) -> Tensor:
        self.together.append(len(w))
        return w + 100


def test_codes_are_prepared_once_or_batch_by_batch_where_they_are_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    once, by_batch = Prepared(), Prepared()
    trainer(once).train()
    monkeypatch.setattr("latentedit_styleflow.training.PREPARED_BYTES", 40 * 3 * 8 - 1)
    trainer(by_batch).train()
    assert once.together == [40]
    assert by_batch.together == [n for _ in range(10) for n in (6, 6, 6, 4)]
    assert once.trained == by_batch.trained
    assert once.measured == by_batch.measured
    plain = Watched()
    trainer(plain).train()
    assert once.trained == [([row + 100 for row in rows], seed) for rows, seed in plain.trained]


def test_held_out_codes_are_never_trained_on_and_the_others_once_an_epoch() -> None:
    objective = Watched()
    one = trainer(objective)
    one.train()
    stopping, measured = one.rows.stopping.tolist(), one.rows.measured.tolist()
    held = {*stopping, *measured}
    assert (len(stopping), len(measured), len(held)) == (4, 4, 8)
    assert held.isdisjoint(one.rows.kept.tolist())
    assert len(one.rows.kept) == 32
    batches = [rows for rows, _ in objective.trained]
    assert all(rows == stopping for rows, *_ in objective.measured)
    assert held.isdisjoint(row for rows in batches for row in rows)
    epochs = [[row for rows in batches[i : i + 5] for row in rows] for i in range(0, 30, 5)]
    assert all(len(set(epoch)) == 30 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 6
    assert all(len(rows) == 6 for rows in batches)


def test_noise_differs_by_step_and_is_the_same_at_every_evaluation() -> None:
    runs = []
    for seed in (7, 7, 8):
        objective = Watched()
        trainer(objective, runtime=Runtime(seed=seed)).train()
        runs.append(objective)
    assert len({seed for _, seed in runs[0].trained}) == 30
    assert len({seed for _, seed, _ in runs[0].measured}) == 1
    assert {seed for _, seed, _ in runs[0].measured}.isdisjoint(s for _, s in runs[0].trained)
    assert runs[0].trained == runs[1].trained
    assert runs[0].measured == runs[1].measured
    assert runs[0].trained[0] != runs[2].trained[0]
    assert set(runs[0].measured[0][0]) != set(runs[2].measured[0][0])
    assert runs[0].measured[0][1] != runs[2].measured[0][1]


def test_the_best_of_all_evaluations_is_kept_and_patience_counts_since_it() -> None:
    objective = Watched([5.0, 3.0, 4.0, 3.0, 3.5, 1.0])
    told: list[tuple[float, str]] = []
    one = trainer(
        objective, patience=3, runtime=Runtime(seed=7, progress=lambda *at: told.append(at))
    )
    assert one.train() == {"steps": 15.0, "held_out_loss": 3.0}
    assert one.flow.state_dict()["theta"].tolist() == objective.measured[1][2]
    assert [fraction for fraction, _ in told] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    nats = objective.measured[1][2][0]
    assert told[1][1] == f"held-out loss 3.0000, log-likelihood {nats:.1f} nats"


def test_the_last_step_is_evaluated_even_between_evaluations() -> None:
    objective = Watched([5.0, 4.0, 3.0, 2.0])
    assert trainer(objective, steps=10, evaluations=3).train()["held_out_loss"] == 2.0
    assert len(objective.measured) == 4
    many = Watched([9.0 - i for i in range(4)])
    trainer(many, steps=4, evaluations=50).train()
    assert len(many.measured) == 4


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_training_with_a_remedy(value: float) -> None:
    with pytest.raises(InputError, match=r"held-out loss is (nan|inf) after 6 steps; lower"):
        trainer(Watched([1.0, value])).train()


@pytest.mark.parametrize(
    ("n", "share", "held"), [(40, 0.2, 8), (40, 0.01, 2), (3000, 0.5, 256), (4, 0.5, 2)]
)
def test_the_share_held_out_has_a_least_and_a_largest_size(n: int, share: float, held: int) -> None:
    plan = replace(PLAN, validation_share=share)
    rows = HeldOut.of(numbered(n), plan, Runtime())
    assert len(rows.stopping) == len(rows.measured) == held // 2
    assert len(rows.kept) == n - held
    with pytest.raises(InputError, match="at least 4 codes to fit, received 3"):
        HeldOut.of(numbered(3), plan, Runtime())


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    trainer(Watched(), runtime=Runtime(seed=7, checkpoint=tmp_path)).train()
    same = Watched()
    found = trainer(same, runtime=Runtime(seed=7, checkpoint=tmp_path)).train()
    assert same.trained == []
    assert found["steps"] == 30


def test_a_changed_checkpoint_is_refused_by_name(tmp_path: Path) -> None:
    trainer(Watched(), runtime=Runtime(seed=7, checkpoint=tmp_path)).train()
    file = tmp_path / "training.safetensors"
    tensors = read_tensors(file)
    write_tensors(file, {name: t for name, t in tensors.items() if name != "numbers"})
    with pytest.raises(InputError, match=r"training\.safetensors does not hold .*Remove it"):
        trainer(Watched(), runtime=Runtime(seed=7, checkpoint=tmp_path)).train()


def test_a_condition_is_standard_scores_and_zero_where_nothing_varies() -> None:
    condition = Condition(torch.tensor([10.0, 2.0, 1.0]), torch.tensor([4.0, 0.0, 0.5]))
    found = condition(torch.tensor([[12.0, 9.0, 0.0], [2.0, 2.0, 1.0]]))
    assert found.tolist() == [[0.5, 0.0, -2.0], [-2.0, 0.0, 0.0]]


# --- editors


def bank(n: int = 300) -> Split:
    """Two shards; attributes with means and deviations of their own."""
    codes = (double(n, D, seed=1) @ double(D, D, seed=2) + 5).float()
    attributes = (
        double(n, A, seed=3) * torch.tensor([12.0, 0.3]) + torch.tensor([40.0, -2.0])
    ).float()
    half = n // 3
    return Split(
        "w", SCHEMA, ((codes[:half], attributes[:half]), (codes[half:], attributes[half:]))
    )


def loaded(gains: Any = "none", **options: Any) -> tuple[StyleFlow, ContinuousFlow]:
    """A StyleFlow with a flow that is far from the identity, and that flow in double precision."""
    flow = a_flow(1, whiten=True)
    editor = StyleFlow(StyleFlow.Options(hidden=(5,), solver_steps=20, **options))
    state = {f"flow.{k}": v.float() for k, v in flow.state_dict().items()}
    condition = {
        "condition.mean": torch.tensor([40.0, -2.0]),
        "condition.std": torch.tensor([12.0, 0.3]),
    }
    rest = {"columns": torch.tensor([0, 1]), "gains": torch.tensor([2.0, 1.0])}
    editor.load_state({**state, **condition, **rest})
    return editor, flow


def scores(a: Array) -> Array:
    found: Array = (a - np.array([40.0, -2.0])) / np.array([12.0, 0.3])
    return found


def test_an_edit_encodes_under_the_source_and_decodes_under_the_multiplied_change() -> None:
    editor, flow = loaded()
    codes, source = bank(5).codes / 5, bank(5).attributes
    target = source + torch.tensor([[6.0, 0.1]] * 4 + [[0.0, 0.0]])
    edited = editor.edit(codes, source, target, Runtime())
    assert torch.equal(edited.codes[4], codes[4])
    assert edited.ok is not None
    assert edited.ok.tolist() == [True] * 5
    assert edited.nfe == 2 * 4 * 20
    for row in range(4):
        w, a = codes[row].double().numpy(), source[row].double().numpy()
        z, _ = by_hand(flow, w, scores(a))
        wanted = back_by_hand(flow, z, scores(a + np.array([2.0, 1.0]) * np.array([6.0, 0.1])))
        assert np.allclose(edited.codes[row], wanted, atol=2e-3)
        assert np.abs(wanted - w).max() > 0.1


def test_an_editors_density_is_that_of_its_flow_under_seeded_probes() -> None:
    editor, flow = loaded()
    codes, source = bank(1).codes / 5, bank(1).attributes
    found = editor.log_prob(codes, source, Runtime(seed=2), probes=2).item()
    probes = torch.randn(2, 1, D, generator=Runtime(seed=2).rng(3)).double().numpy()
    w, a = codes[0].double().numpy(), scores(source[0].double().numpy())
    wanted = np.mean([by_hand(flow, w, a, probe[0])[1] for probe in probes])
    assert found == pytest.approx(wanted, abs=5e-3)


def test_samples_decode_seeded_normal_noise_under_the_attributes_asked_for() -> None:
    editor, flow = loaded()
    wanted = torch.tensor([[52.0, -2.3], [28.0, -2.0]])
    found = editor.sample(wanted, Runtime(seed=2))
    base = torch.randn(2, D, generator=Runtime(seed=2).rng(4))
    for row in range(2):
        by = back_by_hand(flow, base[row].double().numpy(), scores(wanted[row].double().numpy()))
        assert np.allclose(found[row], by, atol=2e-3)


def test_transfer_takes_columns_of_another_face() -> None:
    editor, flow = loaded()
    codes, source, other = bank(3).codes / 5, bank(3).attributes, bank(3).attributes.flip(0)
    found = editor.transfer(codes, source, other, [0])
    a, b = source[0].double().numpy(), other[0].double().numpy()
    z, _ = by_hand(flow, codes[0].double().numpy(), scores(a))
    assert np.allclose(found[0], back_by_hand(flow, z, scores(np.array([b[0], a[1]]))), atol=2e-3)


def kept(data: Split) -> Tensor:
    """Rows that a fit sees: all but one in twenty, by the seed."""
    return torch.randperm(len(data), generator=Runtime().rng(2))[len(data) // 20 :]


SMALL = {"hidden": (5,), "steps": 3, "evaluations": 1, "batch": 16}


def test_fitting_standardises_by_the_fit_split_and_starts_from_its_moments() -> None:
    data = bank()
    w, a = (part.double().numpy() for part in data.rows(kept(data)))
    design = np.column_stack([a, np.ones(len(a))])
    residuals = w - design @ np.linalg.lstsq(design, w, rcond=None)[0]
    for whiten, residual in product((True, False), repeat=2):
        left = residuals if residual else w
        editor = StyleFlow(StyleFlow.Options(**SMALL, whiten=whiten, residual=residual))
        editor.fit(data, Runtime())
        state = editor.state()
        assert ("condition.effect" in state) == residual
        assert np.allclose(state["condition.mean"], a.mean(0), rtol=1e-5)
        assert np.allclose(state["condition.std"], a.std(0), rtol=1e-4)
        if whiten:
            assert np.allclose(state["flow.norms.0.mean"], w.mean(0), atol=1e-4)
            basis, variance = state["flow.norms.0.basis"], state["flow.norms.0.variance"]
            found = (basis * variance) @ basis.T
            assert np.allclose(found, np.cov(left.T, bias=True), atol=1e-3)
        else:
            assert np.allclose(state["flow.norms.0.running_mean"], w.mean(0), atol=1e-4)
            assert np.allclose(state["flow.norms.0.running_var"], left.var(0), rtol=1e-3)
    assert state["columns"].tolist() == [0, 1]
    assert state["gains"].tolist() == [1.0, 1.0]


def test_chosen_attributes_keep_their_own_means_and_order() -> None:
    data = bank()
    a = data.attributes[kept(data)].double().numpy()
    editor = StyleFlow(StyleFlow.Options(**SMALL, attributes=("tilt", "age")))
    editor.fit(data, Runtime())
    state = editor.state()
    assert state["columns"].tolist() == [1, 0]
    assert np.allclose(state["condition.mean"], a.mean(0)[::-1], rtol=1e-5)
    again = StyleFlow(editor.options)
    again.load_state(state)
    codes, source = data.codes[:3], data.attributes[:3]
    assert torch.equal(again.encode(codes, source).codes, editor.encode(codes, source).codes)


def test_an_attribute_that_rounding_alone_varies_is_not_learned() -> None:
    data = bank()
    a = data.attributes.clone()
    a[:, 1] = 100 + 5e-5 * (a[:, 1] + 2) / 0.3
    editor = StyleFlow(StyleFlow.Options(**SMALL))
    editor.fit(Split("w", SCHEMA, ((data.codes, a),)), Runtime())
    assert (editor.state()["condition.std"] > 0).tolist() == [True, False]
    target = a[:3].clone()
    target[0, 1] += 1
    target[1, 0] += 1
    edited = editor.edit(data.codes[:3], a[:3], target, Runtime())
    assert edited.ok is not None
    assert edited.ok.tolist() == [False, True, True]


def test_options_reach_the_plan_and_the_objective(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    class Noted(Trainer):
        def __init__(self, flow: Any, objective: Any, condition: Any, plan: Plan, *rest: Any):
            seen.update(plan=plan, objective=objective)
            super().__init__(flow, objective, condition, plan, *rest)

    monkeypatch.setattr(editors, "Trainer", Noted)
    options = StyleFlow.Options(
        hidden=(5,),
        steps=2,
        batch=7,
        learning_rate=0.02,
        ema=0.5,
        clip=0.3,
        validation_share=0.11,
        evaluations=2,
        patience=5,
        objective="likelihood",
        trace="exact",
        adjoint=True,
        solver_steps=1,
    )
    StyleFlow(options).fit(bank(50), Runtime())
    assert seen["plan"] == Plan(2, 7, 0.02, 0.5, 0.3, 0.11, 2, 5, warmup=100)
    assert (seen["objective"].trace, seen["objective"].adjoint) == ("exact", True)
    StyleFlow(StyleFlow.Options(**SMALL, coupling="optimal-transport")).fit(bank(50), Runtime())
    assert seen["objective"].coupling == "optimal-transport"
    CouplingEditor(CouplingEditor.Options(hidden=4, layers=2, steps=2)).fit(bank(50), Runtime())
    assert isinstance(seen["objective"], Likelihood)


def test_the_solver_is_the_options_and_the_releases_for_its_weights() -> None:
    made = StyleFlow.Options(method="midpoint", solver_steps=7, tolerance=1e-3)
    assert made.solver == Solver("midpoint", 7, 1e-3)
    assert StyleFlow.Options(weights=Path("F")).solver.method == "dopri5"
    assert StyleFlow.Options(weights=Path("F"), method="rk4").solver.method == "rk4"
    assert StyleFlow.Options().solver == Solver("rk4", 2, 1e-5)


def test_gains_are_by_name_and_the_releases_skip_what_the_bank_has_not() -> None:
    data = bank(50)
    for gains, wanted in (("released", [0.93, 1.0]), ({"tilt": 3.0}, [1.0, 3.0]), ("none", [1, 1])):
        editor = StyleFlow(StyleFlow.Options(**SMALL, gains=gains))
        editor.fit(data, Runtime())
        assert editor.state()["gains"].tolist() == pytest.approx(wanted)
    assert RELEASED_GAINS == {
        "gender": 1.5,
        "glasses": 2.5,
        "yaw": 1.0,
        "pitch": 1.0,
        "baldness": 2.0,
        "beard": 1.7,
        "age": 0.93,
        "expression": 1.0,
    }


def test_the_stated_density_is_that_of_held_out_codes() -> None:
    data, runtime = bank(), Runtime(seed=3)
    editor = StyleFlow(StyleFlow.Options(**SMALL, validation_share=0.2))
    figures = editor.fit(data, runtime).figures
    order = torch.randperm(len(data), generator=runtime.rng(2))
    held, seen = order[30:60], data.codes[order[60:]].double().numpy()
    found = editor.log_prob(*data.rows(held), runtime).mean().item()
    assert figures["held_out_log_likelihood"] == pytest.approx(found, abs=1e-4)
    normal = multivariate_normal(seen.mean(0), np.cov(seen.T, bias=True))
    wanted = normal.logpdf(data.rows(held)[0].double().numpy()).mean()
    assert figures["held_out_log_likelihood"] == pytest.approx(wanted, abs=0.3)


def test_codes_that_measure_a_fit_have_no_part_in_it() -> None:
    """Other codes and attributes in their place change the stated density, and no weight."""
    data, runtime = bank(), Runtime(seed=3)
    measured = torch.randperm(len(data), generator=runtime.rng(2))[30:60]
    w, a = data.codes.clone(), data.attributes.clone()
    w[measured], a[measured] = 3 * w[measured] - 7, a[measured].flip(0) + 5
    fits = []
    for split in (data, Split("w", SCHEMA, ((w, a),))):
        editor = StyleFlow(StyleFlow.Options(**SMALL, validation_share=0.2))
        fits.append((editor.fit(split, runtime).figures, editor.state()))
    (figures, state), (other_figures, other) = fits
    for name, value in state.items():
        if name != "flow.norms.0.basis":  # its columns have no sign
            assert torch.allclose(value, other[name], rtol=1e-3, atol=1e-3), name
    assert figures["held_out_loss"] == pytest.approx(other_figures["held_out_loss"], rel=1e-3)
    assert figures["held_out_log_likelihood"] > other_figures["held_out_log_likelihood"] + 5


def test_the_seed_alone_decides_the_first_weights() -> None:
    fits = []
    for seed, luck in ((1, 0), (1, 5), (2, 0)):
        editor = StyleFlow(StyleFlow.Options(**SMALL))
        with torch.random.fork_rng():
            torch.manual_seed(luck)
            editor.fit(bank(60), Runtime(seed=seed))
        fits.append(editor.state()["flow.blocks.0.field.layers.0.linear.weight"])
    assert torch.equal(fits[0], fits[1])
    assert not torch.allclose(fits[0], fits[2], atol=1e-2)


def test_an_editor_without_a_flow_says_so() -> None:
    with pytest.raises(NotFitted, match="StyleFlow is not fitted"):
        StyleFlow().edit(torch.zeros(1, D), torch.zeros(1, A), torch.zeros(1, A), Runtime())


def test_moments_are_numpys_far_from_the_origin_and_over_slices() -> None:
    w = 1000 + double(9000, 3, seed=1) @ double(3, 3, seed=2)
    a = double(9000, A, seed=3) * 7 - 50
    data = Split("w", SCHEMA, ((w[:5000], a[:5000]), (w[5000:], a[5000:])))
    found = moments(data)
    assert np.allclose(found.mean, w.numpy().mean(0), rtol=1e-6)
    assert np.allclose(found.covariance, np.cov(w.numpy().T, bias=True), rtol=1e-4, atol=1e-4)
    assert np.allclose(found.attribute_mean, a.numpy().mean(0), rtol=1e-6)
    assert np.allclose(found.variance, a.numpy().var(0), rtol=1e-4)


def test_moments_without_a_part_are_those_of_the_others() -> None:
    w, a = 1000 + double(300, 3, seed=1) @ double(3, 3, seed=2), double(300, A, seed=3) * 7 - 50
    a[:, 1] = torch.where(torch.arange(300) < 80, a[:, 1], 4.0)
    data = Split("w", SCHEMA, ((w, a),))
    part, rest = (data.take(rows) for rows in (torch.arange(80), torch.arange(80, 300)))
    found, wanted = moments(data).without(moments(part)), moments(rest)
    assert found.n == wanted.n == 220
    for field in fields(wanted):
        if field.name != "n":
            pair = (getattr(found, field.name), getattr(wanted, field.name))
            assert torch.allclose(*pair, rtol=1e-9, atol=1e-8), field.name
    assert found.variance[1] == 0


# --- released files


def test_released_names_and_shapes_are_read_back_into_the_same_map(tmp_path: Path) -> None:
    flow = a_flow(2)
    state = to_released(flow)
    assert state["chain.2.step"].shape == (1,)
    assert state["chain.3.odefunc._num_evals"].shape == ()
    assert torch.equal(
        state["chain.3.odefunc.diffeq.layers.1._hyper_gate.bias"],
        flow.state_dict()["blocks.1.field.layers.1.gate.bias"],
    )
    assert torch.equal(state["chain.4.running_var"], flow.state_dict()["norms.2.running_var"])
    assert torch.equal(state["chain.1.sqrt_end_time"], flow.state_dict()["blocks.0.sqrt_end_time"])
    again = from_released(state, FINE)
    w, a = double(2, D, seed=4), double(2, A, seed=5)
    assert torch.equal(again.encode(w, a).codes, flow.encode(w, a).codes)
    assert from_released(state).solver == Solver("dopri5")
    assert flow_of(flow.state_dict(), FINE).hidden == (5,)
    torch.save(state, tmp_path / "f.pt")
    parameters = 2 * sum((o * i + o) + (3 * o + o) + 3 * o for i, o in ((D, 5), (5, D))) + 2
    told = str(import_checkpoint(tmp_path / "f.pt", tmp_path / "F"))
    assert "2 block(s) over codes of 4 numbers under 2 attribute columns, hidden layers 5, " in told
    assert f"{parameters:,} parameters" in told
    assert "CC BY-NC-SA 4.0" in told


def test_imported_flows_take_raw_values_and_are_told_the_releases_order(tmp_path: Path) -> None:
    torch.save(to_released(a_flow(1)), tmp_path / "f.pt")
    import_checkpoint(tmp_path / "f.pt", tmp_path / "F")
    options = StyleFlow.Options(weights=tmp_path / "F", attributes=("tilt", "age"))
    editor, data = StyleFlow(options), bank(300)
    figures = editor.fit(data, Runtime(seed=1)).figures
    assert editor.state()["condition.mean"].tolist() == [0, 0]
    assert editor.state()["condition.std"].tolist() == [1, 1]
    z = editor.encode(data.codes[:1], data.attributes[:1]).codes[0]
    wanted, _ = by_hand(
        a_flow(1), data.codes[0].double().numpy(), data.attributes[0].double().numpy()[::-1]
    )
    assert np.allclose(z, wanted, rtol=1e-3, atol=1e-3)
    first = editor.log_prob(data.codes[:256], data.attributes[:256], Runtime(seed=1)).mean()
    assert list(figures) == ["held_out_log_likelihood"]
    assert figures["held_out_log_likelihood"] == pytest.approx(first.item(), rel=1e-5)
    assert RELEASED_CONDITION == (
        "lighting",
        "gender",
        "glasses",
        "yaw",
        "pitch",
        "baldness",
        "beard",
        "age",
        "expression",
    )
