"""Constants of the StyleFlow release, as plain data."""

from __future__ import annotations

RELEASED_GAINS = {
    "gender": 1.5,
    "glasses": 2.5,
    "yaw": 1.0,
    "pitch": 1.0,
    "baldness": 2.0,
    "beard": 1.7,
    "age": 0.93,
    "expression": 1.0,
}
"""Factors by which the release's interface multiplies requested changes."""
