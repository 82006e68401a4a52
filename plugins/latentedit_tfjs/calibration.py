"""Scales of readings: the mean and standard deviation of each on one generator's faces.

A labeller and a judge of different families have different raw scales. Both are read in standard
deviations of the same unedited faces, so that one request means the same to both.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from latentedit import InputError, StrictRecord, read_record

SHIPPED = Path(__file__).parent / "calibration.json"


class Scale(StrictRecord):
    """Mean and standard deviation of a raw reading."""

    mean: float
    deviation: float


class Verification(StrictRecord):
    """How well a recogniser tells faces apart whose identity is known.

    Args:
        area: under the ROC curve of pairs of one face and of two, for faces of the generator.
        threshold: the cosine at a false accept rate of 1e-3.
        people: the area for people of `synthface` in two pictures each.
        portrait: the least cosine of a photograph with variations of it.
    """

    area: float
    threshold: float
    people: float
    portrait: float


class Calibration(StrictRecord):
    """What ``calibration.json`` holds; ``benchmarks/real_faces.py calibrate`` writes it.

    Args:
        generator: name and fingerprint of the generator whose faces were read.
        faces: how many.
        scales: by family and reading.
        agreement: Spearman's ρ of both families by attribute, on other faces.
        error: root mean square difference of both families, in standard deviations.
        recognisers: by name.
    """

    generator: str
    fingerprint: str
    faces: int
    found: float
    scales: dict[str, dict[str, Scale]]
    agreement: dict[str, float]
    error: dict[str, float]
    recognisers: dict[str, Verification]


def read_calibration(path: Path | None) -> Calibration:
    """A calibration of one's own, or that of `dcgan-faces`."""
    return read_record(path or SHIPPED, Calibration)


def scaled(values: Tensor, name: str, scales: Mapping[str, Scale], where: str) -> Tensor:
    """Raw readings in standard deviations of unedited faces."""
    if name not in scales:
        raise InputError(f"the calibration has no reading {name!r} of {where}; calibrate again")
    return (values - scales[name].mean) / scales[name].deviation
