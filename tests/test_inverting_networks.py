"""Inversion through networks: noise maps, tuning, and the embedded features as a loss."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pickles
import pytest
import torch
import toy_photos
from torch import Tensor

import latentedit_stylegan
import latentedit_synthface
from latentedit import InputError, InversionRuntime, Registry, UnknownName, WeightedLoss
from latentedit.data.bank import LatentBank
from latentedit.editing.generators import build_renderer
from latentedit.photos.align import Photograph
from latentedit.photos.invert import InversionPlan, invert_photographs
from latentedit.sampling.make import make_bank
from latentedit.sampling.relabel import relabel_bank
from latentedit_stylegan.generator import StyleGAN2
from latentedit_stylegan.importing import import_network

STEPS = {"pictures": 32, "w_steps": 30, "rows_steps": 10}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("network")
    file = pickles.write(folder / "n.pkl", pickles.nvidia_pickle(pickles.random_network()))
    return import_network(file, folder / "G").folder


@pytest.fixture(scope="module")
def generator(network: Path) -> StyleGAN2:
    built = registry().generator("stylegan2", {"path": str(network)})
    assert isinstance(built, StyleGAN2)
    return built


@pytest.fixture(scope="module")
def wanted(generator: StyleGAN2) -> Tensor:
    """(2, 3, R, R): pictures that other weights made, which no code meets."""
    moved = {
        name: tensor + 0.05 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(5))
        for name, tensor in generator.tunable().weights.items()
        if name.endswith("conv1.weight")
    }
    return generator.tuned(moved).synthesize(generator.sample(2, 3))


def registry() -> Registry:
    found = toy_photos.registry()
    found.add(latentedit_stylegan, "stylegan")
    found.add(latentedit_synthface, "synthface")
    return found


def loss_of(**weights: float) -> WeightedLoss:
    found = registry()
    return WeightedLoss(
        tuple((weight, found.build("perceptual", name)) for name, weight in weights.items())
    )


def figures(generator: StyleGAN2, images: Tensor, **options: Any) -> dict[str, float]:
    inverter = registry().build("inverter", "optimisation", STEPS | options)
    return dict(inverter.invert(images, InversionRuntime(generator, loss_of(pyramid=1))).figures)


def test_replacing_nothing_changes_nothing(generator: StyleGAN2) -> None:
    codes, own = generator.sample(2, 0), generator.tunable()
    expected = generator.unclipped(codes)
    assert torch.equal(generator.synthesize_with({}, codes), expected)
    same = generator.synthesize_with({**own.weights, **own.noise}, codes)
    assert torch.allclose(same, expected, atol=1e-5)
    with pytest.raises(UnknownName, match="tensor"):
        generator.synthesize_with({"mapping.w_avg": torch.zeros(1)}, codes)


def test_a_noise_map_for_each_image(generator: StyleGAN2) -> None:
    codes, noise = generator.sample(2, 0), generator.tunable().noise
    assert noise
    zero = {name: torch.stack([m, torch.zeros_like(m)]) for name, m in noise.items()}
    images = generator.synthesize_with(zero, codes)
    expected = generator.unclipped(codes)
    assert torch.allclose(images[0], expected[0], atol=1e-5)
    assert not torch.allclose(images[1], expected[1], atol=1e-3)


def test_inversion_finds_codes_of_the_networks_own_pictures(generator: StyleGAN2) -> None:
    codes = generator.sample(2, 3)
    found = figures(generator, generator.synthesize(codes))
    assert found["distance"] <= found["distance_w"] < found["distance_start"]


def test_a_generator_without_noise_is_inverted_too(network: Path) -> None:
    silent = registry().generator("stylegan2", {"path": str(network), "noise": False})
    assert isinstance(silent, StyleGAN2)
    assert not silent.tunable().noise
    found = figures(silent, silent.synthesize(silent.sample(1, 3)))
    assert found["distance_w"] < found["distance_start"]


def test_tuning_comes_nearer_and_its_weights_lie_with_the_codes(
    generator: StyleGAN2, network: Path, wanted: Tensor, tmp_path: Path
) -> None:
    plan = InversionPlan(
        generator=("stylegan2", {"path": str(network)}),
        labeller=("toy-labeller", {}),
        losses={"pyramid": 1.0},
        inverter=("optimisation", STEPS),
    )
    photos = [Photograph(f"{i}.png", image, "as it is") for i, image in enumerate(wanted)]
    found = registry()
    plain = invert_photographs(found, photos, tmp_path / "plain", plan)
    tuning = replace(
        plan, inverter=("optimisation", STEPS | {"tuning_steps": 60, "tuning_rate": 3e-3})
    )
    tuned = invert_photographs(found, photos, tmp_path / "tuned", tuning)
    assert _distances(tuned) < 0.5 * _distances(plain)
    assert tuned.generator.fingerprint == plain.generator.fingerprint == generator.fingerprint
    test, renderer = tuned.split("test"), build_renderer(found, tuned)
    assert torch.equal(test.codes, plain.split("test").codes)
    assert renderer.fingerprint == (tuned.inversion or {})["tuned"] != generator.fingerprint
    images = renderer.synthesize(test.codes, test.space)
    assert (images - wanted).abs().mean() < (
        generator.synthesize(test.codes, test.space) - wanted
    ).abs().mean()
    relabelled = relabel_bank(found, tuned, tmp_path / "again", labeller="toy-judge")
    assert torch.equal(relabelled.split("test").attributes, test.attributes)
    assert relabelled.tensors("tuning").keys() == tuned.tensors("tuning").keys()
    mixed = make_bank(
        found,
        tmp_path / "mixed",
        generator="stylegan2",
        generator_options={"path": str(network)},
        labeller="toy-labeller",
        n_fit=4,
        n_test=1,
        photographs=tuned,
    )
    assert mixed.split("fit").space == "w"
    assert mixed.split("test").space == "w+"
    assert build_renderer(found, mixed).fingerprint == renderer.fingerprint


def _distances(bank: LatentBank) -> float:
    return sum(row["distance"] for row in (bank.inversion or {})["photographs"])


def test_embedded_features_tell_faces_apart_and_lead_to_them() -> None:
    found = registry()
    faces = found.generator("synthface-net", {})
    codes = faces.sample(2, 1)
    images = faces.synthesize(codes)
    loss = loss_of(**{"synthface-features": 1.0})
    features = loss.features(images)
    assert torch.equal(features, loss.features(images))
    moved = loss.features(faces.synthesize(codes + 0.05))
    near, far = (moved[0] - features[0]).square().sum(), (features[1] - features[0]).square().sum()
    assert 0 < near < 0.5 * far
    inverter = found.build("inverter", "optimisation", STEPS | {"rows_steps": 0})
    runtime = InversionRuntime(faces, loss_of(**{"pyramid": 1.0, "synthface-features": 0.03}))
    inverted = inverter.invert(images[:1], runtime)
    before = (faces.synthesize(faces.sample(1, 9)) - images[:1]).abs().mean()
    after = (faces.synthesize(inverted.codes) - images[:1]).abs().mean()
    assert after < 0.25 * before


def test_the_trained_network_can_be_tuned() -> None:
    faces = registry().generator("synthface-net", {})
    codes, own = faces.sample(2, 0), faces.tunable()
    assert not own.noise
    images = faces.synthesize(codes)
    same = faces.synthesize_with(own.weights, codes).clamp(-1, 1)
    assert torch.allclose(same, images, atol=1e-5)
    name = "synthesis.const"
    tuned = faces.tuned({name: own.weights[name] * 1.1})
    assert tuned.fingerprint != faces.fingerprint
    assert not torch.allclose(tuned.synthesize(codes), images, atol=1e-3)
    assert torch.equal(faces.synthesize(codes), images)
    assert torch.equal(tuned.truth(codes).attributes, faces.truth(codes).attributes)
    rows = faces.convert(codes, "w", "w+")
    changed = faces.synthesize_with({name: own.weights[name] * 1.1}, rows, "w+").clamp(-1, 1)
    assert torch.allclose(changed, tuned.synthesize(codes), atol=1e-5)
    with pytest.raises(UnknownName, match="tensor"):
        faces.tuned({"mapping.centre": torch.zeros(1)})


def test_small_pictures_are_refused_by_the_embedded_features() -> None:
    with pytest.raises(InputError, match="at least 64"):
        loss_of(**{"synthface-features": 1.0}).features(torch.zeros(1, 3, 32, 32))
