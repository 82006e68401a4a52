"""Strict models of what a bank's `bank.json` says."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from latentedit.data.attributes import AttributeKind
from latentedit.files.artefacts import Digest
from latentedit.files.records import StrictRecord

Number = int | float
"""A number as it was written: 1 stays apart from 1.0, which hash differently."""


class AttributeRecord(StrictRecord):
    """An `Attribute`; see there."""

    name: str
    kind: AttributeKind
    low: Number
    high: Number
    unit: str = ""
    size: int = 1
    named: dict[str, list[Number]] = Field(default_factory=dict)


class ModelRecord(StrictRecord):
    """A `ModelReference`; see there."""

    name: str
    options: dict[str, Any]
    fingerprint: Digest
    code: dict[str, str] = Field(default_factory=dict)


class ShardRecord(StrictRecord):
    """One file of codes and attributes, or the seed from which they are drawn.

    Args:
        split: ``"fit"`` or ``"test"``.
        file: its name within the bank.
        rows: how many images it has.
        sha256: of its bytes.
        seed: of its codes, where it has no file.
        space: of its codes, where that is not the bank's.
    """

    split: str
    rows: int
    file: str = ""
    sha256: Digest = ""
    seed: int = -1
    space: str | None = None

    @model_validator(mode="after")
    def _stored_or_drawn(self) -> ShardRecord:
        given = bool(self.file), bool(self.sha256), self.seed >= 0
        if given not in ((True, True, False), (False, False, True)):
            raise ValueError("has a file and its sha256, or else a seed")
        return self


class InverterRecord(StrictRecord):
    name: str
    options: dict[str, Any]


class LossRecord(StrictRecord):
    name: str
    weight: Number
    fingerprint: Digest


class InversionRecord(StrictRecord):
    """How the codes of photographs were found, and how well.

    Args:
        inverter: a plugin and its options.
        losses: perceptual losses and their weights.
        seed: of the inverter.
        tuned: fingerprint of the generator as it was tuned to the photographs.
        figures: what the inverter reported.
        photographs: of each, its name, how it was cut, and errors by name.
        files: sha256 of each further file of the bank, by name.
    """

    inverter: InverterRecord
    losses: list[LossRecord]
    seed: int
    tuned: Digest | None
    figures: dict[str, Number]
    photographs: list[dict[str, str | Number]]
    files: dict[str, Digest]


class BankRecord(StrictRecord):
    """A bank; see `LatentBank`."""

    format: int
    space: str
    attributes: list[AttributeRecord] = Field(alias="schema")
    generator: ModelRecord
    labeller: ModelRecord
    sampling: dict[str, Any]
    shards: list[ShardRecord]
    inversion: InversionRecord | None = None
    root: str | None = None
