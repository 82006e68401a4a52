"""Cells: the units of work of a run, each in a folder of its own with the key that it answers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import ConfigDict, Field, RootModel

from latentedit.errors import CorruptArtefact, InputError
from latentedit.files.artefacts import (
    Digest,
    canonical_json,
    file_digest,
    publish,
    read_json,
    read_tensors_but,
    remove_unpublished,
    staged_folder,
    within,
    write_bytes,
    write_json,
    write_tensors,
)
from latentedit.files.digests import known_digest
from latentedit.files.records import StrictRecord, parsed_record, read_record

if TYPE_CHECKING:
    from torch import Tensor

CellStatus = Literal["ok", "failed", "crashed", "timeout", "oom", "stale"]
"""What became of a cell: it raised, its process ended, it took too long, or too much memory; or it
answers another key than the run's plan has for it."""

PLAN = "plan.json"
"""Of a run: by cell the hash of the key that it is to answer."""
RECORD, ARRAYS = "cell.json", "arrays.safetensors"
PICTURES = "pictures.safetensors"
"""Of a cell: all its images, apart from the arrays that results are read from."""
CODES = "codes.safetensors"
"""Of a cell that keeps codes: `KEPT_CODES`, so that readers of figures need not check them."""
OUTPUT = "output.txt"
"""What a cell that did not finish had printed: its end."""
KEPT_CODES = frozenset(("codes", "matched_codes", "round_trip_codes"))
"""Names of by far the largest arrays of a cell, which no figure is made of."""
SET_ASIDE = "set-aside"
"""Of a run: where folders go that hold more than the run wrote there."""


@dataclass(frozen=True)
class Cell:
    """One unit of work.

    Args:
        kind: ``"faces"`` (look at the unedited test images), ``"fit"``, ``"edit"`` or
            ``"sequence"``.
        entrant: the editor or control, by its name in the suite.
        seed: the fit seed.
        task: the suite's name of it, or of the sequence.
        shard: of the test faces, by number; None where one cell has all of them.
        key: everything that decides the outcome; equal keys, equal results.
    """

    kind: Literal["faces", "fit", "edit", "sequence"]
    key: Mapping[str, Any]
    entrant: str = ""
    seed: int = 0
    task: str = ""
    shard: int | None = None

    @property
    def id(self) -> str:
        parts = [
            self.kind,
            self.entrant,
            f"seed{self.seed}" if self.entrant else "",
            self.task,
            "" if self.shard is None else f"shard{self.shard:05d}",
        ]
        return "--".join(part for part in parts if part)

    @property
    def key_hash(self) -> Digest:
        return _digest(self.key)


