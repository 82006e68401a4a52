"""The toy world with the estimators of latentedit_faces, and ONNX models that read its pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx_files import contract, linear_model
from toy import IDENTITY, MIDDLE, RESOLUTION, SCALE, SCHEMA, toy_registry

import latentedit_faces
import latentedit_linear
from latentedit import Registry

SIZE = (RESOLUTION, RESOLUTION)
PIXELS = RESOLUTION**2
SPAN = 16.0
"""As in toy: standard deviations between the middle of an attribute and the end of its range."""
NUMBERS = tuple(attribute for attribute in SCHEMA if attribute.size == 1)
DECLARED = [
    {"name": a.name, "kind": a.kind, "low": a.low, "high": a.high, "unit": a.unit} for a in NUMBERS
]


def registry() -> Registry:
    made = toy_registry()
    made.add(latentedit_faces, "faces")
    made.add(latentedit_linear, "linear")
    return made


def attribute_model(folder: Path) -> Path:
    """The contract of a model that reads age, glasses and yaw exactly."""
    model = linear_model(folder / "attributes.onnx", SIZE, np.eye(3 * PIXELS, len(NUMBERS)))
    rows = [
        said | {"column": i, "gain": float(SCALE[i]) * SPAN, "offset": float(MIDDLE[i])}
        for i, said in enumerate(DECLARED)
    ]
    return contract(model, SIZE, {"meaning": "attributes", "attributes": rows})


def identity_model(folder: Path) -> Path:
    """The contract of a model that reads the toy's identity exactly."""
    weight = np.eye(3 * PIXELS, IDENTITY, k=-PIXELS)
    model = linear_model(folder / "identity.onnx", SIZE, weight)
    output = {"meaning": "embedding", "same_person_threshold": 0.9}
    return contract(model, SIZE, output)


def feature_model(folder: Path) -> Path:
    """The contract of a model that gives the pixels of the first channel."""
    model = linear_model(folder / "features.onnx", SIZE, np.eye(3 * PIXELS, 8))
    return contract(model, SIZE, {"meaning": "features"})


def judge_file(folder: Path) -> Path:
    """A Python file whose function `judge` reads the same three attributes."""
    file = folder / "judging.py"
    gains, middles = (SCALE[:3] * SPAN).tolist(), MIDDLE[:3].tolist()
    file.write_text(
        "import torch\n"
        "def judge(images):\n"
        f"    return torch.tensor({middles}) + torch.tensor({gains}) * images[:, 0, 0, :3]\n"
    )
    return file
