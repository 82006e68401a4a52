"""StyleFlow against its golden numbers, closed forms, and what a trained flow has to do."""

from __future__ import annotations

import math
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from latentedit import (
    Attribute,
    AttributeSchema,
    InputError,
    Registry,
    Runtime,
    Split,
    UnknownName,
    moments,
)
from latentedit_styleflow.checkpoint import from_released, to_released
from latentedit_styleflow.coupling import CouplingFlow
from latentedit_styleflow.data import SCHEMA as DATA_SCHEMA
from latentedit_styleflow.editor import CouplingEditor, FlowEditor, StyleFlow
from latentedit_styleflow.flow import Block, ContinuousFlow, Whitening
from latentedit_styleflow.importing import import_checkpoint
from latentedit_styleflow.objectives import Likelihood, optimal_pairs
from latentedit_styleflow.presets import RELEASED_GAINS
from latentedit_styleflow.solver import FIXED, Solver, basis_probes, integrate

GOLDEN = np.load(Path(__file__).parent / "golden" / "styleflow_small.npz", allow_pickle=False)
RELEASED = {k[6:]: torch.from_numpy(GOLDEN[k]) for k in GOLDEN.files if k.startswith("state/")}
EXACT = Solver("dopri5", tolerance=1e-9)
SCHEMA = AttributeSchema(
    (Attribute("age", "continuous", -9, 9), Attribute("tilt", "continuous", -9, 9))
)
SMALL = {"hidden": (48, 48), "steps": 400, "batch": 128, "evaluations": 8}
FITTED = {
    "matching": (StyleFlow, SMALL),
    "likelihood": (StyleFlow, SMALL | {"objective": "likelihood", "steps": 250, "solver_steps": 3}),
    "coupling": (CouplingEditor, {"hidden": 48, "layers": 4, "steps": 500, "evaluations": 8}),
}


def golden(name: str, dtype: torch.dtype = torch.float64) -> Tensor:
    """A golden array with its W+ rows as independent codes."""
    values = torch.from_numpy(GOLDEN[name]).to(dtype)
    return values.flatten(0, 1) if values.ndim == 3 else values.repeat_interleave(6, 0)


def released(dtype: torch.dtype, solver: Solver) -> ContinuousFlow:
    return from_released({k: v.to(dtype) for k, v in RELEASED.items()}, solver)


@pytest.mark.parametrize(
    ("dtype", "solver", "tolerance"),
    [(torch.float64, EXACT, 1e-6), (torch.float32, Solver(), 1e-3)],
    ids=["float64", "float32 defaults"],
)
def test_the_golden_flow_is_reproduced(
    dtype: torch.dtype, solver: Solver, tolerance: float
) -> None:
    flow = released(dtype, solver)
    w, a, target = (golden(n, dtype) for n in ("w", "attributes", "target_attributes"))

    def error(found: Tensor, name: str) -> float:
        wanted = golden(name)
        return float((found - wanted).norm() / wanted.norm())

    with torch.no_grad():
        z = flow.encode(w, a).codes
        assert error(z, "z") < tolerance
        assert error(flow.decode(z, target).codes, "edited_w") < tolerance
        field = flow.links()[1][0][0].field
        velocity = field(torch.tensor(float(GOLDEN["velocity_time"]), dtype=dtype), w, a)
        assert error(velocity, "velocity") < tolerance


def test_the_golden_density_is_reproduced() -> None:
    flow = released(torch.float64, EXACT)
    w, a = golden("w"), golden("attributes")
    first, links = flow.links()
    z = first.encode(w)
    delta = -first.log_scale.sum()
    for i, (block, norm) in enumerate(links):
        from latentedit_styleflow.solver import integrate_with_divergence

        noise = torch.from_numpy(GOLDEN["noise"][i]).double().flatten(0, 1)[None]
        with torch.no_grad():
            z, trace, _ = integrate_with_divergence(
                block.velocity(a), z, *block.times, EXACT, noise
            )
        z, delta = norm.encode(z), delta - trace - norm.log_scale.sum()
    wanted = torch.from_numpy(GOLDEN["delta_logp"]).flatten()
    assert torch.allclose(delta, wanted, atol=1e-6)


def test_the_released_layout_survives_a_round_trip() -> None:
    written = to_released(from_released(RELEASED))
    assert set(written) == set(RELEASED)
    for name, value in RELEASED.items():
        assert written[name].shape == value.shape
        if not name.endswith(("step", "_num_evals")):
            assert torch.equal(written[name], value)