@dataclass(frozen=True)
class CellRecord:
    """What became of a cell: its status, how long it took, and the error if there was one."""

    id: str
    key_hash: Digest
    status: CellStatus
    seconds: float
    error: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a cell leaves.

    Args:
        arrays: its results, where it finished.
        pictures: images as bytes, where the suite keeps them.
        timings: what it cost.
        error: what went wrong, for people.
        output: the end of what it printed, where it did not finish.
    """

    status: CellStatus
    seconds: float
    error: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)
    arrays: Mapping[str, Tensor] = field(default_factory=dict)
    pictures: Mapping[str, Tensor] = field(default_factory=dict)
    output: str = ""


class CellPlan(RootModel[Any]):
    """``plan.json``: by cell the hash of the key that it is to answer."""

    model_config = ConfigDict(defer_build=True)

    root: dict[str, Digest]


class CellFile(StrictRecord):
    """``cell.json``: a cell as it was written.

    Args:
        files: digest of every other file of the cell, by path.
        self_digest: of all other fields; called ``self`` in the file.
    """

    key: dict[str, Any]
    key_hash: Digest
    status: CellStatus
    seconds: float
    error: str
    files: dict[str, Digest]
    timings: dict[str, float]
    self_digest: Digest = Field(alias="self")


class FinishedCells(Protocol):
    """Cells as results are read from them, in a folder or in memory."""

    def record(self, cell_id: str) -> CellRecord | None: ...

    def finished(self, cell_id: str) -> bool: ...

    def arrays(self, cell_id: str, unread: Collection[str] = ()) -> dict[str, Tensor]: ...

    def timings(self, cell_id: str) -> dict[str, float]: ...


class CellStore:
    """The folder ``cells/`` of a run."""

    def __init__(self, run_folder: Path) -> None:
        self.folder = run_folder / "cells"
        plan = run_folder / PLAN
        self.planned = read_record(plan, CellPlan).root if os.path.lexists(plan) else {}

    def plan(self, cells: Iterable[Cell]) -> None:
        """Set which cells the run has; results under other keys are no longer its own."""
        self.planned = {cell.id: cell.key_hash for cell in cells}
        write_json(self.folder.parent / PLAN, self.planned)

    def record(self, cell_id: str) -> CellRecord | None:
        """What is known of a cell; None where nothing is, or its record cannot be read."""
        try:
            return self._record(cell_id, self._read(cell_id))
        except InputError:
            return None

    def finished(self, cell_id: str) -> bool:
        """Whether there is a record of the cell, under the key of the plan, that has a result."""
        record = self.record(cell_id)
        return record is not None and record.status == "ok"

    def _record(self, cell_id: str, found: CellFile) -> CellRecord:
        status, error = found.status, found.error
        if self.planned.get(cell_id, found.key_hash) != found.key_hash:
            status, error = "stale", "it was computed for another key; run the suite again"
        return CellRecord(cell_id, found.key_hash, status, found.seconds, error)

    def _read(self, cell_id: str) -> CellFile:
        """Its ``cell.json``, refused where it is not as it was written."""
        path = self.folder / cell_id / RECORD
        found = read_json(path)
        if not isinstance(found, dict) or found.get("self") != _digest(_unsigned(found)):
            raise CorruptArtefact(f"{path} was changed or cut; run the suite again")
        return parsed_record(found, CellFile, path)

    def is_done(self, cell: Cell) -> bool:
        """Whether the cell was finished under the same key and its files are what it recorded."""
        try:
            record = self._record(cell.id, self._read(cell.id))
        except (InputError, OSError):
            return False
        kept = record.status == "ok" and record.key_hash == cell.key_hash
        return kept and self.whole(cell.id)

    def whole(self, cell_id: str) -> bool:
        """Whether every file of a cell has the digest that its record, itself unchanged, says."""
        here = self.path(cell_id)
        try:
            files = self._read(cell_id).files
            return all(file_digest(within(here, name)) == files[name] for name in files)
        except (InputError, OSError):
            return False

    def path(self, cell_id: str) -> Path:
        return self.folder / cell_id

    def arrays(self, cell_id: str, unread: Collection[str] = ()) -> dict[str, Tensor]:
        """The tensors of a finished cell, refused unless they are those that it wrote.

        Args:
            unread: names of tensors that are left out. Without all of `KEPT_CODES`, their file is
                neither read nor checked.

        Raises:
            InputError: it did not finish; tells why.
        """
        found = self._tensors(cell_id, ARRAYS, unread)
        if KEPT_CODES.issubset(unread):
            return found
        return found | self._kept(cell_id, CODES, unread)

    def pictures(self, cell_id: str) -> dict[str, Tensor]:
        """The images that a finished cell kept, as bytes; empty where it kept none.

        Raises:
            InputError: it did not finish; tells why.
        """
        return self._kept(cell_id, PICTURES)

    def check(self, cell_id: str) -> None:
        """Raise `CorruptArtefact` unless every file of a finished cell is the one it recorded."""
        for name in self._read(cell_id).files:
            self.checked(cell_id, name)

    def _kept(self, cell_id: str, name: str, unread: Collection[str] = ()) -> dict[str, Tensor]:
        """The tensors of a file that not every cell has."""
        kept = name in self._read(cell_id).files
        return self._tensors(cell_id, name, unread) if kept else {}

    def _tensors(self, cell_id: str, name: str, unread: Collection[str] = ()) -> dict[str, Tensor]:
        return read_tensors_but(self.checked(cell_id, name), unread)

    def checked(self, cell_id: str, name: str = ARRAYS) -> Path:
        """The path of a file of a finished cell, which has the recorded digest.

        Raises:
            InputError: the cell did not finish; tells why.
            CorruptArtefact: the file is not the one that was recorded.
        """
        found, data = self._read(cell_id), within(self.path(cell_id), name)
        record = self._record(cell_id, found)
        if record.status != "ok":
            raise InputError(f"{cell_id} has no results: {record.status}, {record.error}")
        if known_digest(data) != found.files.get(name):
            raise CorruptArtefact(f"{data} is not what {RECORD} records; run the suite again")
        return data

    def key(self, cell_id: str) -> dict[str, Any]:
        return self._read(cell_id).key

    def timings(self, cell_id: str) -> dict[str, float]:
        return self._read(cell_id).timings

    def stage(self, cell: Cell, outcome: Outcome, editor: Any = None) -> Path:
        """Write a cell beside its place, for `publish` to move there; returns where."""
        with staged_folder(self.path(cell.id)) as temporary:
            arrays = dict(outcome.arrays)
            codes = {name: arrays.pop(name) for name in [*arrays] if name in KEPT_CODES}
            write_tensors(temporary / ARRAYS, arrays)
            for name, kept in ((CODES, codes), (PICTURES, outcome.pictures)):
                if kept:
                    write_tensors(temporary / name, kept)
            if editor is not None:
                editor.save(temporary / "editor")
            if outcome.output:
                write_bytes(temporary / OUTPUT, outcome.output.encode())
            record = {
                "key": dict(cell.key),
                "key_hash": cell.key_hash,
                "status": outcome.status,
                "seconds": outcome.seconds,
                "error": outcome.error,
                "files": _digests(temporary),
                "timings": dict(outcome.timings),
            }
            write_json(temporary / RECORD, record | {"self": _digest(record)})
        return temporary

    def publish(self, cell: Cell, staged: Path) -> None:
        """Move a staged cell to its place. Only the process that holds the run does it, so that
        a worker which was given up for lost cannot write over what has been computed since.

        What a user put into the older folder is kept, below ``set-aside`` of the run.
        """
        aside = self.folder.parent / SET_ASIDE / self.folder.name
        publish(staged, self.path(cell.id), self.recorded(cell.id), aside)

    def recorded(self, cell_id: str) -> list[str]:
        """The files of a cell that its record says were written; none where it cannot be read."""
        try:
            return [RECORD, *self._read(cell_id).files]
        except (InputError, OSError):
            return []

    def remove_abandoned(self) -> None:
        """Remove what killed processes had begun to write of the planned cells."""
        for cell_id in self.planned:
            remove_unpublished(self.path(cell_id))

    def commit(self, cell: Cell, outcome: Outcome) -> None:
        """Write a cell, whole or not at all, in place of an older one."""
        self.publish(cell, self.stage(cell, outcome))


def _digest(value: Mapping[str, Any]) -> Digest:
    return hashlib.sha256(canonical_json(value)).hexdigest()


def _unsigned(record: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of ``cell.json`` that its own digest is of."""
    return {name: value for name, value in record.items() if name != "self"}


def _digests(folder: Path) -> dict[str, Digest]:
    """By path within a cell the sha256 of every file but its record."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != RECORD)
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in sorted(files)}
