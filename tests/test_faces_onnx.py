"""ONNX models give what their contract says, and a wrong contract is refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx_files import channel_means, contract, linear_model
from torch import Tensor

from latentedit import (
    AttributeEstimator,
    CorruptArtefact,
    IdentityEncoder,
    InputError,
    Registry,
    UnknownName,
    file_digest,
)

SIZE = (4, 6)
REGISTRY = Registry.discover()
MEAN_RED = {"name": "red", "low": -1, "high": 1}


@pytest.fixture
def images() -> Tensor:
    return torch.rand(5, 3, *SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1


def means(folder: Path, name: str = "m", nhwc: bool = False, **more: Any) -> Path:
    return linear_model(folder / f"{name}.onnx", SIZE, channel_means(SIZE, nhwc), nhwc=nhwc, **more)


def attributes(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"meaning": "attributes", "attributes": list(rows)}


def estimator(path: Path) -> AttributeEstimator:
    return REGISTRY.estimator("faces-onnx", {"contract": str(path)})


def identity(path: Path) -> IdentityEncoder:
    return REGISTRY.identity("faces-onnx-identity", {"contract": str(path)})


@pytest.mark.parametrize("batch", ["N", 1, 3])
@pytest.mark.parametrize("nhwc", [False, True])
def test_an_attribute_is_what_the_model_computes(
    tmp_path: Path, images: Tensor, batch: int | str, nhwc: bool
) -> None:
    layout = {"layout": "nhwc" if nhwc else "nchw"}
    path = contract(
        means(tmp_path, nhwc=nhwc, batch=batch), SIZE, attributes(MEAN_RED), input=layout
    )
    found = estimator(path).estimate(images)
    torch.testing.assert_close(found[:, 0], images[:, 0].mean((1, 2)), atol=1e-5, rtol=0)
    assert estimator(path).estimate(images[:0]).shape == (0, 1)


def test_colours_range_and_crop_are_as_the_contract_says(tmp_path: Path) -> None:
    images = torch.rand(5, 3, 8, 12, generator=torch.Generator().manual_seed(0)) * 2 - 1
    described = {
        "colours": "bgr",
        "mean": [10, 20, 30],
        "scale": [2, 4, 8],
        "crop": [0, 0.5, 0.5, 1],
    }
    rows = [MEAN_RED | {"name": name, "column": i} for i, name in enumerate("bgr")]
    path = contract(means(tmp_path), SIZE, attributes(*rows), input=described)
    shown = (images[:, :, :4, 6:].mean((2, 3)) + 1) * 127.5
    expected = (shown.flip(1) - torch.tensor([10, 20, 30])) / torch.tensor([2, 4, 8])
    torch.testing.assert_close(estimator(path).estimate(images), expected, atol=1e-3, rtol=1e-4)


def test_images_of_any_size_are_brought_to_the_models(tmp_path: Path) -> None:
    plain = torch.tensor([0.25, -0.5, 1.0]).view(1, 3, 1, 1)
    found = estimator(contract(means(tmp_path), SIZE, attributes(MEAN_RED)))
    for side in (3, 17, 64):
        shown = plain.expand(1, 3, side, side)
        assert found.estimate(shown).item() == pytest.approx(0.25, abs=1e-4)


def test_every_activation_has_its_closed_form(tmp_path: Path, images: Tensor) -> None:
    rows = [
        MEAN_RED | {"name": "plain", "gain": 3, "offset": 1},
        MEAN_RED | {"name": "sigmoid", "activation": "sigmoid", "column": 1},
        MEAN_RED | {"name": "softmax", "activation": "softmax", "columns": [2, 0], "column": 1},
        MEAN_RED | {"name": "expected", "activation": "expectation"},
        MEAN_RED | {"name": "other", "output": "negated"},
    ]
    path = contract(means(tmp_path, outputs=2), SIZE, attributes(*rows))
    raw = images.mean((2, 3))
    probable = raw.softmax(1)
    expected = torch.stack(
        [
            1 + 3 * raw[:, 0],
            torch.sigmoid(raw[:, 1]),
            torch.exp(raw[:, 0]) / (torch.exp(raw[:, 2]) + torch.exp(raw[:, 0])),
            probable[:, 1] + 2 * probable[:, 2],
            -raw[:, 0],
        ],
        1,
    )
    torch.testing.assert_close(estimator(path).estimate(images), expected, atol=1e-5, rtol=1e-4)


def test_the_schema_is_the_contracts(tmp_path: Path) -> None:
    rows = [
        {"name": "age", "low": 0, "high": 70, "unit": "years"},
        {"name": "glasses", "kind": "binary", "column": 1},
    ]
    schema = estimator(contract(means(tmp_path), SIZE, attributes(*rows))).schema
    assert (schema["age"].unit, schema["age"].high) == ("years", 70)
    assert (schema["glasses"].kind, schema["glasses"].high) == ("binary", 1)


def test_embeddings_have_unit_norm_and_the_threshold_of_the_contract(
    tmp_path: Path, images: Tensor
) -> None:
    output = {"meaning": "embedding", "same_person_threshold": 0.3}
    encoder = identity(contract(means(tmp_path), SIZE, output))
    raw = images.mean((2, 3))
    torch.testing.assert_close(
        encoder.embed(images), raw / raw.norm(dim=1, keepdim=True), atol=1e-4, rtol=1e-4
    )
    assert encoder.same_person_threshold == 0.3
    assert encoder.card()["licence"] == "made by a test"


def test_the_input_is_not_changed_and_the_answer_does_not_depend_on_the_batch(
    tmp_path: Path, images: Tensor
) -> None:
    found, before = estimator(contract(means(tmp_path), SIZE, attributes(MEAN_RED))), images.clone()
    together = found.estimate(images)
    alone = torch.cat([found.estimate(image[None]) for image in images])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-6)
    assert torch.equal(images, before)


def test_the_fingerprint_is_of_weights_and_reading_but_not_of_the_place(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first = estimator(contract(means(tmp_path), SIZE, attributes(MEAN_RED))).fingerprint
    moved = estimator(contract(means(tmp_path / "other"), SIZE, attributes(MEAN_RED)))
    scaled = contract(means(tmp_path), SIZE, attributes(MEAN_RED | {"gain": 2}))
    bias = np.ones(3)
    weights = linear_model(tmp_path / "w.onnx", SIZE, channel_means(SIZE), bias)
    assert moved.fingerprint == first
    assert estimator(scaled).fingerprint != first
    assert estimator(contract(weights, SIZE, attributes(MEAN_RED))).fingerprint != first


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"licence": ""}, InputError, "licence"),
        ({"inputs": {}}, InputError, "inputs: Extra inputs.*Keys: model, licence, input"),
        ({"model": "none.onnx", "source": "https://example.org"}, InputError, "example.org"),
        ({"sha256": "0" * 64}, CorruptArtefact, "it is another file"),
        ({"input": {"scale": 0}}, InputError, "scale divides"),
        ({"input": {"size": [8, 8]}}, InputError, r"Correct its size or layout"),
        ({"input": {"layout": "nhwc"}}, InputError, r"makes \[N, 4, 6, 3\]"),
        ({"input": {"name": "imag"}}, UnknownName, "did you mean 'image'"),
        ({"input": {"crop": [0, 1, 1, 0]}}, InputError, "crop is top, left"),
        ({"output": attributes({"name": "age"})}, InputError, "needs a range"),
        ({"output": {"meaning": "embedding", "same_person_threshold": 0}}, InputError, "means"),
    ],
)
def test_a_contract_that_cannot_hold_is_refused(
    tmp_path: Path, changes: dict[str, Any], error: type[Exception], told: str
) -> None:
    output = changes.pop("output", attributes(MEAN_RED))
    path = contract(means(tmp_path), SIZE, output, **changes)
    with pytest.raises(error, match=told):
        estimator(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model: &x m.onnx\nlicence: *x\n", "aliases are not allowed"),
        ("model: a\nmodel: b\n", "key 'model' occurs twice"),
        ("model: !!python/object/apply:os.getcwd []\n", "is not YAML"),
        ("[" * 3000, "is not YAML"),
        ("- a list", "valid dictionary"),
        ("#" * (1 << 21), "more than 65,536"),
        ("\x00", "is not YAML"),
    ],
)
def test_yaml_that_is_no_contract_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "contract.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=told):
        estimator(path)


def test_a_wrong_column_or_output_is_refused(tmp_path: Path, images: Tensor) -> None:
    column = contract(means(tmp_path, "a"), SIZE, attributes(MEAN_RED | {"column": 3}))
    with pytest.raises(InputError, match="has 3 numbers a row"):
        estimator(column).estimate(images)
    output = contract(means(tmp_path, "b"), SIZE, attributes(MEAN_RED | {"output": "score"}))
    with pytest.raises(UnknownName, match="did you mean 'scores'"):
        estimator(output).estimate(images)
    with pytest.raises(InputError, match=r"shape \(N, 3, H, W\)"):
        estimator(contract(means(tmp_path), SIZE, attributes(MEAN_RED))).estimate(images[0])


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"no model at all")
    path = contract(tmp_path / "m.onnx", SIZE, attributes(MEAN_RED))
    with pytest.raises(CorruptArtefact, match="cannot load"):
        estimator(path)


def test_a_recorded_hash_lets_its_file_pass(tmp_path: Path) -> None:
    model = means(tmp_path)
    path = contract(model, SIZE, attributes(MEAN_RED), sha256=file_digest(model))
    assert estimator(path).card()["licence"] == "made by a test"


def test_without_options_it_says_what_to_give() -> None:
    for kind, name in (("estimator", "faces-onnx"), ("identity", "faces-onnx-identity")):
        with pytest.raises(InputError, match="give the option contract"):
            REGISTRY.build(kind, name)
