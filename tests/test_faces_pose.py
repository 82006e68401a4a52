"""Head pose: a face whose turn is known is projected, and its turn is found again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from onnx_files import contract, linear_model
from torch import Tensor

from latentedit import AttributeEstimator, InputError, Registry, UnknownName
from latentedit_faces.weak_perspective import FACE, head_angles, head_rotation, weak_perspective

PLACES = torch.tensor(list(FACE.values()))
SIZE = (8, 16)
REGISTRY = Registry.discover()


def grid(roll: float = 0.0) -> Tensor:
    turns = torch.linspace(-60, 60, 9)
    return torch.stack([*torch.meshgrid(turns, turns / 1.5, indexing="ij")], -1).reshape(
        -1, 2
    ).double() @ torch.eye(2, 3).double() + torch.tensor([0.0, 0.0, roll])


def projected(angles: Tensor, distance: float | None = None) -> Tensor:
    """(N, P, 2): in weak perspective, or from a camera `distance` millimetres before the face."""
    turned = PLACES.double() @ head_rotation(angles).mT
    depth = 1.0 if distance is None else (1 - turned[..., 2:] / distance)
    return turned[..., :2] / depth


@pytest.mark.parametrize("roll", [0.0, 25.0])
def test_weak_perspective_is_inverted_exactly(roll: float) -> None:
    angles = grid(roll)
    shown = 0.01 * projected(angles) + torch.tensor([0.4, -0.2])
    rotation, residual = weak_perspective(shown, PLACES)
    torch.testing.assert_close(head_angles(rotation), angles, atol=1e-6, rtol=0)
    assert residual.max() < 1e-6
    identity = torch.eye(3).double().expand(len(angles), 3, 3)
    torch.testing.assert_close(rotation @ rotation.mT, identity, atol=1e-9, rtol=0)
    ones = torch.ones(len(angles)).double()
    torch.testing.assert_close(torch.linalg.det(rotation), ones)


def test_signs_are_as_documented() -> None:
    """A nose to the image's right is a positive yaw, a nose that points up a positive pitch."""
    nose = torch.tensor([0.0, 0.0, 1.0]).double()
    right, up = head_rotation(torch.tensor([[30.0, 0.0, 0.0], [0.0, 30.0, 0.0]])) @ nose
    half, tall = 0.5, 0.75**0.5
    assert right.tolist() == pytest.approx([half, 0, tall])
    assert up.tolist() == pytest.approx([0, half, tall])


def test_a_camera_at_a_portraits_distance_costs_a_degree_or_two() -> None:
    angles = grid()
    rotation, _ = weak_perspective(projected(angles, distance=1200.0), PLACES)
    off = (head_angles(rotation) - angles).abs()
    assert off[:, :2].mean() < 1
    assert off[:, 0].max() < 1.5
    assert off[:, 1].max() < 2.5


def test_noise_moves_the_angles_little_and_shows_in_the_residual() -> None:
    angles = grid()
    noise = torch.randn(len(angles), len(PLACES), 2, generator=torch.Generator().manual_seed(0))
    rotation, residual = weak_perspective(projected(angles) + 1.5 * noise, PLACES)
    assert (head_angles(rotation) - angles)[:, :2].square().mean().sqrt() < 4
    assert 0.005 < residual.mean() < 0.05


def test_what_tells_nothing_about_depth_is_refused() -> None:
    flat = PLACES * torch.tensor([1.0, 1.0, 0.0])
    with pytest.raises(InputError, match="one plane"):
        weak_perspective(torch.zeros(1, len(flat), 2), flat)
    with pytest.raises(InputError, match="P ≥ 4"):
        weak_perspective(torch.zeros(1, 3, 2), PLACES[:3])


def pose(folder: Path, unit: str, points: dict[str, int] | None = None) -> AttributeEstimator:
    """An estimator whose landmark model reads the coordinates off the first pixels of an image."""
    height, width = SIZE
    sides = np.tile([width, height], len(FACE))
    gain, offset = {"signed": (1, 0), "shares": (0.5, 0.5), "pixels": (sides / 2, sides / 2)}[unit]
    weight = np.eye(3 * height * width, 2 * len(FACE)) * gain
    model = linear_model(folder / "landmarks.onnx", SIZE, weight, np.zeros(len(sides)) + offset)
    named = points or {name: i for i, name in enumerate(FACE)}
    output = {"meaning": "landmarks", "unit": unit, "points": named}
    options = {"landmarks": str(contract(model, SIZE, output)), "angles": ["yaw", "pitch", "roll"]}
    return REGISTRY.estimator("faces-pose", options)


def pictures(angles: Tensor) -> Tensor:
    """(N, 3, H, W) images that carry the landmarks of turned faces in their first pixels, as
    coordinates from -1 to 1 with y downwards."""
    height, width = SIZE
    shown = projected(angles) / 200 * torch.tensor([height / width, -1.0])
    images = torch.zeros(len(angles), 3 * height * width)
    images[:, : 2 * len(FACE)] = shown.flatten(1)
    return images.view(-1, 3, height, width)


@pytest.mark.parametrize("unit", ["shares", "pixels", "signed"])
def test_an_estimator_finds_the_pose_whatever_the_unit(tmp_path: Path, unit: str) -> None:
    angles = grid(roll=7.0)
    found = pose(tmp_path, unit).estimate(pictures(angles))
    torch.testing.assert_close(found, angles.float(), atol=1e-2, rtol=0)


def test_the_schema_is_in_degrees(tmp_path: Path) -> None:
    schema = pose(tmp_path, "shares").schema
    assert schema.names == ("yaw", "pitch", "roll")
    assert {(a.low, a.high, a.unit) for a in schema} == {(-90.0, 90.0, "degrees")}


def test_unknown_places_and_absent_points_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'nose_tip'"):
        pose(tmp_path, "shares", {"nose_tp": 0, "chin": 1, "nose_bridge": 2, "mouth_left": 3})
    named = {name: i + 90 for i, name in enumerate(FACE)}
    with pytest.raises(InputError, match="holds no point 98"):
        pose(tmp_path, "shares", named).estimate(torch.zeros(1, 3, *SIZE))