@pytest.mark.parametrize(
    "missing", ["chain.0.weight", "chain.3.odefunc.diffeq.layers.1._layer.bias"]
)
def test_a_file_that_is_no_flow_is_refused(missing: str) -> None:
    with pytest.raises(InputError, match="not a StyleFlow checkpoint"):
        from_released({k: v for k, v in RELEASED.items() if k != missing})
    with pytest.raises(InputError, match="not a StyleFlow checkpoint"):
        from_released({"weight": torch.zeros(3)})


@pytest.mark.parametrize("method", [*FIXED, "bosh3", "dopri5", "dopri8"])
def test_solvers_meet_the_exact_solution_and_go_back(method: str) -> None:
    start, end = torch.tensor(0.0, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64)
    z = torch.linspace(-1, 1, 8, dtype=torch.float64)[:, None]
    solver = Solver(method, steps=64, tolerance=1e-7)  # type: ignore[arg-type]
    field = lambda t, x: -0.7 * x + t  # noqa: E731
    there = integrate(field, z, start, end, solver)
    exact = (z + 1 / 0.49) * math.exp(-0.7) + 1 / 0.7 - 1 / 0.49
    limit = 0.02 if method == "euler" else 1e-4
    assert (there.state - exact).abs().max() < limit
    back = integrate(field, there.state, end, start, solver)
    assert (back.state - z).abs().max() < 2 * limit
    assert there.nfe >= (64 if method in FIXED else 4)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tiny_flow(dim: int = 6) -> ContinuousFlow:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ContinuousFlow(dim, 2, (16, 16), 2, Solver("rk4", 12)).double()


def test_the_density_is_the_change_of_volume() -> None:
    flow = tiny_flow()
    w, a = normal(3, 6), normal(3, 2, seed=1)
    with torch.no_grad():
        found = flow.log_prob(w, a, basis_probes(3, 6, w))
    for i in range(3):
        row = a[i : i + 1]
        jacobian = torch.autograd.functional.jacobian(
            lambda x, row=row: flow.encode(x[None], row).codes[0], w[i]
        )
        z = flow.encode(w[i : i + 1], row).codes
        wanted = (
            torch.distributions.Normal(0, 1).log_prob(z).sum() + torch.linalg.slogdet(jacobian)[1]
        )
        assert float(found[i]) == pytest.approx(float(wanted.detach()), abs=1e-4)


def test_hutchinsons_estimator_agrees_with_the_exact_trace_in_expectation() -> None:
    flow = tiny_flow()
    w, a = normal(4, 6), normal(4, 2, seed=1)
    probes, many = normal(1, 2400, 6, seed=2), (600, 1)
    with torch.no_grad():
        exact = flow.log_prob(w, a, basis_probes(4, 6, w))
        single = flow.log_prob(w.repeat(many), a.repeat(many), probes).view(600, 4)
    error = single.std(0) / 600**0.5
    assert ((single.mean(0) - exact).abs() < 4 * error + 1e-6).all()


def test_adjoint_and_direct_gradients_agree() -> None:
    w, a = normal(5, 6), normal(5, 2, seed=1)
    gradients = []
    for adjoint in (False, True):
        flow = tiny_flow()
        flow.solver = Solver("dopri5", tolerance=1e-8)
        Likelihood("exact", adjoint).loss(flow, w, a, torch.Generator()).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in flow.blocks.parameters()]))
    assert torch.allclose(gradients[0], gradients[1], atol=1e-5)


def test_the_coupling_flow_is_invertible_and_knows_its_volume() -> None:
    flow = CouplingFlow(6, 2, 16, 4).double()
    with torch.no_grad():
        for i, p in enumerate(flow.parameters()):
            p.copy_(0.3 * normal(*p.shape, seed=i + 2))
    w, a = normal(4, 6), normal(4, 2, seed=1)
    with torch.no_grad():
        assert torch.allclose(flow.decode(flow.encode(w, a).codes, a).codes, w, atol=1e-9)
    jacobian = torch.autograd.functional.jacobian(
        lambda x: flow.encode(x[None], a[:1]).codes[0], w[0]
    )
    z = flow.encode(w[:1], a[:1]).codes
    wanted = torch.distributions.Normal(0, 1).log_prob(z).sum() + torch.linalg.slogdet(jacobian)[1]
    assert flow.log_prob(w[:1], a[:1]).item() == pytest.approx(wanted.item(), abs=1e-9)


