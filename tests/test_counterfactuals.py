"""The same face with one attribute changed and nothing else: exact in every world that knows it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from toy import SCALE, SCHEMA, ToyGenerator, ToyOptions, toy_registry

import latentedit_linear
import latentedit_stylegan
import latentedit_synthface
from latentedit import Generator, LatentBank, Unsupported, fit_editor
from latentedit.benchmark.controls import bounds, with_controls
from latentedit.benchmark.suite import Suite
from latentedit.sampling.make import make_bank
from latentedit_synthface.counterfactual import scores_with
from latentedit_synthface.factors import BEARD, GENDER, factors_from_scores, sample_scores

REGISTRY = toy_registry(latentedit_linear, latentedit_synthface)


def worlds() -> dict[str, Generator]:
    return {
        "toy": ToyGenerator(ToyOptions(entanglement=0.6, correlation=0.4)),
        "synthface": REGISTRY.generator("synthface", {}),
        "curved": REGISTRY.generator("synthface", {"curvature": "curved", "world_seed": 3}),
        "synthface-net": REGISTRY.generator("synthface-net", {}),
    }


@pytest.mark.parametrize("world", ["toy", "synthface", "curved", "synthface-net"])
def test_one_attribute_becomes_that_of_another_face_and_nothing_else_changes(world: str) -> None:
    generator = worlds()[world]
    codes = generator.sample(40, 3)
    truth = generator.truth(codes)
    sigma = truth.attributes.std(0)
    bound = {"gender", "beard"}  # gender hides beards, so that not every pair of values exists
    for column, name in enumerate(truth.schema.column_names):
        wanted = truth.attributes.clone()
        wanted[:, column] = wanted[:, column].roll(1)
        found = generator.truth(generator.counterfactual(codes, wanted))
        assert (found.identity - truth.identity).abs().max() < 1e-4
        error = (found.attributes - wanted).abs() / sigma
        kept = [i for i, other in enumerate(truth.schema.column_names) if other not in bound]
        columns = kept if name == "beard" else sorted({column, *kept})
        assert error[:, columns].max() < 0.1  # the ends of a range are out of reach
        assert error[:, columns].median() < 1e-4


@pytest.mark.parametrize("space", ["w", "w+", "s"])
def test_every_space_of_the_rendered_world_shows_the_same_counterfactual(space: str) -> None:
    generator = REGISTRY.generator("synthface", {})
    codes = generator.sample(5, 1)
    wanted = generator.truth(codes).attributes.clone()
    wanted[:, 6] = 60 - wanted[:, 6]
    moved = generator.counterfactual(generator.convert(codes, "w", space), wanted, space)
    expected = generator.synthesize(generator.counterfactual(codes, wanted))
    torch.testing.assert_close(generator.synthesize(moved, space), expected, atol=2e-3, rtol=0)


def test_a_move_is_the_shortest_in_standard_deviations_of_codes() -> None:
    generator = REGISTRY.generator("synthface", {"curvature": 0.0})
    codes = generator.sample(4, 0)
    wanted = generator.truth(codes).attributes.clone()
    wanted[:, 2] += 10
    move = (generator.counterfactual(codes, wanted) - codes).double()
    # Of n codes of p values, the inverse covariance is too large by (n - 1) / (n - p - 2).
    n, p = 30_000, move.shape[1]
    precision = generator.sample(n, 1).double().T.cov().inverse() * ((n - p - 2) / (n - 1))
    length = (move @ precision * move).sum(1).sqrt()
    # In the linear world yaw's own score moves alone, by the change of its score.
    change = generator.scores(codes + move.float()) - generator.scores(codes)
    torch.testing.assert_close(length.float(), change.norm(dim=1), rtol=0.01, atol=0)


def test_the_toy_world_moves_along_the_one_axis_of_the_attribute() -> None:
    generator = ToyGenerator()
    codes = generator.sample(6, 2)
    wanted = generator.truth(codes).attributes.clone()
    wanted[:, 0] += 12
    step = 12 / SCALE[0] * generator.deviations[0] * generator.basis[0]
    torch.testing.assert_close(generator.counterfactual(codes, wanted), codes + step)


def test_a_beard_stays_as_far_as_gender_lets_it_show() -> None:
    scores = sample_scores(400, 5)
    before = factors_from_scores(scores)[:, :17]
    bearded = (before[:, BEARD] > 0.3) & (before[:, GENDER] > 0.5)
    wanted = before.clone()
    wanted[:, GENDER] = 0.75
    kept = factors_from_scores(scores_with(scores, wanted))[bearded, BEARD]
    torch.testing.assert_close(kept, before[bearded, BEARD], atol=1e-4, rtol=0)
    wanted[:, GENDER] = 0.05
    hidden = factors_from_scores(scores_with(scores, wanted))[bearded, BEARD]
    assert hidden.max() < 0.02  # σ((0.05 − 0.5) / 0.08) = 0.004 of a beard shows


def test_a_value_that_no_face_has_becomes_the_nearest() -> None:
    scores = sample_scores(10, 0)
    wanted = factors_from_scores(scores)[:, :17].clone()
    wanted[:, 6] = 500.0
    found = factors_from_scores(scores_with(scores, wanted))[:, :17]
    assert ((found[:, 6] > 60) & (found[:, 6] < 70.5)).all()
    others = [k for k in range(17) if k != 6]
    torch.testing.assert_close(found[:, others], wanted[:, others], atol=1e-4, rtol=1e-4)


def test_a_world_that_does_not_know_itself_says_so() -> None:
    class Plain(ToyGenerator):
        counterfactual = Generator.counterfactual

    codes = Plain().sample(2, 0)
    with pytest.raises(
        Unsupported, match="cannot change one attribute of an image and nothing else"
    ):
        Plain().counterfactual(codes, torch.zeros(2, 6))


def test_the_oracle_makes_the_change_that_is_asked_for_exactly(tmp_path: Path) -> None:
    make_bank(
        REGISTRY,
        tmp_path / "bank",
        generator="toy",
        labeller="toy-labeller",
        n_fit=50,
        n_test=10,
        seed=0,
    )
    bank = LatentBank.open(tmp_path / "bank")
    editor = fit_editor(REGISTRY, "oracle", bank)
    codes, source = bank.split("test").rows(torch.arange(10))
    target = source.clone()
    target[:, 2] += 9.0
    edited = editor.edit(codes, source, target, extrapolate=True).codes
    world = ToyGenerator()
    before, after = world.truth(codes), world.truth(edited)
    asked = before.attributes.clone()
    asked[:, 2] += 9.0
    torch.testing.assert_close(after.attributes, asked, atol=1e-3, rtol=0)
    torch.testing.assert_close(after.identity, before.identity, atol=1e-4, rtol=0)


def suite(generator: str, **changes: object) -> Suite:
    return Suite.model_validate(
        {
            "name": "s",
            "bank": {
                "generator": {"plugin": generator},
                "labeller": "a",
                "n_fit": 50,
                "n_test": 10,
            },
            "judge": "b",
            "identity": ["c"],
            "editors": {"regression": {"plugin": "regression"}},
            "tasks": [{"attribute": SCHEMA.names[0], "change": 10}],
            **changes,
        }
    )


def test_a_control_that_the_world_cannot_serve_is_left_out_with_a_sentence() -> None:
    registry = toy_registry(latentedit_linear, latentedit_stylegan)
    found, left_out = with_controls(suite("toy"), registry)
    assert found.control_names[0] == "oracle"
    assert left_out == {}
    found, left_out = with_controls(suite("stylegan2"), registry)
    assert "oracle" not in found.control_names
    assert list(left_out) == ["oracle"]
    assert (
        "stylegan2 does not know its world so well; generators that do: toy" in (left_out["oracle"])
    )
    with pytest.raises(Unsupported, match="same image with one attribute changed"):
        with_controls(suite("stylegan2", controls=["oracle"]), registry)
    assert with_controls(suite("stylegan2", controls=["no-edit"]), registry)[1] == {}


def test_floor_and_ceiling_are_the_controls_that_say_so() -> None:
    assert bounds(["no-edit", "oracle", "resample"], REGISTRY) == {
        "ceiling": "oracle",
        "floor": "resample",
    }
    assert bounds(["no-edit"], REGISTRY) == {}
