"""Editors with networks, and descent through the generator, against loops written by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor, nn

from latentedit import (
    Attribute,
    AttributeSchema,
    Generator,
    InputError,
    NotFitted,
    Runtime,
    Split,
    Unsupported,
)
from latentedit_neural.generator_optimization import GeneratorOptimization
from latentedit_neural.latent_transformer import LatentTransformer
from latentedit_neural.regressor import RegressorOptions, Scale, network, train_regressor
from latentedit_neural.surrogate_gradient import SurrogateGradient

Array = NDArray[np.float64]
D, A, N = 5, 3, 60
SCHEMA = AttributeSchema(
    (Attribute("age", "continuous", -99, 99), Attribute("light", "vector", -99, 99, size=2))
)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def data() -> Split:
    w = normal(N, D, seed=1) @ normal(D, D, seed=2) + 3
    y = (w @ normal(D, A, seed=3)).tanh() * torch.tensor([10.0, 1.0, 0.2]) + 4
    y = y + 0.3 * normal(N, A, seed=4)
    return Split("w", SCHEMA, ((w[:25], y[:25]), (w[25:], y[25:])))


DATA = data()
W, Y = DATA.codes.double().numpy(), DATA.attributes.double().numpy()


def scale() -> Scale:
    found = Scale(D, A)
    found.take(DATA.codes, DATA.attributes)
    return found


def forward(state: Mapping[str, Tensor], x: Array, prefix: str = "") -> Array:
    """Two hidden layers with x σ(x) after each."""
    for i in (0, 2, 4):
        weight = state[f"{prefix}{i}.weight"].double().numpy()
        x = x @ weight.T + state[f"{prefix}{i}.bias"].double().numpy()
        x = x * expit(x) if i < 4 else x
    return x


def clones(parameters: Any) -> list[Tensor]:
    return [p.detach().clone() for p in parameters]


class HandAdam:
    """Adam with half a cosine, and decoupled weight decay."""

    def __init__(self, parameters: list[Tensor], rate: float, steps: int, decay: float) -> None:
        self.p, self.rate, self.steps, self.decay, self.t = parameters, rate, steps, decay, 0
        self.seen = [0] * len(parameters)
        self.m = [torch.zeros_like(p) for p in parameters]
        self.v = [torch.zeros_like(p) for p in parameters]

    @torch.no_grad()
    def step(self, gradients: list[Tensor | None]) -> None:
        rate = self.rate * (0.5 + 0.5 * math.cos(math.pi * self.t / self.steps))
        self.t += 1
        for i, (p, g) in enumerate(zip(self.p, gradients, strict=True)):
            if g is None:
                continue
            self.seen[i] += 1
            p.mul_(1 - rate * self.decay)
            self.m[i] = 0.9 * self.m[i] + 0.1 * g
            self.v[i] = 0.999 * self.v[i] + 0.001 * g**2
            up, down = (
                self.m[i] / (1 - 0.9 ** self.seen[i]),
                self.v[i] / (1 - 0.999 ** self.seen[i]),
            )
            p.sub_(rate * up / (down.sqrt() + 1e-8))


def test_codes_are_whitened_and_attributes_standardised() -> None:
    found = scale()
    x = found.encode(DATA.codes)
    assert np.allclose(x.mean(0), 0, atol=1e-4)
    assert np.allclose(np.cov(x.numpy().T), np.eye(D), atol=1e-3)
    assert np.allclose(found.decode(x), W, atol=1e-4)
    assert np.allclose(found.mean, W.mean(0), atol=1e-5)
    wanted = (Y - Y.mean(0)) / Y.std(0, ddof=1)
    assert np.allclose(found.scores(DATA.attributes), wanted, atol=1e-4)
    change, ok = found.change(torch.zeros(1, A), torch.tensor([[2.0, 0.0, -1.0]]))
    assert np.allclose(change, np.array([2.0, 0, -1]) / Y.std(0, ddof=1), rtol=1e-4)
    assert ok.tolist() == [True]


def test_what_does_not_vary_has_no_scores_and_codes_have_a_least_variance() -> None:
    flat = torch.stack([normal(50, seed=1) * 100, 0 * normal(50), normal(50, seed=2)], 1)
    labels = torch.stack([normal(50, seed=3), torch.full((50,), 9.0) + 5e-6 * normal(50)], 1)
    found = Scale(3, 2)
    found.take(flat, labels)
    deviation = flat[:, 0].std().item()
    step = found.encode(flat[:1] + torch.tensor([[0.0, 1.0, 0.0]])) - found.encode(flat[:1])
    assert step.norm().item() == pytest.approx(1 / (1e-3 * deviation), rel=1e-3)
    assert (found.a_std > 0).tolist() == [True, False]
    assert found.scores(labels)[:, 1].abs().max() == 0
    asked = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    change, ok = found.change(torch.zeros(3, 2), asked)
    assert ok.tolist() == [True, False, True]
    assert change[:, 1].tolist() == [0, 0, 0]


def test_networks_have_two_smooth_hidden_layers() -> None:
    net = network(D, A, 7)
    x = normal(4, D)
    assert [p.shape for p in net.parameters()] == [(7, D), (7,), (7, 7), (7,), (A, 7), (A,)]
    assert np.allclose(net(x).detach(), forward(net.state_dict(), x.double().numpy()), atol=1e-5)


OPTIONS = RegressorOptions(hidden=4, steps=30, batch=8, learning_rate=0.05, weight_decay=0.3)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_regressor_is_trained_as_by_hand_and_the_best_of_its_evaluations(seed: int) -> None:
    told: list[tuple[float, str]] = []
    runtime = Runtime(seed=seed, progress=lambda *at: told.append(at))
    net, explained = train_regressor(scale(), DATA, OPTIONS, runtime)
    x = scale().encode(DATA.codes)
    y = torch.from_numpy((Y - Y.mean(0)) / Y.std(0, ddof=1)).float()
    order = torch.randperm(N, generator=runtime.rng(1))
    test, kept = order[:6], order[6:]
    with torch.random.fork_rng():
        torch.manual_seed(runtime.rng(2).initial_seed())
        mine = network(D, A, 4)
    adam, errors, states = HandAdam(list(mine.parameters()), 0.05, 30, 0.3), [], []
    drawn = runtime.rng(3)
    for _ in range(30):
        rows = kept[torch.randint(len(kept), (8,), generator=drawn)]
        loss = (mine(x[rows]) - y[rows]).square().mean()
        adam.step(list(torch.autograd.grad(loss, list(mine.parameters()))))
        errors.append(((mine(x[test]) - y[test]) ** 2).mean().item())
        states.append({k: v.clone() for k, v in mine.state_dict().items()})
    best = int(np.argmin(errors))
    for name, value in net.state_dict().items():
        assert torch.allclose(value, states[best][name], atol=1e-4), name
    wanted = 1 - errors[best] / y[test].var(0).mean().item()
    assert explained == pytest.approx(wanted, abs=1e-4)
    assert [fraction for fraction, _ in told] == pytest.approx([(i + 1) / 30 for i in range(30)])
    assert told[best][1] == f"regressor, held-out error {errors[best]:.3f}"
    assert not any(p.requires_grad for p in net.parameters())


def test_evaluations_are_twenty_and_the_last_step() -> None:
    told: list[float] = []
    runtime = Runtime(progress=lambda fraction, message: told.append(fraction))
    train_regressor(scale(), DATA, OPTIONS.model_copy(update={"steps": 43}), runtime)
    assert told == pytest.approx([2 * (i + 1) / 43 for i in range(21)] + [1.0])


def state_of(net: nn.Module) -> dict[str, Tensor]:
    found = scale()
    if isinstance(net, nn.Sequential):
        with torch.no_grad():
            for p in net.parameters():
                p.mul_(2)
    parts = {"net": net, "scale": found}
    return {f"{p}.{k}": v for p, part in parts.items() for k, v in part.state_dict().items()}


def seeded(dim: int, width: int, hidden: int, seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return network(dim, width, hidden)


@pytest.mark.parametrize(("walk", "ridge"), [(1, 1e-3), (4, 0.2)])
def test_a_walk_is_projected_gradient_steps_by_exact_jacobians(walk: int, ridge: float) -> None:
    editor = SurrogateGradient(SurrogateGradient.Options(hidden=6, walk=walk, ridge=ridge))
    net = seeded(D, A, 6)
    editor.load_state(state_of(net))
    double = seeded(D, A, 6).double()
    double.load_state_dict({k: v.double() for k, v in net.state_dict().items()})
    codes, source = DATA.codes[:4], DATA.attributes[:4]
    asked = torch.tensor([[3.0, 0, 0], [0, 0.4, 0.2], [-5.0, 0.1, 0], [0, 0, 0]])
    edited = editor.edit(codes, source, source + asked, Runtime())
    found = scale()
    whitening, colouring = found.whitening.double(), found.colouring.double()
    for row in range(4):
        x = (codes[row].double() - found.mean.double()) @ whitening
        start = x
        goal = double(x).detach() + asked[row].double() / found.a_std.double()
        for i in range(walk):
            j = torch.autograd.functional.jacobian(double, x)
            inverse = torch.linalg.inv(j @ j.T + ridge * torch.eye(A, dtype=torch.float64))
            x = x + j.T @ inverse @ (goal - double(x).detach()) / (walk - i)
        wanted = codes[row].double() + (x - start) @ colouring
        assert torch.allclose(edited.codes[row].double(), wanted, atol=2e-3), row
    assert torch.equal(edited.codes[3], codes[3])
    assert edited.ok is not None
    assert (edited.ok.tolist(), edited.nfe) == ([True] * 4, walk)


def test_a_transformers_move_is_the_sum_of_its_networks_by_the_change() -> None:
    editor = LatentTransformer(LatentTransformer.Options(transformer_hidden=6))
    nets = nn.ModuleList(seeded(D, D, 6, seed=k) for k in range(A))
    state = state_of(nets)
    editor.load_state(state)
    codes, source = DATA.codes[:4], DATA.attributes[:4]
    asked = torch.tensor([[3.0, 0, 0], [0, 0.4, 0.2], [-5.0, 0.1, 0], [0, 0, 0]])
    edited = editor.edit(codes, source, source + asked, Runtime()).codes
    found = scale()
    x = (codes.double() - found.mean.double()).numpy() @ found.whitening.double().numpy()
    change = asked.double().numpy() / Y.std(0, ddof=1)
    move = sum(change[:, k, None] * forward(state, x, f"net.{k}.") for k in range(A))
    wanted = codes.double().numpy() + move @ found.colouring.double().numpy()
    assert np.allclose(edited, wanted, atol=1e-3)


@pytest.mark.parametrize(("preserve", "distance"), [(1.0, 0.05), (4.0, 0.5)])
def test_transformers_are_trained_as_by_hand(preserve: float, distance: float) -> None:
    options = LatentTransformer.Options(
        hidden=4,
        steps=10,
        batch=8,
        learning_rate=0.03,
        transformer_hidden=5,
        transformer_steps=7,
        preserve=preserve,
        distance=distance,
    )
    editor, runtime = LatentTransformer(options), Runtime(seed=3)
    stats = editor.fit(DATA, runtime)
    regressor, explained = train_regressor(scale(), DATA, options, runtime)
    assert stats.figures == {"regressor_r2": explained}
    with torch.random.fork_rng():
        torch.manual_seed(runtime.rng(4).initial_seed())
        nets = nn.ModuleList(network(D, D, 5) for _ in range(A))
    parameters = list(nets.parameters())
    adam, drawn = HandAdam(parameters, 0.03, 7, 0.0), runtime.rng(5)
    x, gamma = scale().encode(DATA.codes), torch.from_numpy(np.corrcoef(Y.T)).float()
    for step in range(7):
        rows = torch.randint(N, (8,), generator=drawn)
        delta = 4 * torch.rand(8, 1, generator=drawn) - 2
        k = step % A
        moved = x[rows] + delta * nets[k](x[rows])
        difference = regressor(moved) - regressor(x[rows])
        total = (difference[:, k] - delta[:, 0]).square().mean()
        for i in range(A):
            if i != k:
                weight = preserve * (1 - gamma[i, k].abs()) / (A - 1)
                total = total + weight * difference[:, i].square().mean()
        total = total + distance * (moved - x[rows]).square().sum(1).mean()
        adam.step(list(torch.autograd.grad(total, parameters, allow_unused=True)))
    for mine, theirs in zip(parameters, editor.net.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=2e-4)


def test_networks_that_are_not_there_or_of_another_shape_are_refused() -> None:
    for made in (SurrogateGradient, LatentTransformer):
        editor = made(made.Options(hidden=6))
        with pytest.raises(NotFitted, match="is not fitted"):
            editor.edit(torch.zeros(1, D), torch.zeros(1, A), torch.ones(1, A), Runtime())
        state = state_of(seeded(D, A, 9))
        for wrong in (state, {k: v for k, v in state.items() if "a_mean" not in k}):
            with pytest.raises(InputError, match=f"not the state of a {made.__name__}"):
                editor.load_state(wrong)


# --- descent through the generator

READ = normal(D, A, seed=6)


class Direct(Generator):
    """Images that are half of the codes."""

    spaces: Mapping[str, tuple[int, ...]] = MappingProxyType({"w": (D,)})
    resolution = 1
    fingerprint = "d" * 64

    def sample(self, n: int, seed: int, space: str = "w", truncation_psi: float = 1.0) -> Tensor:
        return normal(n, D, seed=seed)

    def convert(self, codes: Tensor, source: str, target: str) -> Tensor:
        return codes

    def synthesize(self, codes: Tensor, space: str = "w") -> Tensor:
        return codes[:, :, None, None] / 2


class Reader:
    def estimate(self, images: Tensor) -> Tensor:
        return 2 * images[:, :, 0, 0] @ READ + 1


RUNTIME = Runtime(generator=Direct(), estimator=Reader())  # type: ignore[arg-type]


def descended(
    change: Array, weight: Array, steps: int, rate: float, distance: float, pixels: float
) -> Array:
    """How far Adam, by hand, moves the codes."""
    deviation, sigma, read = W.std(0, ddof=1), Y.std(0, ddof=1), READ.double().numpy()
    x, m, v = (np.zeros((len(change), D)) for _ in range(3))
    for step in range(1, steps + 1):
        move = x * deviation
        missed = (move @ read - change) / sigma
        g = (2 * weight * missed / sigma) @ read.T + 2 * pixels * move / 4 / D
        g = g * deviation + 2 * distance * x
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        x = x - rate * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    return deviation * x


@pytest.mark.parametrize("weights", [(0.5, 0.002, 1.0), (2.0, 0.5, 0.0), (0.0, 0.0, 6.0)])
def test_descent_is_adam_by_hand_on_the_stated_sum(weights: tuple[float, float, float]) -> None:
    preserve, distance, pixels = weights
    editor = GeneratorOptimization(
        GeneratorOptimization.Options(
            steps=9, learning_rate=0.1, preserve=preserve, distance=distance, pixels=pixels
        )
    )
    editor.fit(DATA, RUNTIME)
    codes, source = DATA.codes[:4], DATA.attributes[:4].round()
    asked = torch.tensor([[3.0, 0, 0], [1, 1, 1], [-5.0, 0.1, 0], [0, 0, 0]])
    edited = editor.edit(codes, source, source + asked, RUNTIME)
    change = asked.double().numpy()
    weight = np.where(change != 0, 1.0, preserve)
    wanted = codes.double().numpy() + descended(change, weight, 9, 0.1, distance, pixels)
    assert np.allclose(edited.codes[:3], wanted[:3], atol=2e-3)
    assert torch.equal(edited.codes[3], codes[3])
    assert edited.ok is not None
    assert (edited.ok.tolist(), edited.nfe) == ([True] * 4, 9)


def test_what_rounding_alone_varies_is_left_out_of_the_descent() -> None:
    labels = DATA.attributes.clone()
    labels[:, 0] = 40.0
    labels[::2, 0] = float(np.nextafter(np.float32(40), np.float32(41)))
    editor = GeneratorOptimization(GeneratorOptimization.Options(steps=1))
    editor.fit(Split("w", SCHEMA, ((DATA.codes, labels),)), RUNTIME)
    assert editor.state()["sigma"][0] == 0
    assert np.allclose(editor.state()["sigma"][1:], Y.std(0, ddof=1)[1:], rtol=1e-4)


def test_what_does_not_vary_is_left_out_of_the_descent_and_not_served() -> None:
    labels = DATA.attributes.clone()
    labels[:, 1] = 0.3
    editor = GeneratorOptimization(GeneratorOptimization.Options(steps=5))
    editor.fit(Split("w", SCHEMA, ((DATA.codes, labels),)), RUNTIME)
    assert editor.state()["sigma"][1] == 0
    assert np.allclose(editor.state()["deviation"], W.std(0, ddof=1), rtol=1e-4)
    codes, source = DATA.codes[:2], labels[:2]
    asked = torch.tensor([[3.0, 0, 0], [3.0, 1.0, 0]])
    told: list[float] = []
    runtime = Runtime(
        generator=Direct(),
        estimator=Reader(),  # type: ignore[arg-type]
        progress=lambda fraction, message: told.append(fraction),
    )
    edited = editor.edit(codes, source, source + asked, runtime)
    assert edited.ok is not None
    assert edited.ok.tolist() == [True, False]
    weight = np.array([[1.0, 0, 0.5], [1, 0, 0.5]])
    moved = descended(asked.double().numpy(), weight, 5, 0.05, 0.002, 1.0)
    assert np.allclose(edited.codes, codes.double().numpy() + moved, atol=2e-3)
    assert told == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    with pytest.raises(Unsupported, match="give a generator and an estimator"):
        editor.edit(codes, source, source + asked, Runtime())
    with pytest.raises(NotFitted):
        GeneratorOptimization().edit(codes, source, source + asked, RUNTIME)
