"""Flows on residuals of the conditional mean, and FlowEdit, against closed forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import kstest, multivariate_normal
from sklearn.linear_model import LinearRegression
from torch import Tensor, nn
from toy import toy_registry

import latentedit_styleflow
from latentedit import Attribute, AttributeSchema, Editor, InputError, Registry, Runtime, Split
from latentedit.testing import editor_contract
from latentedit_styleflow.flow import ContinuousFlow, Whitening
from latentedit_styleflow.flowedit import face_noise, flow_edit
from latentedit_styleflow.solver import Solver

Array = NDArray[np.float64]
REGISTRY: Registry = toy_registry(latentedit_styleflow)
D, A, N = 6, 3, 400
NAMES = ("age", "tilt", "still")
SCHEMA = AttributeSchema(tuple(Attribute(name, "continuous", -99, 99) for name in NAMES))
STILL = {"hidden": (8,), "steps": 1, "learning_rate": 1e-12, "batch": 16, "residual": True}
"""A flow that is never trained: its velocity is zero, and its norm is all that it knows."""


def bank() -> Split:
    """Codes that depend on two correlated attributes; the third attribute never varies."""
    rng = np.random.default_rng(0)
    a = np.column_stack([rng.normal(size=(N, 2)) @ [[5.0, 1.0], [0.0, 0.3]], np.full(N, 2.0)])
    w = 3 + a[:, :2] @ rng.normal(size=(2, D)) + rng.normal(size=(N, D)) @ rng.normal(size=(D, D))
    codes, attributes = torch.from_numpy(w).float(), torch.from_numpy(a).float()
    return Split("w", SCHEMA, ((codes[:150], attributes[:150]), (codes[150:], attributes[150:])))


DATA = bank()
SEEN = torch.randperm(N, generator=Runtime().rng(2))[N // 20 :]
"""Rows that a fit sees: all but one in twenty, by the seed."""
W, Y = (part.double().numpy() for part in DATA.rows(SEEN))


def fitted(name: str = "styleflow", **options: Any) -> Editor:
    editor = REGISTRY.editor(name, STILL | options)
    editor.fit(DATA, Runtime())
    return editor


def request(n: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    codes, source = DATA.codes[:n], DATA.attributes[:n]
    rng = torch.Generator().manual_seed(1)
    change = torch.randn(n, A, generator=rng) * torch.tensor([5.0, 1.0, 0.0])
    return codes, source, source + change


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("styleflow", {}),
        ("styleflow", {"whiten": False}),
        ("styleflow", {"edit": "flowedit"}),
        ("coupling-flow", {"hidden": 8, "whiten": True}),
    ],
)
def test_an_untrained_flow_of_residuals_moves_the_conditional_mean(
    name: str, options: dict[str, Any]
) -> None:
    editor = fitted(name, **options)
    codes, source, target = request()
    effect = LinearRegression().fit(Y[:, :2], W).coef_
    wanted = codes.numpy() + (target - source)[:, :2].numpy() @ effect.T
    edited = editor.edit(codes, source, target, Runtime())
    assert np.allclose(edited.codes, wanted, atol=1e-3)
    assert edited.ok is not None
    assert edited.ok.all()
    other = fitted(name, **{**options, "residual": False}).edit(codes, source, target, Runtime())
    assert torch.allclose(other.codes, codes, atol=1e-3)


def test_the_density_of_an_untrained_flow_of_residuals_is_the_conditional_normal() -> None:
    model = LinearRegression().fit(Y[:, :2], W)
    seen = W - model.predict(Y[:, :2])
    normal = multivariate_normal(np.zeros(D), seen.T @ seen / len(W))
    residuals = DATA.codes[:20].numpy() - model.predict(DATA.attributes[:20, :2].numpy())
    editor = fitted()
    found = editor.log_prob(DATA.codes[:20], DATA.attributes[:20], Runtime())  # type: ignore[attr-defined]
    assert np.allclose(found, normal.logpdf(residuals), atol=0.02)


def test_samples_of_an_untrained_flow_of_residuals_follow_the_conditional_normal() -> None:
    editor, asked = fitted(), torch.tensor([[9.0, 2.0, 2.0]]).expand(4000, -1)
    found = editor.sample(asked, Runtime()).double().numpy()  # type: ignore[attr-defined]
    model = LinearRegression().fit(Y[:, :2], W)
    residuals = W - model.predict(Y[:, :2])
    assert np.allclose(found.mean(0), model.predict([[9.0, 2.0]])[0], atol=0.2)
    assert np.allclose(np.cov(found.T), residuals.T @ residuals / len(W), atol=0.6)


def test_chosen_attributes_alone_have_an_effect() -> None:
    """In the order of the option, and with the effect that they have alone."""
    editor = fitted(attributes=("still", "tilt"))
    codes, source, target = request()
    effect = LinearRegression().fit(Y[:, 1:2], W).coef_
    wanted = codes.numpy() + (target - source)[:, 1:2].numpy() @ effect.T
    assert np.allclose(editor.edit(codes, source, target, Runtime()).codes, wanted, atol=1e-3)


def test_a_trained_flow_of_residuals_goes_there_and_back_after_saving() -> None:
    options = {"hidden": (16,), "steps": 60, "solver_steps": 8, "residual": True}
    editor, loaded = (REGISTRY.editor("styleflow", options) for _ in range(2))
    editor.fit(DATA, Runtime())
    loaded.load_state(editor.state())
    codes, source, target = request()
    there = loaded.edit(codes, source, target, Runtime()).codes
    assert torch.equal(there, editor.edit(codes, source, target, Runtime()).codes)
    back = loaded.edit(there, target, source, Runtime()).codes
    assert torch.allclose(back, codes, atol=1e-2)
    assert (there - codes).abs().max() > 0.5


# --- FlowEdit


class NormalField:
    """The velocity of the conditional normal N(c + a B, S), by flow matching without error."""

    def __init__(self, centre: Tensor, effect: Tensor, covariance: Tensor) -> None:
        self.centre, self.effect, self.covariance = centre, effect, covariance

    def under(self, a: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        mean, eye = self.centre + a @ self.effect, torch.eye(len(self.covariance)).double()

        def velocity(t: Tensor, x: Tensor) -> Tensor:
            at = (1 - t) ** 2 * self.covariance + t**2 * eye
            gain = torch.linalg.solve(at, t * eye - (1 - t) * self.covariance)
            return (x - (1 - t) * mean) @ gain - mean

        return velocity


class NormalFlow(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(3)
        mixing, turn = torch.randn(2, D, D, generator=rng, dtype=torch.float64)
        self.norm = Whitening(D).double()
        self.norm.take(turn[0], mixing @ mixing.T)
        self.effect = torch.randn(A, D, generator=rng, dtype=torch.float64)
        self.field = NormalField(turn[1], self.effect, turn @ turn.T / D)

    def matching(self) -> tuple[Whitening, NormalField]:
        return self.norm, self.field


def normal(*shape: int, seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=rng, dtype=torch.float64)


@pytest.mark.parametrize(("steps", "samples"), [(1, 1), (1, 4), (2, 1), (7, 3)])
def test_flowedit_is_the_conditional_mean_where_covariances_are_equal(
    steps: int, samples: int
) -> None:
    flow: Any = NormalFlow()
    w, a, target = normal(4, D, seed=4), normal(4, A, seed=5), normal(4, A, seed=6)
    noise = 3 * normal(steps, samples, 4, D, seed=7)
    found = flow_edit(flow, w, a, target, noise)
    move = (target - a) @ flow.effect / flow.norm.log_scale.exp() @ flow.norm.basis.T
    assert torch.allclose(found.codes, w + move, atol=1e-9)
    assert move.abs().max() > 0.5
    assert found.nfe == 2 * steps * samples
    assert torch.allclose(flow_edit(flow, w, a, a, noise).codes, w, atol=1e-12)


def trained() -> ContinuousFlow:
    """A flow far from the identity, in double precision."""
    flow = ContinuousFlow(D, A, (5,), 1, Solver(), whiten=True).double()
    with torch.no_grad():
        for i, p in enumerate(flow.blocks.parameters()):
            p.copy_(0.5 * normal(*p.shape, seed=i))
    flow.norms[0].take(normal(D, seed=9), torch.eye(D) + 0.1)  # type: ignore[operator]
    return flow.requires_grad_(False)


def test_flowedit_is_its_algorithm_by_hand() -> None:
    flow, steps, samples = trained(), 3, 2
    w, a, target = normal(2, D, seed=4), normal(2, A, seed=5), normal(2, A, seed=6)
    noise = normal(steps, samples, 2, D, seed=7)
    norm, field = flow.matching()
    x = norm.encode(w)
    y = x.clone()
    for i in range(steps):
        t, following = 1 - i / steps, 1 - (i + 1) / steps
        total = torch.zeros_like(y)
        for j in range(samples):
            x_t = (1 - t) * x + t * noise[i, j]
            y_t = y + x_t - x
            total += field(torch.tensor(t), y_t, target) - field(torch.tensor(t), x_t, a)
        y = y - (t - following) * total / samples
    found = flow_edit(flow, w, a, target, noise).codes
    assert torch.allclose(found, norm.decode(y), atol=1e-9)
    assert (found - w).abs().max() > 0.1


def test_noise_is_standard_normal_and_each_faces_own() -> None:
    codes = normal(500, D, seed=8).float()
    noise = face_noise(codes, 3, 2, Runtime(seed=4))
    assert noise.shape == (3, 2, 500, D)
    assert kstest(noise.flatten().numpy(), "norm").pvalue > 1e-3
    assert torch.equal(face_noise(codes[7:9], 3, 2, Runtime(seed=4)), noise[:, :, 7:9])
    assert len({tuple(row) for row in noise[0, 0].tolist()}) == 500
    assert not torch.equal(face_noise(codes, 3, 2, Runtime(seed=5)), noise)
    faces = noise.permute(2, 0, 1, 3).flatten(1)
    assert abs(float(torch.corrcoef(faces).triu(1).sum())) / (500 * 499 / 2) < 0.01
    assert face_noise(codes[:0], 3, 2, Runtime()).shape == (3, 2, 0, D)


FLOWEDIT = {"hidden": [48, 48], "steps": 300, "batch": 128, "evaluations": 3, "edit": "flowedit"}
test_flowedit_keeps = editor_contract("styleflow", FLOWEDIT, REGISTRY)


def test_flowedit_is_not_invertible_and_counts_its_evaluations() -> None:
    editor = fitted(edit="flowedit", flowedit_steps=3, flowedit_samples=5)
    assert not editor.invertible
    assert fitted().invertible
    assert editor.edit(*request(), Runtime()).nfe == 30


@pytest.mark.parametrize(
    "other", [{"objective": "likelihood"}, {"blocks": 2}, {"weights": "released"}]
)
def test_flowedit_needs_straight_paths(other: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="flowedit needs the straight paths"):
        REGISTRY.editor("styleflow", {"edit": "flowedit", **other})
