"""What editors took, as ``costs.json`` holds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, RootModel

from latentedit.files.artefacts import write_json
from latentedit.files.records import read_record

COSTS = "costs.json"


@dataclass(frozen=True)
class Costs:
    """What one editor took: the median over fit seeds.

    Args:
        fit_seconds, tuning_seconds: wall clock; tuning is the sum over fit seeds.
        edit_ms_batch_1, edit_ms_batch_64: milliseconds an image, alone and in a batch of 64.
        peak_memory_mb: of the process that fitted, interpreter and models included.
        nfe: function evaluations of one edit.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    editor: str
    fit_seconds: float
    edit_ms_batch_1: float
    edit_ms_batch_64: float
    tuning_seconds: float
    peak_memory_mb: float
    nfe: float


class CostsRecord(RootModel[tuple[Costs, ...]]):
    """``costs.json``."""


def read_costs(folder: Path) -> tuple[Costs, ...]:
    """Of the run in `folder`; raises as `read_record` does."""
    return read_record(folder / COSTS, CostsRecord).root


def write_costs(folder: Path, costs: Sequence[Costs]) -> None:
    write_json(folder / COSTS, CostsRecord(tuple(costs)).model_dump(mode="json"))
