"""Interfaces of importers: files of other projects to files of this one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor

from latentedit.data.attributes import AttributeSchema


class ImportedWeights(Protocol):
    """An import of weights that succeeded; as text, what was found and under which licence."""

    @property
    def folder(self) -> Path:
        """What was written."""

    @property
    def next_step(self) -> str:
        """A command that uses the folder."""


class WeightImporter(ABC):
    """Reads weight files of one kind. Runs nothing that a file names."""

    @abstractmethod
    def read(self, file: Path, out: Path) -> ImportedWeights:
        """Write the weights in `file` as safetensors, with a manifest, to a new folder.

        Args:
            out: a folder that does not exist yet; it appears whole or not at all.

        Raises:
            RefusedFile: the file is damaged, hostile, or holds something else.
            InputError: its weights are not those of a known network.
        """


@dataclass(frozen=True)
class ImportedCodes:
    """Codes that others sampled, and attributes that others measured on their images.

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
        """Codes and attributes of the files in `folder`, every number finite and in its range.

        Raises:
            InputError: a file is missing, or two disagree about N.
            CorruptArtefact: a file is damaged, or is no array of the expected shape.
            OutOfRange: an attribute value outside its range.
        """
