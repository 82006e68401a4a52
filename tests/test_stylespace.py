"""The space of styles, and the editor that moves its channels."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from toy import SCALE, SCHEMA, ToyEstimator, ToyGenerator, ToyOptions, toy_registry

import latentedit_linear
from latentedit import (
    Editor,
    InputError,
    LatentBank,
    PluginSpec,
    Registry,
    Runtime,
    Split,
    Unsupported,
    fit_editor,
    hookimpl,
    load_editor,
    make_bank,
)
from latentedit_linear.stylespace import measured_slopes, standing_out

REGISTRY = toy_registry(latentedit_linear)


@cache
def faces(n: int, seed: int = 0, correlation: float = 0.0) -> Split:
    generator = ToyGenerator(ToyOptions(correlation=correlation))
    codes = generator.sample(n, seed, "s")
    return Split("s", SCHEMA, ((codes, generator.truth(codes, "s").attributes),))


def fitted(correlation: float = 0.0, **options: object) -> Editor:
    generator = ToyGenerator(ToyOptions(correlation=correlation))
    editor = REGISTRY.editor("stylespace", options)
    editor.fit(faces(2000, 0, correlation), Runtime(generator=generator, estimator=ToyEstimator()))
    return editor


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_the_one_channel_that_controls_an_attribute_is_found_and_nothing_leaks(
    correlation: float,
) -> None:
    editor, generator = fitted(correlation), ToyGenerator(ToyOptions(correlation=correlation))
    assert editor.directions.argmax(1).tolist() == generator.channels()[:6].tolist()
    assert torch.equal(editor.directions.sum(1), torch.ones(6))
    data = faces(50, 1, correlation)
    for k, name in enumerate(SCHEMA.column_names):
        target = data.attributes.clone()
        target[:, k] += SCALE[k]
        edited = editor.edit(data.codes, data.attributes, target, Runtime())
        change = generator.truth(edited.codes, "s").attributes - data.attributes
        assert torch.allclose(change / SCALE, torch.eye(6)[k].expand(50, 6), atol=1e-3), name


def test_channels_are_told_apart_by_how_reliably_exemplars_differ() -> None:
    """Channel 0 differs most but not in every exemplar, channel 1 in all, 2 never."""
    normalised = torch.tensor([[9.0, 2.1, 0.0], [-3.0, 2.0, 0.0], [9.0, 1.9, 0.0]])
    difference, theta = standing_out(normalised)
    assert difference.tolist() == pytest.approx([5.0, 2.0, 0.0])
    assert theta.tolist() == pytest.approx([5 / 48**0.5, 2 / 0.1, 0.0])


def test_more_channels_move_together_in_proportion_to_their_differences() -> None:
    one, several = fitted(), fitted(channels=3)
    assert torch.equal((several.directions != 0).sum(1), torch.full((6,), 3))
    assert (several.directions * one.directions).sum(1).min() > 0.9


def test_slopes_are_those_of_the_rendered_faces_and_not_of_the_fit_split() -> None:
    """With correlation, glasses grow along the channel of age over faces; moved, they do not."""
    data, generator = faces(2000, 0, 0.8), ToyGenerator(ToyOptions(correlation=0.8))
    age = torch.zeros(14)
    age[generator.channels()[0]] = 1.0
    runtime = Runtime(generator=generator, estimator=ToyEstimator())
    slopes = measured_slopes(data, age.expand(6, 14), 16, runtime)
    assert slopes[0] == pytest.approx(float(SCALE[0] / generator.deviations[0] ** 2), rel=1e-3)
    assert torch.equal(slopes[1:], torch.zeros(5))


def test_style_rows_say_which_row_of_w_plus_makes_each_style() -> None:
    generator = ToyGenerator()
    rows, styles = generator.sample(1, 0, "w+"), generator.convert(generator.sample(1, 0), "w", "s")
    for row in range(4):
        moved = rows.clone()
        moved[:, row] += 1.0
        changed = (generator.convert(moved, "w+", "s") != styles)[0]
        assert torch.equal(changed, generator.style_rows() == row)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> LatentBank:
    return make_bank(
        REGISTRY,
        tmp_path_factory.mktemp("styles") / "bank",
        generator="toy",
        labeller="toy-labeller",
        n_fit=600,
        n_test=20,
    )


def test_a_bank_of_w_is_edited_in_s_and_saved_and_restricted_to_rows(
    bank: LatentBank, tmp_path: Path
) -> None:
    editor, generator = fit_editor(REGISTRY, "stylespace", bank), ToyGenerator()
    assert editor.space == "s"
    test = bank.split("test")
    codes = generator.convert(test.codes, "w", "s")
    target = test.schema.changed(test.attributes, age=50.0)
    edited = editor.edit(codes, test.attributes, target).codes
    assert torch.allclose(generator.truth(edited, "s").attributes, target, atol=0.02, rtol=1e-3)
    editor.save(tmp_path / "E")
    again = load_editor(REGISTRY, tmp_path / "E").edit(codes, test.attributes, target).codes
    assert torch.equal(again, edited)
    assert torch.equal(editor.edit(codes, test.attributes, target, layers=(1,)).codes, edited)
    assert torch.equal(editor.edit(codes, test.attributes, target, layers=(0, 2, 3)).codes, codes)
    with pytest.raises(InputError, match="rows go from 0 to 3, received 4"):
        editor.edit(codes, test.attributes, target, layers=(4,))


class Unstyled(ToyGenerator):
    """The toy world without the space of styles."""

    has_styles = False


class _Unstyled:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [PluginSpec("generator", "unstyled", f"{__name__}:Unstyled", "no styles")]


def test_a_generator_without_styles_is_refused_naming_those_that_have_them(tmp_path: Path) -> None:
    registry = toy_registry(latentedit_linear, _Unstyled())
    bank = make_bank(
        registry, tmp_path / "B", generator="unstyled", labeller="toy-labeller", n_fit=20, n_test=2
    )
    with pytest.raises(Unsupported, match="unstyled has no styles; generators with S: toy"):
        fit_editor(registry, "stylespace", bank)


@pytest.mark.parametrize("name", ["synthface", "synthface-net"])
def test_the_embedded_worlds_have_styles_made_row_by_row(name: str) -> None:
    generator = Registry.discover({}).generator(name)
    assert generator.has_styles
    rows = generator.sample(2, 0, "w+")
    styles = generator.convert(rows, "w+", "s")
    assert styles.shape[1:] == generator.style_rows().shape == generator.spaces["s"]
    moved = rows.clone()
    moved[:, 3] *= -1.0
    changed = (generator.convert(moved, "w+", "s") != styles).any(0)
    assert changed.any()
    assert bool((generator.style_rows()[changed] == 3).all())
    assert torch.equal(generator.synthesize(styles, "s"), generator.synthesize(rows, "w+"))