def test_optimal_pairs_are_no_longer_than_any_others() -> None:
    x, z = normal(6, 3), normal(6, 3, seed=1)
    pairs = optimal_pairs(x, z)
    best = (x - z[pairs]).square().sum()
    assert sorted(pairs.tolist()) == list(range(6))
    for order in permutations(range(6)):
        assert best <= (x - z[list(order)]).square().sum() + 1e-9


def gaussians(n: int, seed: int = 0) -> Split:
    """w = 2 age e_0 + tilt e_1 + noise in six dimensions: p(w | a) is known."""
    rng = torch.Generator().manual_seed(seed)
    a = torch.randn(n, 2, generator=rng)
    w = 0.5 * torch.randn(n, 6, generator=rng)
    w[:, 0] += 2 * a[:, 0]
    w[:, 1] += a[:, 1]
    return Split("w", SCHEMA, ((w, a),))


@pytest.fixture(scope="module", params=sorted(FITTED))
def fitted(request: pytest.FixtureRequest) -> FlowEditor:
    made, options = FITTED[request.param]
    editor = made(made.Options(**options))
    editor.fit(gaussians(2000), Runtime(seed=1))
    return editor


def test_a_fitted_flow_moves_what_the_attribute_decides(fitted: FlowEditor) -> None:
    data = gaussians(200, seed=5)
    w, a = data.codes, data.attributes
    target = a.clone()
    target[:, 0] += 1
    moved = fitted.edit(w, a, target, Runtime()).codes - w
    assert moved[:, 0].mean().item() == pytest.approx(2, abs=0.25)
    assert moved[:, 1:].mean(0).abs().max() < 0.15


def test_a_fitted_flow_is_near_the_true_density(fitted: FlowEditor) -> None:
    data = gaussians(400, seed=6)
    mean = torch.zeros(400, 6)
    mean[:, 0], mean[:, 1] = 2 * data.attributes[:, 0], data.attributes[:, 1]
    truth = torch.distributions.Normal(mean, 0.5).log_prob(data.codes).sum(1).mean()
    found = fitted.log_prob(data.codes, data.attributes, Runtime(), probes=8).mean()
    assert found.item() == pytest.approx(truth.item(), abs=0.6)


def test_samples_have_the_attributes_asked_for(fitted: FlowEditor) -> None:
    wanted = torch.tensor([[1.0, -1.0]]).expand(500, -1)
    sampled = fitted.sample(wanted, Runtime(seed=3))
    assert sampled[:, 0].mean().item() == pytest.approx(2, abs=0.3)
    assert sampled[:, 1].mean().item() == pytest.approx(-1, abs=0.3)
    assert torch.equal(sampled, fitted.sample(wanted, Runtime(seed=3)))
    assert not torch.equal(sampled, fitted.sample(wanted, Runtime(seed=4)))


def test_there_and_back_is_where_one_was(fitted: FlowEditor) -> None:
    data = gaussians(50, seed=7)
    w, a = data.codes, data.attributes
    target = a + 1
    back = fitted.edit(fitted.edit(w, a, target, Runtime()).codes, target, a, Runtime()).codes
    assert ((back - w).norm(dim=1) / w.norm(dim=1)).max() < 0.01
    assert torch.equal(fitted.edit(w, a, a, Runtime()).codes, w)


def test_transfer_takes_only_the_chosen_columns(fitted: FlowEditor) -> None:
    data = gaussians(50, seed=8)
    w, a, other = data.codes, data.attributes, data.attributes.flip(0)
    target = a.clone()
    target[:, 1] = other[:, 1]
    found = fitted.transfer(w, a, other, [1])
    assert torch.allclose(found, fitted.edit(w, a, target, Runtime()).codes, atol=1e-5)


def test_another_editors_state_is_refused(fitted: FlowEditor) -> None:
    with pytest.raises(InputError, match="not the state of"):
        type(fitted)(fitted.options).load_state(
            {"columns": torch.zeros(1), "gains": torch.zeros(1)}
        )


class Stopped(Exception):
    pass


