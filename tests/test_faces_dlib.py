"""dlib's recogniser: what is given to dlib, and what is made of its answer.

The network that dlib publishes is not in the project, so a stand-in answers for it. With dlib
installed the detector, the landmarks and the chips are dlib's own, with a shape predictor that the
test trains; without it those tests are skipped.
"""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentedit import (
    CorruptArtefact,
    EnvironmentFault,
    IdentityEncoder,
    InputError,
    Registry,
)

REGISTRY = Registry.discover()


class Recogniser:
    """A stand-in: a fixed linear map of the chip's mean colours."""

    def __init__(self, path: str) -> None:
        if b"network" not in Path(path).read_bytes():
            raise RuntimeError("unexpected version")

    def compute_face_descriptor(self, chips: list[NDArray[np.uint8]]) -> list[list[float]]:
        assert all(chip.shape == (150, 150, 3) and chip.dtype == np.uint8 for chip in chips)
        weight = np.random.default_rng(0).normal(size=(3, 128))
        return [(chip.mean((0, 1)) @ weight).tolist() for chip in chips]


class Box(SimpleNamespace):
    def area(self) -> int:
        return int((self.right - self.left) * (self.bottom - self.top))


def stand_in(boxes: list[Box]) -> Any:
    """A module with the functions of dlib that are used, and a note of how they were called."""
    module: Any = ModuleType("dlib")
    module.seen = []

    def chip(shades: NDArray[np.uint8], face: Box, size: int, padding: float) -> NDArray[np.uint8]:
        module.seen.append(face)
        part = shades[face.top : face.bottom, face.left : face.right]
        return np.broadcast_to(part.mean((0, 1)).round().astype(np.uint8), (size, size, 3))

    module.face_recognition_model_v1 = Recogniser
    module.shape_predictor = lambda path: lambda shades, box: box
    module.get_frontal_face_detector = lambda: lambda shades, scale: boxes
    module.rectangle = lambda a, b, c, d: Box(left=a, top=b, right=c, bottom=d)
    module.get_face_chip = chip
    return module


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "r.dat").write_bytes(b"a network")
    (tmp_path / "l.dat").write_bytes(b"landmarks")
    paths = {"recogniser": str(tmp_path / "r.dat"), "landmarks": str(tmp_path / "l.dat")}
    return paths | {"same_person_threshold": 0.9}


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 3, 100, 80, generator=torch.Generator().manual_seed(0)) * 2 - 1


def dlib_identity(options: dict[str, Any]) -> IdentityEncoder:
    return REGISTRY.identity("faces-dlib-identity", options)


def test_the_largest_face_is_embedded(
    files: dict[str, Any], images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Box(left=0, top=0, right=10, bottom=10)
    large = Box(left=20, top=30, right=60, bottom=90)
    module = stand_in([small, large])
    monkeypatch.setitem(sys.modules, "dlib", module)
    encoder = dlib_identity(files)
    found = encoder.embed(images)
    assert found.shape == (3, 128)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))
    assert module.seen == [large] * 3
    shades = ((images[:, :, 30:90, 20:60] + 1) * 127.5).round().mean((2, 3)).round().double()
    rows = shades @ torch.from_numpy(np.random.default_rng(0).normal(size=(3, 128)))
    expected = torch.nn.functional.normalize(rows, dim=1).float()
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)
    assert encoder.same_person_threshold == 0.9
    assert "public domain" in encoder.card()["licence"]
    assert encoder.embed(images[:0]).shape == (0, 128)


def test_where_no_face_is_seen_the_middle_of_a_portrait_is_taken(
    files: dict[str, Any], images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = stand_in([])
    monkeypatch.setitem(sys.modules, "dlib", module)
    dlib_identity(files).embed(images[:1])
    assert module.seen == [Box(left=16, top=30, right=64, bottom=90)]


def test_the_fingerprint_is_of_the_files(
    files: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dlib", stand_in([]))
    first = dlib_identity(files).fingerprint
    assert dlib_identity(files).fingerprint == first
    Path(files["recogniser"]).write_bytes(b"another network")
    assert dlib_identity(files).fingerprint != first


def test_missing_and_wrong_files_say_where_to_get_them(
    files: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dlib", stand_in([]))
    with pytest.raises(InputError, match=r"no file nowhere.*github.com/davisking/dlib-models"):
        dlib_identity(files | {"landmarks": "nowhere"})
    Path(files["recogniser"]).write_bytes(b"something else")
    with pytest.raises(CorruptArtefact, match=r"cannot read.*unexpected version"):
        dlib_identity(files)


def test_with_dlib_itself(
    files: dict[str, Any], images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    dlib = pytest.importorskip("dlib", reason="dlib is not installed: pip install dlib-bin")
    with pytest.raises(CorruptArtefact, match="dlib cannot read"):
        dlib_identity(files)
    shades = np.random.default_rng(0).integers(0, 255, (100, 80, 3), np.uint8)
    box = dlib.rectangle(16, 30, 64, 90)
    eyes = [dlib.point(*p) for p in ((60, 45), (48, 45), (20, 45), (32, 45), (40, 65))]
    settings = dlib.shape_predictor_training_options()
    settings.tree_depth, settings.cascade_depth, settings.oversampling_amount = 2, 2, 5
    predictor = dlib.train_shape_predictor(
        [shades] * 3, [[dlib.full_object_detection(box, eyes)]] * 3, settings
    )
    predictor.save(files["landmarks"])
    monkeypatch.setattr(dlib, "face_recognition_model_v1", Recogniser)
    found = dlib_identity(files).embed(images)
    assert found.shape == (3, 128)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))


def installed() -> bool:
    try:
        return bool(distribution("face-recognition-models").version)
    except PackageNotFoundError:
        return False


def test_models_of_the_installed_package_need_no_path() -> None:
    pytest.importorskip("dlib", reason="dlib is not installed: pip install dlib-bin")
    skimage = pytest.importorskip("skimage", reason="a portrait: pip install scikit-image")
    if not installed():
        pytest.skip("needs face-recognition-models: pip install 'latentedit[faces]'")
    portrait = skimage.data.astronaut()[:280, 80:360]
    images = torch.from_numpy(portrait.copy()).permute(2, 0, 1)[None] / 127.5 - 1
    encoder = dlib_identity({})
    rows = encoder.embed(torch.cat([images, images.flip(3)]))
    assert float(rows[0] @ rows[1]) > encoder.same_person_threshold
    found = REGISTRY.build("landmarks", "faces-dlib-landmarks").find(portrait)
    assert found is not None
    eyes = np.array([found.left_eye, found.right_eye])
    assert np.abs(eyes - [[123, 102], [166, 105]]).max() < 4
    assert REGISTRY.build("landmarks", "faces-dlib-landmarks").find(portrait[200:]) is None


def test_without_the_package_the_error_says_what_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("latentedit_faces.installed.distribution", absent)
    with pytest.raises(EnvironmentFault, match=r"face-recognition-models.*latentedit\[faces\]"):
        dlib_identity({})
