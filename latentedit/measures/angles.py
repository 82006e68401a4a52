"""Angular errors of pose and lighting, in degrees."""

from __future__ import annotations

import torch
from torch import Tensor

from latentedit.data.attributes import AttributeSchema


def angle_between(first: Tensor, second: Tensor) -> Tensor:
    """Angle between vectors (N, D) in degrees → (N,), accurate for small angles too.

    2 atan2(|u − v|, |u + v|) for unit vectors u and v (Kahan, "How futile are mindless assessments
    of roundoff", 2006, §12). The arc cosine of u·v loses half of the digits near 0°.

    >>> angle_between(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]]))
    tensor([90.])
    """
    u, v = (torch.nn.functional.normalize(part, dim=-1) for part in (first, second))
    return torch.rad2deg(2 * torch.atan2((u - v).norm(dim=-1), (u + v).norm(dim=-1)))


def facing(yaw: Tensor, pitch: Tensor) -> Tensor:
    """Unit vectors (N, 3) of the viewing direction, from yaw and pitch (N,) in degrees."""
    yaw, pitch = torch.deg2rad(yaw), torch.deg2rad(pitch)
    return torch.stack(
        [yaw.sin() * pitch.cos(), pitch.sin(), yaw.cos() * pitch.cos()],
        dim=-1,
    )


def pose_error(wanted: Tensor, after: Tensor, schema: AttributeSchema) -> Tensor | None:
    """Angle in degrees between target and actual viewing direction: (N, A) → (N,).

    It uses yaw and pitch if the schema has them in degrees; one of them is enough. None if it has
    neither.
    """
    known = [
        schema.columns(name).start
        if name in schema and schema[name].unit == "degrees" and schema[name].size == 1
        else None
        for name in ("yaw", "pitch")
    ]
    if known == [None, None]:
        return None

    def direction(values: Tensor) -> Tensor:
        nothing = values.new_zeros(len(values))
        return facing(*(nothing if column is None else values[:, column] for column in known))

    return angle_between(direction(wanted), direction(after))


def lighting_error(wanted: Tensor, after: Tensor, schema: AttributeSchema) -> Tensor | None:
    """Angle in degrees between vectors of lighting coefficients: (N, A) → (N,).

    It uses all coefficients of the attribute ``lighting``; None if the schema has no such vector.
    """
    if "lighting" not in schema or schema["lighting"].size < 2:
        return None
    columns = schema.columns("lighting")
    return angle_between(wanted[:, columns], after[:, columns])