@pytest.mark.parametrize("objective", ["flow-matching", "likelihood"])
@pytest.mark.parametrize("stop_at", [0.26, 0.6])
def test_an_interrupted_fit_goes_on_bitwise(tmp_path: Path, objective: str, stop_at: float) -> None:
    options = StyleFlow.Options(
        hidden=(8,), steps=20, batch=64, evaluations=5, objective=objective, solver_steps=2
    )
    data = gaussians(300)

    def stop(fraction: float, message: str) -> None:
        if fraction > stop_at:
            raise Stopped

    def runtime(**changes: object) -> Runtime:
        return Runtime(seed=2, **changes)  # type: ignore[arg-type]

    whole = StyleFlow(options)
    whole.fit(data, runtime(checkpoint=tmp_path / "a"))
    broken = StyleFlow(options)
    with pytest.raises(Stopped):
        broken.fit(data, runtime(checkpoint=tmp_path / "b", progress=stop))
    resumed = StyleFlow(options)
    seen: list[float] = []
    resumed.fit(data, runtime(checkpoint=tmp_path / "b", progress=lambda f, m: seen.append(f)))
    assert min(seen) > 0.2
    for name, value in whole.state().items():
        assert torch.equal(value, resumed.state()[name]), name


def test_training_stops_when_it_no_longer_gets_better() -> None:
    options = StyleFlow.Options(
        hidden=(8,), steps=4000, batch=64, evaluations=400, patience=3, learning_rate=0.05
    )
    stats = StyleFlow(options).fit(gaussians(200), Runtime())
    assert stats.figures["steps"] < 4000


def test_a_subset_of_attributes_is_all_that_matters() -> None:
    editor = StyleFlow(StyleFlow.Options(**SMALL | {"steps": 30, "attributes": ("tilt",)}))
    data = gaussians(300)
    editor.fit(data, Runtime())
    target = data.attributes.clone()
    target[:200, 0] += 3
    edited = editor.edit(data.codes, data.attributes, target, Runtime())
    assert torch.equal(edited.codes, data.codes)
    assert edited.ok is not None
    assert edited.ok.tolist() == [False] * 200 + [True] * 100


def test_gains_multiply_the_requested_change() -> None:
    data = gaussians(300)
    plain, doubled = (
        StyleFlow(StyleFlow.Options(**SMALL | {"steps": 30, "gains": gains}))
        for gains in ("none", {"age": 2.0})
    )
    for editor in (plain, doubled):
        editor.fit(data, Runtime())
    one, two = data.attributes.clone(), data.attributes.clone()
    one[:, 0] += 1
    two[:, 0] += 2
    asked = doubled.edit(data.codes, data.attributes, one, Runtime()).codes
    assert torch.allclose(
        asked, plain.edit(data.codes, data.attributes, two, Runtime()).codes, atol=1e-5
    )
    assert RELEASED_GAINS["glasses"] == 2.5


def imported(tmp_path: Path) -> Path:
    file = tmp_path / "flow.pt"
    torch.save(RELEASED, file)
    found = import_checkpoint(file, tmp_path / "F")
    assert "2 block(s) over codes of 24 numbers under 5 attribute columns" in str(found)
    assert f"weights={tmp_path / 'F'}" in found.next_step
    return tmp_path / "F"


FIVE = AttributeSchema(tuple(Attribute(n, "continuous", -9, 9) for n in "abcde"))


def test_an_imported_checkpoint_edits_like_the_release(tmp_path: Path) -> None:
    w, a = (golden(n, torch.float32) for n in ("w", "attributes"))
    options = StyleFlow.Options(weights=imported(tmp_path), attributes=tuple("abcde"))
    editor = StyleFlow(options)
    stats = editor.fit(Split("w", FIVE, ((w, a),)), Runtime())
    assert math.isfinite(stats.figures["held_out_log_likelihood"])
    again = StyleFlow(options)
    again.load_state(editor.state())
    for one in (editor, again):
        edited = one.edit(w, a, golden("target_attributes", torch.float32), Runtime()).codes
        wanted = golden("edited_w", torch.float32)
        assert (edited - wanted).norm() / wanted.norm() < 1e-3


