"""Weights manifests of TensorFlow.js: names, shapes and types, and the bytes of shards.

A manifest is a list of groups. A group names its shards, whose bytes are joined, and its weights,
which follow each other in these bytes. A quantised weight holds scale · byte + min, or halves.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from latentedit_tfjs.refusing import refuse

MOST_WEIGHTS, LARGEST_WEIGHT = 10_000, 1 << 26
"""Weights of a manifest, and numbers of a weight."""
SHARD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Names of shards: files beside the manifest, never a path."""
STORED = {"float32": "<f4", "int32": "<i4", "float16": "<f2", "uint8": "u1", "uint16": "<u2"}


class Quantization(BaseModel):
    """How a weight is stored."""

    model_config = ConfigDict(strict=True, frozen=True)

    dtype: Literal["uint8", "uint16", "float16"]
    scale: float | None = Field(default=None, allow_inf_nan=False)
    min: float | None = Field(default=None, allow_inf_nan=False)


class Weight(BaseModel):
    """One entry."""

    model_config = ConfigDict(strict=True, frozen=True)

    name: str = Field(min_length=1, max_length=300)
    shape: list[int] = Field(max_length=6)
    dtype: Literal["float32", "int32"]
    quantization: Quantization | None = None

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    @property
    def stored(self) -> np.dtype[Any]:
        """The type of its numbers in the shards."""
        return np.dtype(STORED[self.quantization.dtype if self.quantization else self.dtype])


class Group(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    paths: list[str] = Field(min_length=1, max_length=1000)
    weights: list[Weight] = Field(max_length=MOST_WEIGHTS)


def read_weights(path: Path, manifest: object, shards: Mapping[str, bytes]) -> dict[str, Tensor]:
    """The weights of a manifest by name, float32 or int32.

    Args:
        path: of the package, for messages.
        manifest: parsed JSON, a list of groups.
        shards: the bytes of each shard by its file name.

    Raises:
        RefusedFile: a name, shape, type or size is not allowed, or does not fit the shards.
    """
    if not isinstance(manifest, list):
        refuse(path, "its weights manifest is no list")
    found: dict[str, Tensor] = {}
    for entry in manifest:
        try:
            group = Group.model_validate(entry)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            refuse(path, f"its weights manifest has {place}: {first['msg']}")
        for name, tensor in _of_group(path, group, shards).items():
            if name in found or len(found) >= MOST_WEIGHTS:
                refuse(path, f"weight {name[:80]!r} is there twice, or there are too many")
            found[name] = tensor
    return found


def _of_group(path: Path, group: Group, shards: Mapping[str, bytes]) -> dict[str, Tensor]:
    for name in group.paths:
        if not SHARD.fullmatch(name) or name not in shards:
            refuse(path, f"its weights manifest names a shard {name[:80]!r} that is not there")
    if len(set(group.paths)) < len(group.paths):
        refuse(path, "its weights manifest names a shard twice")
    for weight in group.weights:
        if any(side < 0 for side in weight.shape) or weight.count > LARGEST_WEIGHT:
            refuse(path, f"weight {weight.name[:80]!r} has shape {weight.shape}")
    data = b"".join(shards[name] for name in group.paths)
    expected = sum(weight.count * weight.stored.itemsize for weight in group.weights)
    if expected != len(data):
        refuse(path, f"its weights take {expected:,} bytes, and its shards have {len(data):,}")
    found, start = {}, 0
    for weight in group.weights:
        if weight.name in found:
            refuse(path, f"weight {weight.name[:80]!r} is there twice")
        numbers = np.frombuffer(data, weight.stored, weight.count, start)
        found[weight.name] = _tensor(path, weight, numbers)
        start += numbers.nbytes
    return found


def _tensor(path: Path, weight: Weight, numbers: np.ndarray[Any, Any]) -> Tensor:
    """The numbers, quantised ones as float32 or int32."""
    how = weight.quantization
    if how is not None and how.dtype != "float16":
        if how.scale is None or how.min is None:
            refuse(path, f"weight {weight.name[:80]!r} is quantised without scale and min")
        numbers = numbers.astype(np.float32) * np.float32(how.scale) + np.float32(how.min)
    if weight.dtype == "int32":
        numbers = np.rint(numbers)
    made = numbers.reshape(weight.shape).astype(np.dtype(weight.dtype))
    if not np.isfinite(made).all():
        refuse(path, f"weight {weight.name[:80]!r} is not finite")
    return torch.from_numpy(made.copy())
