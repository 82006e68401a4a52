"""Prompts give the values that the formula says, and calibration learns from labels."""

from __future__ import annotations

import csv
import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from clip_files import SIDE, write_clip
from PIL import Image
from torch import Tensor

from latentedit import (
    AttributeEstimator,
    CorruptArtefact,
    FingerprintMismatch,
    InputError,
    Registry,
    UnknownName,
    read_json,
)

pytest.importorskip("transformers", reason="transformers is not installed")

REGISTRY = Registry.discover()
SMILE = {"name": "smile", "kind": "binary", "prompts": {0: "sad", 1: ["smile", "laugh"]}}
AGE = {"name": "age", "unit": "years", "prompts": {60: "old", 5: "child", 30: "grown"}}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(6, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) * 2 - 1


def clip(folder: Path, *attributes: dict[str, Any], **options: Any) -> AttributeEstimator:
    chosen = {"model": str(folder), "attributes": list(attributes or (SMILE, AGE))}
    return REGISTRY.estimator("faces-clip", chosen | options)


def by_hand(model: Path, images: Tensor, texts: list[str]) -> Tensor:
    """(N, K) scaled cosines, from transformers alone."""
    from transformers import CLIPModel, CLIPTokenizer

    network, words = CLIPModel.from_pretrained(model), CLIPTokenizer.from_pretrained(model)
    mean, deviation = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.3, 0.4])
    shown = ((images + 1) / 2 - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    with torch.no_grad():
        found = network(pixel_values=shown, **words(texts, padding=True, return_tensors="pt"))
    return found.logits_per_image


def test_nothing_is_looked_up_elsewhere(
    model: Path, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError(f"a connection to {arguments[1:]}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert clip(model).estimate(images).shape == (6, 2)


def test_two_prompts_give_a_softmax_of_cosines(model: Path, images: Tensor) -> None:
    pair = SMILE | {"prompts": {0: "sad", 1: "smile"}}
    expected = by_hand(model, images, ["sad", "smile"]).softmax(1)[:, 1:]
    torch.testing.assert_close(clip(model, pair).estimate(images), expected, atol=1e-4, rtol=1e-3)


def test_more_prompts_give_an_expectation_in_the_attributes_unit(
    model: Path, images: Tensor
) -> None:
    estimator = clip(model, AGE)
    likely = by_hand(model, images, ["child", "grown", "old"]).softmax(1)
    expected = likely @ torch.tensor([5.0, 30.0, 60.0])
    torch.testing.assert_close(estimator.estimate(images)[:, 0], expected, atol=1e-2, rtol=1e-3)
    assert (estimator.schema["age"].low, estimator.schema["age"].high) == (5, 60)


def test_attributes_do_not_depend_on_each_other(model: Path, images: Tensor) -> None:
    together = clip(model).estimate(images)
    torch.testing.assert_close(together[:, :1], clip(model, SMILE).estimate(images))
    torch.testing.assert_close(together[:, 1:], clip(model, AGE).estimate(images))
    assert clip(model).estimate(images[:0]).shape == (0, 2)


def test_prompts_may_stand_in_a_file(model: Path, images: Tensor, tmp_path: Path) -> None:
    path = tmp_path / "prompts.yaml"
    path.write_text(yaml.safe_dump([SMILE, AGE]))
    filed = clip(model, attributes=str(path))
    assert filed.fingerprint == clip(model).fingerprint
    assert torch.equal(filed.estimate(images), clip(model).estimate(images))


def test_the_fingerprint_is_of_weights_and_words(model: Path, tmp_path: Path) -> None:
    said = SMILE | {"prompts": {0: "sad", 1: "grin"}}
    found = {
        clip(model, SMILE).fingerprint,
        clip(model, said).fingerprint,
        clip(model, SMILE, temperature=2.0).fingerprint,
        clip(write_clip(tmp_path / "other", seed=1), SMILE).fingerprint,
    }
    assert len(found) == 4
    assert clip(write_clip(tmp_path / "same"), SMILE).fingerprint in found


def test_the_state_of_the_random_numbers_is_left_alone(model: Path, images: Tensor) -> None:
    before = torch.get_rng_state()
    clip(model).estimate(images)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"attributes": "none.yaml"}, InputError, "there is no file none.yaml"),
        ({"attributes": []}, InputError, "at least 1"),
        ({"attributes": [SMILE | {"prompts": {1: "smile"}}]}, InputError, "at least 2"),
        ({"attributes": [SMILE | {"prompts": {0: "sad", 1: " "}}]}, InputError, "needs a text"),
        ({"attributes": [SMILE | {"prompt": {}}]}, InputError, "prompt"),
        ({"temprature": 1}, UnknownName, "did you mean 'temperature'"),
        ({"model": "nowhere"}, InputError, "huggingface.co/laion"),
    ],
)
def test_wrong_options_are_named(
    model: Path, options: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        clip(model, **options)


def test_a_folder_with_a_pickle_or_half_a_model_is_refused(tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "clip")
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-100])
    with pytest.raises(CorruptArtefact, match="no CLIP model that can be read"):
        clip(folder)
    weights.rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="are not read, because reading them can run code"):
        clip(folder)
    weights.write_bytes(content)
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(InputError, match="does not describe a CLIP model"):
        clip(folder)


