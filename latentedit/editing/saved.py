"""Fitted editors on disk.

EDITOR/config.json         the editor, its options, and what it was fitted on
EDITOR/model.safetensors   what fitting left
EDITOR/README.md           the same for people: the card that hubs of models show
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field
from torch import Tensor

from latentedit.data.records import AttributeRecord, ModelRecord
from latentedit.editing.card import CARD, card
from latentedit.errors import InputError
from latentedit.files.artefacts import (
    Digest,
    new_folder,
    read_tensors,
    write_bytes,
    write_json,
    write_tensors,
)
from latentedit.files.digests import check_digest
from latentedit.files.folders import seen_in
from latentedit.files.records import StrictRecord, read_record
from latentedit.files.regular import usable_name

CONFIG, MODEL = "config.json", "model.safetensors"


class EditorRecord(StrictRecord):
    """What `config.json` says; see `FittedEditor`.

    Args:
        editor: the plugin's name.
        attributes: the columns of source and target, written as ``"schema"``.
        sha256: of `model.safetensors`.
    """

    editor: str
    options: dict[str, Any]
    space: str
    attributes: list[AttributeRecord] = Field(alias="schema")
    generator: ModelRecord
    labeller: ModelRecord
    bank_hash: Digest
    seed: int
    figures: dict[str, float]
    sha256: Digest


def write_editor(folder: Path, config: Mapping[str, Any], fitted: Mapping[str, Tensor]) -> None:
    """Write a new folder.

    Args:
        config: the fields of `EditorRecord`, without the digest.
        fitted: tensors by name.
    """
    with new_folder(folder) as temporary:
        digest = write_tensors(temporary / MODEL, fitted)
        write_json(temporary / CONFIG, {**config, "sha256": digest})
        write_bytes(temporary / CARD, card(config).encode())


def read_editor(folder: Path) -> tuple[EditorRecord, dict[str, Tensor]]:
    """The record of a saved editor, and what fitting left.

    Raises:
        InputError: there is none.
        CorruptArtefact: a field of the record is missing or invalid; names it. Or the tensors are
            not those that were written.
    """
    if not (usable_name(folder) / CONFIG).is_file():
        raise InputError(
            f"{folder} is not a fitted editor: it has no {CONFIG}."
            + (
                seen_in(folder)
                or f" Make one with: latentedit fit EDITOR --bank BANK --out {folder}"
            )
        )
    record, model = read_record(folder / CONFIG, EditorRecord), folder / MODEL
    check_digest(model, record.sha256, CONFIG, "Fit the editor again.")
    return record, read_tensors(model)
