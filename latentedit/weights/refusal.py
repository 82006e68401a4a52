"""The error for refused weight files."""

from __future__ import annotations

from pathlib import Path

from latentedit.errors import CorruptArtefact

CONVERT = (
    "Nothing in the file was run. If you trust where it comes from, save its weights as "
    "safetensors there; if it should be a published network, download it again and compare its "
    "sha256"
)


class RefusedFile(CorruptArtefact):
    """A weight file that is damaged, hostile, or of a kind that is not read.

    Attributes:
        path: the file.
        offset: the byte at which reading stopped.
        remedy: what the user can do.
    """

    def __init__(self, path: Path, offset: int, what: str, remedy: str = CONVERT) -> None:
        self.path, self.offset, self.remedy = path, offset, remedy
        super().__init__(f"{path}, byte {offset}: {what}. {remedy}.")
