"""Cells: what is kept under a key, and what of it still counts when something was changed."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from latentedit.benchmark.cells.memory import CellMemory
from latentedit.benchmark.cells.store import Cell, CellStore, Outcome
from latentedit.errors import CorruptArtefact, InputError
from latentedit.files.artefacts import canonical_json, file_digest, write_tensors

CELL = Cell("edit", {"a": 1, "b": {"c": [1, 2]}}, "mine", 3, "age")
ARRAYS = {"x": torch.arange(6.0).view(2, 3)}


class Saved:
    """Stands for an editor."""

    def save(self, folder: Path) -> None:
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "model").write_text("weights")


@pytest.fixture
def store(tmp_path: Path) -> CellStore:
    store = CellStore(tmp_path)
    store.plan([CELL])
    outcome = Outcome("ok", 1.5, timings={"edits": 4.0}, arrays=ARRAYS)
    store.publish(CELL, store.stage(CELL, outcome, Saved()))
    return store


def rewritten(store: CellStore, **changes: Any) -> None:
    """Its record with other fields, under the old digest of itself."""
    path = store.path(CELL.id) / "cell.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        (Cell("faces", {}), "faces"),
        (Cell("fit", {}, "mine", 0), "fit--mine--seed0"),
        (Cell("edit", {}, "mine", 12, "age"), "edit--mine--seed12--age"),
        (Cell("sequence", {}, "mine", 12, "both"), "sequence--mine--seed12--both"),
    ],
)
def test_a_cell_is_called_by_kind_entrant_seed_and_task(cell: Cell, wanted: str) -> None:
    assert cell.id == wanted


def test_a_key_hash_depends_on_every_leaf_and_on_no_order() -> None:
    def of(key: dict[str, Any]) -> str:
        return Cell("faces", key).key_hash

    assert of({"a": 1, "b": {"c": [1, 2]}}) == of({"b": {"c": [1, 2]}, "a": 1})
    others = [{"a": 2}, {"b": {"c": [2, 1]}}, {"b": {"c": [1]}}, {"d": 0}]
    assert len({of(dict(CELL.key) | change) for change in [{}, *others]}) == 5


def test_what_was_written_is_read_back(store: CellStore) -> None:
    record = store.record(CELL.id)
    assert record is not None
    assert (record.id, record.status, record.seconds, record.error) == (CELL.id, "ok", 1.5, "")
    assert record.key_hash == CELL.key_hash
    assert store.key(CELL.id) == CELL.key
    assert store.timings(CELL.id) == {"edits": 4.0}
    assert torch.equal(store.arrays(CELL.id)["x"], ARRAYS["x"])
    assert store.is_done(CELL)


def test_arrays_that_were_changed_are_refused_when_they_are_read(store: CellStore) -> None:
    path = store.path(CELL.id) / "arrays.safetensors"
    data = bytearray(path.read_bytes())
    data[-2] ^= 64  # still a safetensors file, with another number
    path.write_bytes(data)
    with pytest.raises(CorruptArtefact, match="is not what"):
        store.arrays(CELL.id)
    assert not store.is_done(CELL)


CODES = {name: torch.ones(2) for name in ("codes", "matched_codes", "round_trip_codes")}


def test_kept_codes_are_read_and_checked_with_everything_and_not_without(store: CellStore) -> None:
    store.commit(CELL, Outcome("ok", 1.5, arrays=ARRAYS | CODES))
    assert set(store.arrays(CELL.id)) == {"x", *CODES}
    assert set(store.arrays(CELL.id, ["codes"])) == {"x", "matched_codes", "round_trip_codes"}
    store.check(CELL.id)
    path = store.path(CELL.id) / "codes.safetensors"
    data = bytearray(path.read_bytes())
    data[-2] ^= 64
    path.write_bytes(data)
    assert set(store.arrays(CELL.id, CODES)) == {"x"}
    for read in (store.arrays, store.check, lambda cell_id: store.arrays(cell_id, ["codes"])):
        with pytest.raises(CorruptArtefact, match=r"codes\.safetensors is not what"):
            read(CELL.id)
    assert not store.is_done(CELL)


def test_a_cell_without_codes_has_no_file_of_them(store: CellStore) -> None:
    assert not (store.path(CELL.id) / "codes.safetensors").exists()
    assert set(store.arrays(CELL.id, ["codes"])) == {"x"}


def test_codes_beside_the_other_arrays_of_an_older_run_are_read(store: CellStore) -> None:
    folder = store.path(CELL.id)
    write_tensors(folder / "arrays.safetensors", ARRAYS | CODES)
    record = json.loads((folder / "cell.json").read_text())
    del record["self"]
    record["files"]["arrays.safetensors"] = file_digest(folder / "arrays.safetensors")
    record["self"] = hashlib.sha256(canonical_json(record)).hexdigest()
    (folder / "cell.json").write_text(json.dumps(record))
    assert set(store.arrays(CELL.id)) == {"x", *CODES}
    assert set(store.arrays(CELL.id, CODES)) == {"x"}


@pytest.mark.parametrize(
    "changes",
    [
        {"seconds": 2.5},
        {"status": "ok", "error": "x"},
        {"timings": {"edits": 5.0}},
        {"key": {"a": 2}},
        {"key_hash": "0" * 64},
        {"self": ""},
        {"further": 1},
    ],
    ids=",".join,
)
def test_a_record_that_was_changed_in_any_field_counts_no_more(
    store: CellStore, changes: dict[str, Any]
) -> None:
    rewritten(store, **changes)
    assert store.record(CELL.id) is None
    assert not store.is_done(CELL)
    for read in (store.arrays, store.key, store.timings):
        with pytest.raises(CorruptArtefact, match=r"cell\.json was changed or cut"):
            read(CELL.id)


@pytest.mark.parametrize("text", ["[]", "{", "null", "{}"])
def test_a_record_that_is_none_counts_no_more(store: CellStore, text: str) -> None:
    (store.path(CELL.id) / "cell.json").write_text(text)
    assert store.record(CELL.id) is None
    assert not store.is_done(CELL)


def changed(folder: Path) -> None:
    (folder / "editor" / "deep" / "model").write_text("others!")


def gone(folder: Path) -> None:
    (folder / "editor" / "deep" / "model").unlink()


def added(folder: Path) -> None:
    (folder / "editor" / "new").write_text("")


def renamed(folder: Path) -> None:
    (folder / "editor" / "deep").rename(folder / "editor" / "deeper")


@pytest.mark.parametrize("spoil", [changed, gone, renamed])
def test_files_beside_the_arrays_are_checked_too(store: CellStore, spoil: Any) -> None:
    assert store.is_done(CELL)
    spoil(store.path(CELL.id))
    assert not store.is_done(CELL)


def test_a_file_that_a_user_added_does_not_undo_a_cell(store: CellStore) -> None:
    added(store.path(CELL.id))
    assert store.is_done(CELL)


def test_results_under_another_key_are_stale_and_are_not_read(store: CellStore) -> None:
    other = Cell(CELL.kind, {"a": 2}, CELL.entrant, CELL.seed, CELL.task)
    store.plan([other])
    for reader in (store, CellStore(store.folder.parent)):
        record = reader.record(CELL.id)
        assert record is not None
        assert (record.status, record.key_hash) == ("stale", CELL.key_hash)
        assert "another key" in record.error
        assert not reader.is_done(other)
        assert not reader.is_done(CELL)
        with pytest.raises(InputError, match="has no results: stale"):
            reader.arrays(CELL.id)


def test_a_cell_of_another_key_is_not_done_though_no_plan_is_known(store: CellStore) -> None:
    (store.folder.parent / "plan.json").unlink()
    fresh = CellStore(store.folder.parent)
    record = fresh.record(CELL.id)
    assert record is not None
    assert record.status == "ok"
    assert fresh.is_done(CELL)
    assert not fresh.is_done(Cell(CELL.kind, {"a": 2}, CELL.entrant, CELL.seed, CELL.task))


def test_a_plan_holds_its_own_cells_only(store: CellStore) -> None:
    others = [Cell("faces", {"a": 1}), Cell("fit", {"a": 2}, "mine", 3)]
    store.plan(others)
    wanted = {cell.id: cell.key_hash for cell in others}
    assert store.planned == wanted
    assert CellStore(store.folder.parent).planned == wanted


@pytest.mark.parametrize("status", ["failed", "crashed", "timeout", "oom"])
def test_a_cell_that_failed_is_not_done_and_says_why(store: CellStore, status: Any) -> None:
    outcome = Outcome(status, 0.5, "it broke", arrays=ARRAYS, output="the end of it")
    store.commit(CELL, outcome)
    record = store.record(CELL.id)
    assert record is not None
    assert (record.status, record.error, record.seconds) == (status, "it broke", 0.5)
    assert not store.is_done(CELL)
    assert (store.path(CELL.id) / "output.txt").read_text() == "the end of it"
    with pytest.raises(InputError, match=f"has no results: {status}, it broke"):
        store.arrays(CELL.id)


def test_a_new_outcome_takes_the_place_of_the_older_one_whole(store: CellStore) -> None:
    store.commit(CELL, Outcome("ok", 9.0, arrays={"y": torch.ones(1)}))
    assert list(store.arrays(CELL.id)) == ["y"]
    assert sorted(path.name for path in store.path(CELL.id).iterdir()) == [
        "arrays.safetensors",
        "cell.json",
    ]
    assert [path.name for path in store.folder.iterdir()] == [CELL.id]
    assert store.is_done(CELL)


def test_what_is_only_staged_does_not_count(tmp_path: Path) -> None:
    store = CellStore(tmp_path)
    staged = store.stage(CELL, Outcome("ok", 1.0, arrays=ARRAYS))
    assert staged.parent == store.folder
    assert not store.is_done(CELL)
    assert store.record(CELL.id) is None
    store.publish(CELL, staged)
    assert store.is_done(CELL)


def test_the_files_of_another_cell_do_not_stand_for_it(store: CellStore) -> None:
    other = Cell("edit", {"a": 1}, "mine", 4, "age")
    store.commit(other, Outcome("ok", 1.0, arrays={"x": torch.zeros(2, 3)}))
    mine, theirs = store.path(CELL.id), store.path(other.id)
    shutil.copy(theirs / "arrays.safetensors", mine / "arrays.safetensors")
    with pytest.raises(CorruptArtefact):
        store.arrays(CELL.id)
    shutil.rmtree(mine)
    shutil.copytree(theirs, mine)
    assert not store.is_done(CELL)


def test_a_cell_in_memory_has_a_record_once_it_has_ended() -> None:
    memory = CellMemory()
    assert memory.record("faces") is None
    memory.outcomes["faces"] = Outcome("failed", 2.5, "no faces", {}, {}, {})
    found = memory.record("faces")
    assert found is not None
    assert (found.id, found.status, found.seconds, found.error) == (
        "faces", "failed", 2.5, "no faces",
    )  # fmt: skip
    assert not memory.finished("faces")
