"""A finished run, read: its suite, bank and cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
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

    from latentedit.benchmark.results.listed import Listed
    from latentedit.benchmark.results.records import Results
    from latentedit.benchmark.results.values import FinishedEdits, Reference


AT_ONCE = 16_384
"""Images whose figures are in memory at once, where a run has shards."""


def suite_of(folder: Path) -> Suite:
    """The suite of a run, finished or not.

    Raises:
        InputError: `folder` has none.
        CorruptArtefact: it was changed.
    """
    if not (usable_name(folder) / SUITE_FILE).is_file():
        raise InputError(
            f"{folder} is not a run: it has no {SUITE_FILE}."
            + (seen_in(folder) or f" Make one with: latentedit bench run SUITE --out {folder}")
        )
    return read_record(folder / SUITE_FILE, Suite)


class Run:
    """A run folder.

    Attributes:
        shards: of the test images that are read, by number.

    Raises:
        InputError: it has no suite.
        CorruptArtefact: a record in it was changed.
        InputError: it adds a metric that another run defines otherwise.
    """

    at_once = AT_ONCE
    _known: dict[str, bool] | None = None

    def __init__(self, folder: Path) -> None:
        suite = suite_of(folder)
        self.folder = folder
        bank = LatentBank.open(folder / "bank")
        store = CellStore(folder)
        store.checked(Cell("faces", {}, shard=next(iter(suite.shards))).id)
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
        self.shards = suite.shards
        self._distances: dict[tuple[str, ...], dict[str, Tensor]] = {}
        declare(entry.definition for entry in self.provenance.metrics)

    @cached_property
    def reference(self) -> Reference:
        """What edits are measured against; its arrays are read when first used."""
        from latentedit.benchmark.results.joining import joined_faces
        from latentedit.benchmark.results.values import Reference

        return Reference(
            self.suite,
            self.bank.schema,
            joined_faces([self.store.arrays(cell_id) for cell_id in self._unedited]),
            self.bank.split("fit").attributes.std(0).clamp_min(1e-6),
            {entry.name: entry.threshold for entry in self.provenance.identity},
        )

    @property
    def n(self) -> int:
        """The number of test images."""
        if self.suite.shard is None:
            return len(self.reference.faces["judged"])
        return sum(map(len, self.shards.values()))

    @property
    def _unedited(self) -> list[str]:
        """The cells of the unedited images."""
        return [Cell("faces", {}, shard=shard).id for shard in self.shards]

    def parts(self) -> Iterator[Run]:
        """The run as runs of some of its shards, of `at_once` images or one shard each.

        Figures are sums over parts, so that memory does not grow with the run.
        """
        group, known = dict[int | None, range](), dict[str, bool]()
        for shard, rows in self.shards.items():
            if group and rows.stop - next(iter(group.values())).start > self.at_once:
                yield self._of(group, known)
                group = {}
            group[shard] = rows
        yield self._of(group, known)

    def _of(self, shards: Mapping[int | None, range], known: dict[str, bool]) -> Run:
        """This run with some of its shards; `known` says which cells finished, once asked."""
        if shards == self.shards:
            return self
        part = copy(self)
        part.shards, part._known = dict(shards), known
        part.__dict__.pop("reference", None)
        part.__dict__["spread"] = self.spread
        return part

    def _finished(self, cell_id: str) -> bool:
        if self._known is None:
            return self.store.finished(cell_id)
        if cell_id not in self._known:
            self._known[cell_id] = self.store.finished(cell_id)
        return self._known[cell_id]

    @cached_property
    def first(self) -> Run:
        """The first part."""
        return next(self.parts())

    @cached_property
    def spread(self) -> Tensor:
        """(F,) standard deviation over all unedited images of the judge's features."""
        from latentedit.benchmark.results.joining import feature_spread

        if self.n <= self.at_once:
            return self.reference.faces["features"].std(0)
        return feature_spread(self.store.arrays(cell_id)["features"] for cell_id in self._unedited)

    def unedited(self, name: str) -> Tensor | None:
        """One array of all unedited images; None where their cells have none of the name."""
        from latentedit.benchmark.results.joining import OF_UNEDITED, joined_faces

        if self.n <= self.at_once:
            return self.reference.faces.get(name)
        unread = OF_UNEDITED - {name}
        found = [self.store.arrays(cell_id, unread) for cell_id in self._unedited]
        return joined_faces(found).get(name)

    @property
    def labels(self) -> Tensor:
        """(N, A) of the test images."""
        kept = self.unedited("labels")
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

    @cached_property
    def listed(self) -> Listed:
        """The figures that lists show; of the whole results where no record has them."""
        from latentedit.benchmark.results.listed import listed_of, read_listed

        return read_listed(self.folder, self.bank.hash) or listed_of(self.results)

    def finished(self, entrant: str, task: str) -> list[FinishedEdits]:
        """The finished cells of an editor or control and a task or sequence, one a seed."""
        return list(self.finished_by_seed(entrant, task).values())

    def finished_by_seed(self, entrant: str, task: str) -> dict[int, FinishedEdits]:
        """The same by fit seed."""
        from latentedit.benchmark.results.values import FinishedEdits

        attribute = next((t.attribute for t in self.suite.tasks if t.name == task), "")
        kind: Literal["edit", "sequence"] = "edit" if attribute else "sequence"
        cells = {
            seed: {k: Cell(kind, {}, entrant, seed, task, k).id for k in self.suite.shards}
            for seed in self.suite.seeds
        }
        found = {
            seed: self._edits([ids[k] for k in self.shards])
            for seed, ids in cells.items()
            if all(self._finished(cell_id) for cell_id in ids.values())
        }
        return {
            seed: FinishedEdits(arrays, task, attribute) for seed, arrays in found.items() if arrays
        }

    def _edits(self, cell_ids: list[str]) -> dict[str, Tensor]:
        """The arrays of the cells of one fit and task; empty where shards have no face of it."""
        found = [self.store.arrays(cell_id, KEPT_CODES) for cell_id in cell_ids]
        if self.suite.shard is None:
            return found[0]
        from latentedit.benchmark.results.joining import (
            MATCHED_SEEN,
            joined_distances,
            joined_edits,
        )

        starts = [rows[0] for rows in self.shards.values()]
        edits = joined_edits(found, [at - starts[0] for at in starts], self.suite.show_images)
        if MATCHED_SEEN not in edits:
            return edits
        key = tuple(cell_ids)
        if key not in self._distances:
            features = self.reference.faces["features"]
            self._distances[key] = joined_distances(edits, features, self.spread)
        return edits | self._distances[key]