@pytest.fixture(scope="module")
def labelled(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Tensor]:
    """60 pictures between two looks, and labels that rise with the zero-shot score."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    ends = rng.uniform(0, 255, (2, SIDE, SIDE, 3))
    shades = [((1 - t) * ends[0] + t * ends[1]).astype(np.uint8) for t in rng.uniform(0, 1, 60)]
    for i, shade in enumerate(shades):
        Image.fromarray(shade).save(folder / f"{i}.png")
    images = torch.from_numpy(np.stack(shades)).permute(0, 3, 1, 2) / 127.5 - 1
    score = (clip(model, SMILE, temperature=9.0).estimate(images)[:, 0]).logit()
    rank = score.argsort().argsort() / 59
    with (folder / "labels.csv").open("w") as file:
        table = csv.writer(file)
        table.writerow(["file", "smile", "age"])
        for i, place in enumerate(rank.tolist()):
            age = "" if i == 7 else f"{20 + 30 * place**2:.3f}"
            table.writerow([f"{i}.png", int(place > 0.6), age])
    return folder, folder / "labels.csv", images


def trained(
    model: Path, labelled: tuple[Path, Path, Tensor], out: Path, **options: Any
) -> tuple[AttributeEstimator, dict[str, Any]]:
    age = {"name": "age", "unit": "years", "prompts": {20: "sad", 50: ["smile", "laugh"]}}
    chosen = {"model": str(model), "attributes": [SMILE, age]} | options
    made = REGISTRY.trainer("faces-clip", chosen).train(labelled[0], labelled[1], out)
    return REGISTRY.estimator(made.estimator, made.options), dict(made.held_out)


def test_labels_calibrate_prompts(
    model: Path, labelled: tuple[Path, Path, Tensor], tmp_path: Path
) -> None:
    estimator, held_out = trained(model, labelled, tmp_path / "C")
    assert held_out["smile"]["auc"] > 0.99
    assert held_out["age"]["r2"] > 0.98
    assert held_out["age"]["n"] == 59
    card = estimator.card()
    assert card["held_out"]["age"]["r2"] > card["zero_shot"]["age"]["r2"]
    values = estimator.estimate(labelled[2])
    assert values[:, 0].min() >= 0
    assert values[:, 0].max() <= 1
    written = read_json(tmp_path / "C" / "calibration.json")
    assert [written["curves"][name]["method"] for name in ("smile", "age")] == [
        "logistic",
        "isotonic",
    ]


def test_a_ridge_reads_all_prompts(
    model: Path, labelled: tuple[Path, Path, Tensor], tmp_path: Path
) -> None:
    estimator, held_out = trained(model, labelled, tmp_path / "C", method="ridge")
    assert held_out["age"]["r2"] > 0.9
    curve = read_json(tmp_path / "C" / "calibration.json")["curves"]["age"]
    assert len(curve["weights"]) == 4
    truth = np.loadtxt(labelled[1], delimiter=",", skiprows=1, usecols=1)
    assert np.corrcoef(estimator.estimate(labelled[2])[:, 0].numpy(), truth)[0, 1] > 0.7


def test_what_is_measured_was_held_out(
    model: Path, labelled: tuple[Path, Path, Tensor], tmp_path: Path
) -> None:
    """Labels without any relation to the pictures: the curve through all of them explains a part
    of them, and curves that had not seen what they predict explain none."""
    folder = labelled[0]
    noise = np.random.default_rng(3).uniform(20, 50, 60)
    other = tmp_path / "noise.csv"
    lines = [f"{i}.png,{i % 2},{value:.3f}" for i, value in enumerate(noise)]
    other.write_text("\n".join(["file,smile,age", *lines]))
    estimator, held_out = trained(model, (folder, other, labelled[2]), tmp_path / "C")
    seen = estimator.estimate(labelled[2])[:, 1].numpy()
    explained = 1 - ((noise - seen) ** 2).sum() / ((noise - noise.mean()) ** 2).sum()
    assert explained > 0.05
    assert held_out["age"]["r2"] < min(0.0, explained - 0.05)
    assert held_out["smile"]["auc"] < 0.7


def test_a_calibration_belongs_to_its_network_and_words(
    model: Path, labelled: tuple[Path, Path, Tensor], tmp_path: Path
) -> None:
    trained(model, labelled, tmp_path / "C")
    with pytest.raises(FingerprintMismatch, match="network or set of prompts"):
        clip(model, SMILE, calibration=str(tmp_path / "C" / "calibration.json"))


def test_calibration_refuses_what_cannot_be_learnt(
    model: Path, labelled: tuple[Path, Path, Tensor], tmp_path: Path
) -> None:
    folder = labelled[0]
    few = tmp_path / "few.csv"
    few.write_text("file,smile,age\n0.png,0,21\n1.png,1,22\n")
    with pytest.raises(InputError, match="has 2 labelled pictures"):
        trained(model, (folder, few, labelled[2]), tmp_path / "C")
    same = tmp_path / "same.csv"
    rows = [f"{i}.png,1,{20 + i / 3:.2f}" for i in range(30)]
    same.write_text("\n".join(["file,smile,age", *rows]))
    with pytest.raises(InputError, match="nothing to learn"):
        trained(model, (folder, same, labelled[2]), tmp_path / "C")
    with pytest.raises(InputError, match="'age' is continuous"):
        trained(model, labelled, tmp_path / "C", method="logistic")
    assert not (tmp_path / "C").exists()
