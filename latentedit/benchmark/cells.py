"""Cells: the units of work of a run, each in a folder of its own with the key that it answers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from latentedit.artefacts import (
    Digest,
    canonical_json,
    new_folder,
    read_json,
    read_tensors,
    write_json,
    write_tensors,
)
from latentedit.errors import CorruptArtefact, InputError

Status = Literal["ok", "failed", "crashed", "timeout"]


@dataclass(frozen=True)
class Cell:
    """One unit of work.

    Args:
        kind: ``"faces"`` (look at the unedited test faces), ``"fit"``, ``"edit"`` or
            ``"sequence"``.
        contestant: the editor or control, by its name in the suite.
        seed: the fit seed.
        task: the suite's name of it, or of the sequence.
        key: everything that decides the outcome; equal keys, equal results.
    """

    kind: Literal["faces", "fit", "edit", "sequence"]
    key: Mapping[str, Any]
    contestant: str = ""
    seed: int = 0
    task: str = ""

    @property
    def id(self) -> str:
        parts = [
            self.kind,
            self.contestant,
            f"seed{self.seed}" if self.contestant else "",
            self.task,
        ]
        return "--".join(part for part in parts if part)

    @property
    def key_hash(self) -> Digest:
        return hashlib.sha256(canonical_json(self.key)).hexdigest()


@dataclass(frozen=True)
class CellRecord:
    """What became of a cell: its status, how long it took, and the error if there was one."""

    id: str
    key_hash: Digest
    status: Status
    seconds: float
    error: str = ""


class CellStore:
    """The folder ``cells/`` of a run."""

    def __init__(self, run_folder: Path) -> None:
        self.folder = run_folder / "cells"

    def record(self, cell_id: str) -> CellRecord | None:
        """What is known of a cell; None where nothing is, or its record cannot be read."""
        try:
            found = read_json(self.folder / cell_id / "cell.json")
            return CellRecord(
                cell_id, found["key_hash"], found["status"], found["seconds"], found["error"]
            )
        except (InputError, CorruptArtefact, KeyError, TypeError):
            return None

    def is_done(self, cell: Cell) -> bool:
        """Whether the cell was finished under the same key and its files are what it recorded."""
        record = self.record(cell.id)
        if record is None or record.status != "ok" or record.key_hash != cell.key_hash:
            return False
        try:
            self.arrays(cell.id)
        except InputError:
            return False
        return True

    def path(self, cell_id: str) -> Path:
        return self.folder / cell_id

    def arrays(self, cell_id: str) -> dict[str, Tensor]:
        """The tensors of a finished cell, refused unless they are those that it wrote."""
        folder = self.folder / cell_id
        recorded = read_json(folder / "cell.json")["sha256"]
        data = folder / "arrays.safetensors"
        if hashlib.sha256(data.read_bytes()).hexdigest() != recorded:
            raise CorruptArtefact(f"{data} is not what cell.json records; run the suite again")
        return read_tensors(data)

    def key(self, cell_id: str) -> dict[str, Any]:
        key: dict[str, Any] = read_json(self.folder / cell_id / "cell.json")["key"]
        return key

    def timings(self, cell_id: str) -> dict[str, float]:
        timings: dict[str, float] = read_json(self.folder / cell_id / "cell.json")["timings"]
        return timings

    def commit(
        self,
        cell: Cell,
        status: Status,
        seconds: float,
        arrays: Mapping[str, Tensor] | None = None,
        timings: Mapping[str, float] | None = None,
        error: str = "",
        editor: Any = None,
    ) -> None:
        """Write a cell, whole or not at all, in place of an older one."""
        with new_folder(self.folder / cell.id, replace=True) as temporary:
            digest = write_tensors(temporary / "arrays.safetensors", arrays or {})
            if editor is not None:
                editor.save(temporary / "editor")
            write_json(
                temporary / "cell.json",
                {
                    "key": dict(cell.key),
                    "key_hash": cell.key_hash,
                    "status": status,
                    "seconds": seconds,
                    "error": error,
                    "sha256": digest,
                    "timings": dict(timings or {}),
                },
            )
