"""Interfaces of importers: files of other projects to files of this one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from torch import Tensor

from latentedit.data.attributes import AttributeSchema


class ImportedWeights(Protocol):
    """A successful import of weights. Its text describes the network and its licence."""

    @property
    def folder(self) -> Path:
        """The folder that was written."""

    @property
    def next_step(self) -> str:
        """A command that uses the folder, as a suggestion."""


class WeightImporter(ABC):
    """Reads weight files of one kind. It executes no code from a file.

    Class attributes:
        home: folder in the cache where plugins look for what is imported, if they need no path.
    """

    home: ClassVar[str] = ""

    def terms(self, file: Path) -> str:
        """Licence and size of `file`, shown before it is read; nothing by default."""
        return ""

    @abstractmethod
    def read(self, file: Path, out: Path) -> ImportedWeights:
        """Write the weights in `file` as safetensors, with a manifest, to a new folder.

        Args:
            out: a folder that does not exist yet; it is written completely or not at all.

        Raises:
            RefusedFile: the file is damaged, hostile, or holds something else.
            InputError: its weights are not those of a known network.
        """


@dataclass(frozen=True)
class ImportedCodes:
    """Codes of another project, with the attributes measured there.

    Args:
        codes: (N, \\*shape) of W or W+, float32.
        attributes: (N, A), natural units, float32.
        schema: the columns of `attributes`.
    """

    codes: Tensor
    attributes: Tensor
    schema: AttributeSchema


class BankImporter(ABC):
    """Reads codes and attributes in one layout of files."""

    @abstractmethod
    def read(self, folder: Path) -> ImportedCodes:
        """Codes and attributes from the files in `folder`, all finite and within their ranges.

        Raises:
            InputError: a file is missing, or two files have different numbers of rows.
            CorruptArtefact: a file is damaged, or is not an array of the expected shape.
            OutOfRange: an attribute value is outside its range.
        """
