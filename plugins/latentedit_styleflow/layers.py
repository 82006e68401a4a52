"""The rows of W+ that the StyleFlow release lets each edit change."""

from __future__ import annotations

from latentedit import LayerPreset

RELEASED = LayerPreset(
    num_ws=18,
    by_attribute={
        "gender": range(8),
        "glasses": range(2, 4),
        "yaw": range(4),
        "pitch": range(4),
        "baldness": range(6),
        "beard": range(5, 10),
        "age": range(4, 8),
        "expression": range(4, 6),
        "lighting": range(7, 12),
    },
)
