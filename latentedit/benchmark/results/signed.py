"""Records that hold the digest of everything else that they say, as their last field."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from latentedit.errors import CorruptArtefact
from latentedit.files.artefacts import Digest, canonical_json, read_json, write_json
from latentedit.files.records import parsed_record
from latentedit.files.regular import opened

Record = TypeVar("Record", bound=BaseModel)

DIGEST = "sha256"
"""The field."""
_END = re.compile(rb'"sha256": "([0-9a-f]{64})"\s*\}\s*$')
_TAIL = 200
"""Bytes at the end of a file that hold the field."""


def write_signed(path: Path, record: dict[str, Any]) -> Digest:
    digest = hashlib.sha256(canonical_json(record)).hexdigest()
    write_json(path, record | {DIGEST: digest})
    return digest


def read_signed(path: Path, model: type[Record], remedy: str) -> Record:
    """The record at `path`; raises as `read_record` does, and if it was changed.

    Args:
        remedy: what to do about a changed one, a sentence.
    """
    found = read_json(path)
    recorded = found.pop(DIGEST, None) if isinstance(found, dict) else None
    record = parsed_record(found, model, path)
    if recorded != hashlib.sha256(canonical_json(found)).hexdigest():
        raise CorruptArtefact(f"{path} is not as it was written. {remedy}")
    return record


def recorded_digest(path: Path) -> Digest:
    """The digest that a record says it has, read off its end without a check.

    Raises:
        InputError: there is no regular file.
        CorruptArtefact: its last field is no digest.
    """
    with opened(path) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
        found = _END.search(file.read())
    if found is None:
        raise CorruptArtefact(f"{path} does not end in its digest; it was changed or cut")
    return found[1].decode()
