"""JSON records on disk, read through one strict model each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from latentedit.errors import CorruptArtefact
from latentedit.files.artefacts import read_json

Record = TypeVar("Record", bound=BaseModel)


class StrictRecord(BaseModel):
    """Base of records: unknown fields are refused, and values are not converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


def read_record(path: Path, model: type[Record]) -> Record:
    """The record at `path` as an instance of `model`.

    Raises:
        InputError: there is no file.
        CorruptArtefact: it is not JSON, or does not fit `model`; names the first wrong field.
    """
    return parsed_record(read_json(path), model, path)


def parsed_record(value: object, model: type[Record], where: Path) -> Record:
    """`value`, read from `where`, as an instance of `model`; raises as `read_record` does.

    Strict models are checked by the rules of JSON: an array may become a tuple, an object a
    dataclass, but no text a number.
    """
    try:
        return model.model_validate_json(json.dumps(value))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise CorruptArtefact(
            f"{where}: {place}: {first['msg']}; the file was changed or written by another version"
        ) from None
