"""Copies of finished cells from one run to another."""

from __future__ import annotations

import shutil

from latentedit.benchmark.cells.store import CellStore
from latentedit.errors import CorruptArtefact
from latentedit.files.artefacts import within


def copy_cell(source: CellStore, cell_id: str, store: CellStore, new_id: str) -> None:
    """Copy the recorded files of a cell into a run that lacks it, and check their digests there.

    A cell's record says what decides the result, and not what the cell is called, so that the copy
    may have another name.

    Raises:
        CorruptArtefact: a file is not what the cell's record says.
    """
    names = source.recorded(cell_id)
    for name in names:
        target = store.path(new_id) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(within(source.path(cell_id), name), target)
    if not names or not store.whole(new_id):
        raise CorruptArtefact(
            f"{source.path(cell_id)} has files that its record does not describe so; get the run "
            "again from where it came"
        )
