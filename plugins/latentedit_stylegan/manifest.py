"""What stands beside imported weights: where they come from, and what shape the network has."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from latentedit import CorruptArtefact, Options, read_json
from latentedit_stylegan.architecture import Architecture

MANIFEST, WEIGHTS = "manifest.json", "model.safetensors"


class Parity(Options):
    """The self-check of an import: the written weights, read again, against those in memory.

    Args:
        seed: of the codes that were compared.
        images: how many.
        largest_difference: between two images, in units of [-1, 1].
    """

    seed: int
    images: int
    largest_difference: float


class Manifest(Options):
    """The origin and the shape of an imported network.

    Args:
        format: version of this file.
        source: name of the imported file.
        source_sha256: of the imported file.
        source_format: container and layout that it had.
        licence: a reminder.
        found: plain statements about what the file held.
        architecture: shape of the network.
        weights_sha256: of the weights that were written.
        parity: the self-check.
    """

    format: Literal[1] = 1
    generator: Literal["stylegan2"] = "stylegan2"
    source: str
    source_sha256: str
    source_format: str
    licence: str
    found: tuple[str, ...]
    architecture: Architecture
    weights_sha256: str
    parity: Parity


def read_manifest(path: Path) -> Manifest:
    """Raises `InputError` where there is none, `CorruptArtefact` where it is not one."""
    try:
        return Manifest.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "it"
        raise CorruptArtefact(
            f"{path}: {place}: {first['msg']}. Import the network again."
        ) from None