def test_a_checkpoint_of_other_attributes_or_a_changed_file_is_refused(tmp_path: Path) -> None:
    folder = imported(tmp_path)
    data = Split("w", FIVE, ((torch.zeros(4, 24), torch.zeros(4, 5)),))
    with pytest.raises(InputError, match="under 5 attribute columns, the bank has 24 and 2: a, b"):
        StyleFlow(StyleFlow.Options(weights=folder, attributes=("a", "b"))).fit(data, Runtime())
    with pytest.raises(InputError, match="latentedit import FILE --as styleflow"):
        StyleFlow(StyleFlow.Options(weights=tmp_path)).fit(data, Runtime())
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=r"manifest\.json records"):
        StyleFlow(StyleFlow.Options(weights=folder)).fit(data, Runtime())


def test_no_file_that_is_no_checkpoint_is_imported(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(InputError, match="not a StyleFlow checkpoint"):
        import_checkpoint(tmp_path / "other.pt", tmp_path / "F")
    assert not (tmp_path / "F").exists()


def start_of(data: Split) -> tuple[Tensor, Tensor]:
    found = moments(data)
    return found.mean.float(), found.covariance.float()


def test_whitening_brings_codes_to_unit_covariance_and_back() -> None:
    rng = torch.Generator().manual_seed(0)
    w = torch.randn(4000, 6, generator=rng) @ torch.randn(6, 6, generator=rng) + 3
    mean, covariance = start_of(Split("w", SCHEMA, ((w, torch.zeros(4000, 2)),)))
    assert torch.allclose(covariance, w.T.cov(correction=0), atol=1e-3)
    norm = Whitening(6)
    norm.take(mean, covariance)
    y = norm.encode(w)
    assert torch.allclose(y.T.cov(correction=0), torch.eye(6), atol=1e-3)
    assert torch.allclose(norm.decode(y), w, atol=1e-4)
    jacobian = torch.autograd.functional.jacobian(norm.encode, w[0])
    assert torch.linalg.slogdet(jacobian)[1].item() == pytest.approx(
        norm.log_scale.sum().item(), abs=1e-4
    )


def test_a_flow_that_whitens_has_no_released_layout() -> None:
    flow = ContinuousFlow(6, 2, (8,), 1, Solver(), whiten=True)
    with pytest.raises(InputError, match="fit with whiten=false"):
        to_released(flow)


def test_what_whitens_nothing_yet_leaves_codes_as_they_are() -> None:
    codes = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Whitening(6).encode(codes), codes)
    assert torch.equal(Whitening(6).decode(codes), codes)


def test_a_block_begins_with_the_times_from_0_to_1() -> None:
    flow = ContinuousFlow(6, 2, (8,), 3, Solver())
    ends = [float(at) for block in flow.modules() if isinstance(block, Block) for at in block.times]
    assert ends == [0.0, 1.0] * 3


def test_fewer_codes_than_dimensions_can_be_whitened() -> None:
    data = gaussians(5)
    norm = Whitening(6)
    norm.take(*start_of(data))
    assert torch.allclose(norm.decode(norm.encode(data.codes)), data.codes, atol=1e-3)


def test_an_untrained_flow_is_the_norm_alone() -> None:
    data = gaussians(50)
    flow = ContinuousFlow(6, 2, (8,), 1, Solver(), whiten=True)
    flow.start(*start_of(data))
    first, _ = flow.links()
    with torch.no_grad():
        z = flow.encode(data.codes, data.attributes).codes
    assert torch.allclose(z, first.encode(data.codes), rtol=1e-3)


def test_lights_shine_the_way_their_names_say() -> None:
    light = DATA_SCHEMA["lighting"]
    left, right = light.value("left-to-right"), light.value("right-to-left")
    assert left[3] < 0 < right[3]
    assert light.value("none")[1:].abs().sum() == 0
    assert len(light.named) == 6
    with pytest.raises(UnknownName, match="did you mean 'front'"):
        light.value("frnot")


def test_wrong_options_say_so() -> None:
    registry = Registry.discover()
    with pytest.raises(UnknownName, match="did you mean 'objective'"):
        registry.editor("styleflow", {"objektive": "likelihood"})
    with pytest.raises(InputError, match="'blocks' of styleflow"):
        registry.editor("styleflow", {"blocks": 0})
    with pytest.raises(InputError, match="flow matching trains one block"):
        StyleFlow(StyleFlow.Options(**SMALL | {"blocks": 2})).fit(gaussians(100), Runtime())
    with pytest.raises(UnknownName, match="did you mean 'tilt'"):
        StyleFlow(StyleFlow.Options(attributes=("tild",))).fit(gaussians(100), Runtime())
