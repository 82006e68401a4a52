"""Head rotation from a few image points, in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

from latentedit import InputError

FACE: dict[str, tuple[float, float, float]] = {
    "nose_tip": (0.0, 0.0, 22.0),
    "nose_bridge": (0.0, 42.0, 2.0),
    "chin": (0.0, -68.0, -8.0),
    "right_eye_outer": (-45.0, 36.0, -25.0),
    "left_eye_outer": (45.0, 36.0, -25.0),
    "right_eye_inner": (-16.0, 36.0, -14.0),
    "left_eye_inner": (16.0, 36.0, -14.0),
    "mouth_right": (-26.0, -32.0, -9.0),
    "mouth_left": (26.0, -32.0, -9.0),
}
"""Points of a middling adult face in millimetres: x to the image's right (where the person's left
is), y up, z towards the viewer. Widths are of usual size (90 between outer and 32 between inner
corners of the eyes, 52 between those of the mouth); depths are estimates of this project, and pitch
has the error of those: measure a few faces of known pitch, or declare your own points."""

LEAST_DEPTH = 0.05
"""Smallest spread of the points in their thinnest direction, as a share of the widest. Flat points
do not determine the rotation."""


def weak_perspective(points: Tensor, face: Tensor) -> tuple[Tensor, Tensor]:
    """Rotations and relative residuals of N faces.

        points_i ≈ s · (R face_i)_xy + t

    Without the condition on R the least squares are linear: with centred points, M = s·R_xy is
    pointsᵀ face (faceᵀ face)⁻¹. The nearest pair of orthogonal rows of equal length is U Vᵀ of
    M = U S Vᵀ, and R's third row is their cross product.

    Args:
        points: (N, P, 2) in the image, y *upwards*, in any unit.
        face: (P, 3), not all in one plane.

    Returns:
        (N, 3, 3) rotations, and (N,) root mean square distance between the points and the fitted
        face, as a share of the points' spread: large if the landmarks are not those of a face.

    Raises:
        InputError: fewer than 4 points, or flat ones.
    """
    if points.shape[1:] != (len(face), 2) or len(face) < 4:
        raise InputError(
            f"pose needs (N, P, 2) points of P ≥ 4 places of a face, received "
            f"{tuple(points.shape)} for {len(face)} places"
        )
    points, face = points.double(), face.double()
    centred, model = points - points.mean(1, keepdim=True), face - face.mean(0)
    spread = torch.linalg.svdvals(model)
    if spread[2] < LEAST_DEPTH * spread[0]:
        raise InputError("the points of the face lie in one plane; add the tip of the nose")
    affine = centred.mT @ model @ torch.linalg.inv(model.T @ model)
    u, s, vh = torch.linalg.svd(affine, full_matrices=False)
    rows = u @ vh
    rotation = torch.cat([rows, torch.linalg.cross(rows[:, 0], rows[:, 1])[:, None]], 1)
    fitted = s.mean(1)[:, None, None] * model @ rows.mT
    error = (centred - fitted).square().sum((1, 2)).sqrt()
    size = centred.square().sum((1, 2)).sqrt().clamp_min(1e-12)
    return rotation, error / size


def head_angles(rotation: Tensor) -> Tensor:
    """(N, 3, 3) → (N, 3) yaw, pitch and roll in degrees.

    R = R_roll R_yaw R_pitch; yaw is positive where the nose points to the image's right, pitch
    where it points up, roll where the head leans counterclockwise in the image.

    >>> head_angles(head_rotation(torch.tensor([[30.0, -10.0, 5.0]]))).round(decimals=3).tolist()
    [[30.0, -10.0, 5.0]]
    """
    yaw = torch.asin((-rotation[:, 2, 0]).clamp(-1, 1))
    pitch = torch.atan2(-rotation[:, 2, 1], rotation[:, 2, 2])
    roll = torch.atan2(rotation[:, 1, 0], rotation[:, 0, 0])
    return torch.rad2deg(torch.stack([yaw, pitch, roll], 1))


def head_rotation(angles: Tensor) -> Tensor:
    """(N, 3) yaw, pitch and roll in degrees → (N, 3, 3)."""
    yaw, pitch, roll = torch.deg2rad(angles.double()).unbind(1)
    none, one = torch.zeros_like(yaw), torch.ones_like(yaw)
    turn = [yaw.cos(), none, yaw.sin(), none, one, none, -yaw.sin(), none, yaw.cos()]
    nod = [one, none, none, none, pitch.cos(), pitch.sin(), none, -pitch.sin(), pitch.cos()]
    lean = [roll.cos(), -roll.sin(), none, roll.sin(), roll.cos(), none, none, none, one]
    turned, nodded, leaned = (torch.stack(m, 1).view(-1, 3, 3) for m in (turn, nod, lean))
    return leaned @ turned @ nodded
