"""The error for refused weight files."""

from __future__ import annotations

from pathlib import Path

from latentedit.errors import CorruptArtefact

CONVERT = (
    "Nothing in the file was executed. If you trust its source, save its weights as safetensors "
    "there. If it is a published network, download it again and compare its sha256"
)


class RefusedFile(CorruptArtefact):
    """A weight file that is damaged, hostile, or of an unsupported kind.

    Attributes:
        path: the file.
        offset: the byte at which reading stopped.
        remedy: what the user can do.
    """

    def __init__(self, path: Path, offset: int, what: str, remedy: str = CONVERT) -> None:
        self.path, self.offset, self.remedy = path, offset, remedy
        super().__init__(f"{path}, byte {offset}: {what}. {remedy}.")
