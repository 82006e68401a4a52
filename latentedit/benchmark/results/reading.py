"""A finished run, read: its suite, bank and cells."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from latentedit.benchmark.cells.store import KEPT_CODES, Cell, CellStore, FinishedCells
from latentedit.benchmark.provenance import Provenance, read_provenance
from latentedit.benchmark.suite import SUITE_FILE, Suite
from latentedit.data.bank import LatentBank
from latentedit.errors import CorruptArtefact, InputError
from latentedit.files.folders import seen_in
from latentedit.files.records import read_record
from latentedit.files.regular import usable_name
from latentedit.measures.added import declare

if TYPE_CHECKING:
    from torch import Tensor

    from latentedit.benchmark.results.records import Results
    from latentedit.benchmark.results.values import FinishedEdits, Reference


class Run:
    """A run folder.

    Raises:
        InputError: it has no suite.
        CorruptArtefact: a record in it was changed.
        InputError: it adds a metric that another run defines otherwise.
    """

    def __init__(self, folder: Path) -> None:
        if not (usable_name(folder) / SUITE_FILE).is_file():
            raise InputError(
                f"{folder} is not a run: it has no {SUITE_FILE}."
                + (seen_in(folder) or f" Make one with: latentedit bench run SUITE --out {folder}")
            )
        self.folder = folder
        suite = read_record(folder / SUITE_FILE, Suite)
        bank = LatentBank.open(folder / "bank")
        store = CellStore(folder)
        for shard in suite.shards:
            store.checked(Cell("faces", {}, shard=shard).id)
        self._read(suite, bank, store, read_provenance(folder))

    @classmethod
    def in_memory(
        cls, suite: Suite, bank: LatentBank, store: FinishedCells, provenance: Provenance
    ) -> Run:
        """A run whose cells are in `store`; its folder is that of the bank."""
        run = cls.__new__(cls)
        run.folder = bank.folder
        run._read(suite, bank, store, provenance)
        return run

    def _read(
        self, suite: Suite, bank: LatentBank, store: FinishedCells, provenance: Provenance
    ) -> None:
        self.suite, self.bank, self.store, self.provenance = suite, bank, store, provenance
        declare(entry.definition for entry in self.provenance.metrics)

    @cached_property
    def reference(self) -> Reference:
        """What edits are measured against; its arrays are read when first used."""
        from latentedit.benchmark.results.joining import joined_faces
        from latentedit.benchmark.results.values import Reference

        cells = [Cell("faces", {}, shard=shard).id for shard in self.suite.shards]
        found = [self.store.arrays(cell_id) for cell_id in cells]
        return Reference(
            self.suite,
            self.bank.schema,
            joined_faces(found) if len(found) > 1 else found[0],
            self.bank.split("fit").attributes.std(0).clamp_min(1e-6),
            {entry.name: entry.threshold for entry in self.provenance.identity},
        )

    @property
    def n(self) -> int:
        """The number of test images."""
        return len(self.reference.faces["judged"])

    @property
    def labels(self) -> Tensor:
        """(N, A) of the test faces."""
        kept = self.reference.faces.get("labels")
        return self.bank.split("test").attributes if kept is None else kept

    @cached_property
    def sequences(self) -> list[str]:
        return [sequence.name for sequence in self.suite.sequences]

    @cached_property
    def tasks(self) -> list[str]:
        """Tasks, then sequences."""
        return [*(task.name for task in self.suite.tasks), *self.sequences]

    @cached_property
    def results(self) -> Results:
        """As `summarise` wrote them.

        Raises:
            CorruptArtefact: they were changed, or are of another suite, bank or judge than the run.
        """
        from latentedit.benchmark.results.records import RESULTS, read_results

        found = read_results(self.folder)
        of = (found.suite, found.bank_hash, found.provenance)
        if of != (self.suite, self.bank.hash, self.provenance):
            raise CorruptArtefact(
                f"{self.folder / RESULTS} was written before the run changed. "
                f"Write it again with: latentedit bench report {self.folder}"
            )
        return found

    def finished(self, entrant: str, task: str) -> list[FinishedEdits]:
        """The finished cells of an editor or control and a task or sequence, one a seed."""
        return list(self.finished_by_seed(entrant, task).values())

    def finished_by_seed(self, entrant: str, task: str) -> dict[int, FinishedEdits]:
        """The same by fit seed."""
        from latentedit.benchmark.results.values import FinishedEdits

        attribute = next((t.attribute for t in self.suite.tasks if t.name == task), "")
        kind: Literal["edit", "sequence"] = "edit" if attribute else "sequence"
        cells = {
            seed: [Cell(kind, {}, entrant, seed, task, k).id for k in self.suite.shards]
            for seed in self.suite.seeds
        }
        found = {
            seed: self._edits(ids)
            for seed, ids in cells.items()
            if all(self.store.finished(cell_id) for cell_id in ids)
        }
        return {
            seed: FinishedEdits(arrays, task, attribute) for seed, arrays in found.items() if arrays
        }

    def _edits(self, cell_ids: list[str]) -> dict[str, Tensor]:
        """The arrays of the cells of one fit and task; empty where shards have no face of it."""
        found = [self.store.arrays(cell_id, KEPT_CODES) for cell_id in cell_ids]
        if self.suite.shard is None:
            return found[0]
        from latentedit.benchmark.results.joining import MATCHED_SEEN, joined_edits, with_distances

        starts = [rows[0] for rows in self.suite.shards.values()]
        edits = joined_edits(found, starts, self.suite.show_faces)
        if MATCHED_SEEN not in edits:
            return edits
        features = self.reference.faces["features"]
        return with_distances(edits, features, features.std(0))
