"""Imported networks, read once in a process."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from torch import Tensor

from latentedit import CorruptArtefact, check_digest, read_record, read_tensors
from latentedit_tfjs.graph import Graph
from latentedit_tfjs.network import Network
from latentedit_tfjs.onnx_model import check_libraries
from latentedit_tfjs.packages import (
    FACE_API,
    HUMAN_MODELS,
    Package,
    PackageRecord,
    installed,
)
from latentedit_tfjs.residual_network import ResidualNetwork
from latentedit_tfjs.separable_networks import SeparableNetwork

RECOGNISER = "face_recognition"


def record_of(package: Package, path: Path | None, needed_by: str) -> PackageRecord:
    """The record of a package, if it and what runs its networks are installed."""
    record = installed(package, path, needed_by)[1]
    check_libraries(needed_by)
    return record


@lru_cache(maxsize=8)
def read_human(name: str, path: Path | None) -> Network:
    """A graph of human-models with its weights."""
    folder, weights = _weights(HUMAN_MODELS, name, path)
    return Network(read_record(folder / f"{name}.json", Graph), weights)


@lru_cache(maxsize=8)
def read_separable(name: str, path: Path | None) -> SeparableNetwork:
    """A network of face-api that reads attributes."""
    return SeparableNetwork(_weights(FACE_API, name, path)[1])


@lru_cache(maxsize=8)
def read_residual(path: Path | None) -> ResidualNetwork:
    """The recogniser of face-api."""
    return ResidualNetwork(_weights(FACE_API, RECOGNISER, path)[1])


def digest_of(package: Package, name: str, path: Path | None) -> str:
    """SHA-256 of the weights of a network.

    Raises:
        CorruptArtefact: the package was imported without this network.
    """
    folder, record = installed(package, path, name)
    if name not in record.weights_sha256:
        raise CorruptArtefact(f"{folder} has no network {name}. Remove it, and: {package.install}")
    return record.weights_sha256[name]


def _weights(package: Package, name: str, path: Path | None) -> tuple[Path, dict[str, Tensor]]:
    folder, digest = installed(package, path, name)[0], digest_of(package, name, path)
    file = folder / f"{name}.safetensors"
    check_digest(file, digest, "its import", f"again: {package.install}")
    return folder, read_tensors(file)
