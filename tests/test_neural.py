"""Editors with networks on codes, and descent through the generator, in a linear world."""

from __future__ import annotations

from functools import cache

import pytest
from torch import Tensor
from toy import SCALE, ToyEstimator, ToyGenerator, toy_registry, toy_split

import latentedit_neural
from latentedit import Editor, FitStats, Runtime, Split

REGISTRY = toy_registry(latentedit_neural)
NETWORKS = ("surrogate-gradient", "latent-transformer")
EVERY = (*NETWORKS, "generator-optimization")
OPTIONS = {
    "surrogate-gradient": {"steps": 1200, "hidden": 64},
    "latent-transformer": {"steps": 1200, "hidden": 64, "transformer_steps": 1500, "distance": 0.0},
    "generator-optimization": {"steps": 120, "distance": 0.0, "pixels": 0.0},
}
RUNTIME = Runtime(generator=ToyGenerator(), estimator=ToyEstimator())


@cache
def faces(n: int = 4000, seed: int = 0) -> Split:
    return toy_split(n, seed)


@cache
def fitted(name: str) -> tuple[Editor, FitStats]:
    editor = REGISTRY.editor(name, OPTIONS[name])
    return editor, editor.fit(faces(), RUNTIME)


def older(data: Split, years: float = 10.0) -> Tensor:
    target = data.attributes.clone()
    target[:, data.schema.columns("age")] += years
    return target


def true_change(codes: Tensor, before: Split) -> Tensor:
    """(N, A) in standard deviations of each attribute."""
    return (ToyGenerator().truth(codes).attributes - before.attributes) / SCALE


@pytest.mark.parametrize("name", EVERY)
def test_moves_what_was_asked_and_little_else(name: str) -> None:
    data = faces(100, 5)
    moved = true_change(fitted(name)[0].edit(*_request(data), RUNTIME).codes, data)
    age = data.schema.columns("age").start
    wanted = 10 / float(SCALE[age])
    assert moved[:, age].mean().item() == pytest.approx(wanted, rel=0.15)
    others = [i for i in range(data.schema.width) if i != age]
    assert moved[:, others].abs().mean() < 0.15 * wanted


@pytest.mark.parametrize("name", NETWORKS)
def test_the_regressor_reads_what_is_linear(name: str) -> None:
    assert fitted(name)[1].figures["regressor_r2"] > 0.95


def test_a_longer_walk_lands_nearer() -> None:
    """In σ of the regressor's own reading, whose gradient turns on the way."""
    editor, _ = fitted("surrogate-gradient")
    short = REGISTRY.editor("surrogate-gradient", {**OPTIONS["surrogate-gradient"], "walk": 1})
    short.load_state(editor.state())
    data = faces(100, 8)
    age = data.schema.columns("age").start

    def missed(one: Editor) -> float:
        codes = one.edit(data.codes, data.attributes, older(data, 30.0), RUNTIME).codes
        read = one.net(one.scale.encode(codes)) - one.net(one.scale.encode(data.codes))
        return float((read[:, age] - 30 / one.scale.a_std[age]).abs().mean())

    assert missed(editor) < missed(short)


def _request(data: Split) -> tuple[Tensor, Tensor, Tensor]:
    return data.codes, data.attributes, older(data)
