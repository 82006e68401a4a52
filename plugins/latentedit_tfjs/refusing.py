"""The refusal of a file that is damaged, hostile, or of another kind."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from latentedit import RefusedFile

REMEDY = "Nothing in the file was run. Get the published package again"


def refuse(path: Path, what: str, remedy: str = REMEDY) -> NoReturn:
    """Raise `RefusedFile`."""
    raise RefusedFile(path, 0, what, remedy)
