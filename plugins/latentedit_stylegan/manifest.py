"""The manifest of imported weights: their origin and the network's shape."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError

from latentedit import CorruptArtefact, InputError, Options, read_json
from latentedit_stylegan.alias_free_architecture import AliasFreeArchitecture
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


class Origin(Options):
    """Where an imported network comes from.

    Args:
        format: version of this file.
        source: name of the imported file.
        source_sha256: of the imported file.
        source_format: container and layout that it had.
        licence: a reminder.
        found: the content of the file, in words.
        weights_sha256: of the weights that were written.
        parity: the self-check.
    """

    format: Literal[1] = 1
    source: str
    source_sha256: str
    source_format: str
    licence: str
    found: tuple[str, ...]
    weights_sha256: str
    parity: Parity


class Manifest(Origin):
    """The origin and the shape of a StyleGAN2 network."""

    generator: Literal["stylegan2"] = "stylegan2"
    architecture: Architecture


class AliasFreeManifest(Origin):
    """The origin and the shape of a StyleGAN3 network."""

    generator: Literal["stylegan3"] = "stylegan3"
    architecture: AliasFreeArchitecture


AnyManifest = Manifest | AliasFreeManifest
M = TypeVar("M", Manifest, AliasFreeManifest)


def read_manifest(path: Path, kind: type[M]) -> M:
    """Raises `InputError` where there is none or it is another generator's, `CorruptArtefact` where
    it is not one."""
    content, wanted = read_json(path), kind.model_fields["generator"].default
    written = content.get("generator") if isinstance(content, dict) else None
    if isinstance(written, str) and written in ("stylegan2", "stylegan3") and written != wanted:
        raise InputError(f"{path.parent} holds a {written} network: build {written}, not {wanted}")
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "it"
        raise CorruptArtefact(
            f"{path}: {place}: {first['msg']}. Import the network again."
        ) from None
