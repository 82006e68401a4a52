"""Files are whole or absent, whatever fails while they are written."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from latentedit import CorruptArtefact, EnvironmentFault, InputError
from latentedit.files import artefacts as files


def fail_nth(monkeypatch: pytest.MonkeyPatch, name: str, n: int) -> None:
    """Let the n-th call of ``os.<name>`` fail as a full disk does."""
    real: Callable[..., object] = getattr(os, name)
    calls = iter(range(1, 1000))

    def failing(*args: object, **kwargs: object) -> object:
        if next(calls) == n:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*args, **kwargs)

    monkeypatch.setattr(os, name, failing)


@pytest.mark.parametrize("name", ["fsync", "replace", "chmod", "write", "open"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / "a.json"
    files.write_json(path, {"old": 1})
    fail_nth(monkeypatch, name, 1)
    with pytest.raises(EnvironmentFault, match=r"a\.json: No space left"):
        files.write_json(path, {"new": 2})
    monkeypatch.undo()
    assert files.read_json(path) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_writing_goes_on_where_the_system_takes_a_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, bytes(data)[:3]))
    files.write_bytes(tmp_path / "a", b"0123456789")
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_a_folder_that_cannot_be_replaced_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").mkdir()
    files.write_json(tmp_path / "x" / "a.json", "old")
    for n in (1, 2):
        with files.staged_folder(tmp_path / "x") as staged:
            files.write_json(staged / "a.json", "new")
        with monkeypatch.context() as patch:
            fail_nth(patch, "replace", n)
            with pytest.raises(EnvironmentFault, match="unchanged"):
                files.publish(staged, tmp_path / "x", ["a.json"], tmp_path / "aside")
        assert files.read_json(tmp_path / "x" / "a.json") == "old"
        assert [p.name for p in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_a_new_folder_appears_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int
) -> None:
    fail_nth(monkeypatch, "fsync", n)
    with pytest.raises(EnvironmentFault), files.new_folder(tmp_path / "x") as folder:
        files.write_json(folder / "1.json", 1)
        files.write_json(folder / "2.json", 2)
    monkeypatch.undo()
    left = list(tmp_path.iterdir())
    # the fifth sync comes after the move: the folder is complete, only its name is not yet durable
    assert left == ([tmp_path / "x"] if n == 5 else [])


def test_an_existing_folder_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "mine").touch()
    with pytest.raises(InputError, match="exists already"), files.new_folder(tmp_path / "x"):
        pass
    assert (tmp_path / "x" / "mine").exists()


def test_a_folder_that_somebody_else_filled_meanwhile_is_kept(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="exists already"),
        files.new_folder(tmp_path / "x") as mine,
    ):
        files.write_json(mine / "a.json", "mine")
        with files.new_folder(tmp_path / "x") as theirs:
            files.write_json(theirs / "a.json", "theirs")
    assert files.read_json(tmp_path / "x" / "a.json") == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_tensors_round_trip_and_mapping_reads_the_same(tmp_path: Path) -> None:
    rng = torch.Generator().manual_seed(0)
    tensors = {"a": torch.randn(5, 3, generator=rng), "b": torch.randn(7, generator=rng)}
    digest = files.write_tensors(tmp_path / "t.safetensors", tensors)
    assert digest == files.file_digest(tmp_path / "t.safetensors")
    for read in (files.read_tensors, lambda path: files.map_tensors(path)[0]):
        found = read(tmp_path / "t.safetensors")
        assert all(torch.equal(found[name], tensors[name]) for name in tensors)


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_damaged_tensor_file_raises_the_projects_error_or_reads(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    files.write_tensors(path, {"a": torch.zeros(4, 3)})
    data = bytearray(path.read_bytes())
    data[position % len(data)] = byte
    path.write_bytes(bytes(data))
    for read in (files.read_tensors, files.map_tensors):
        try:
            read(path)
        except CorruptArtefact as error:
            assert str(path) in str(error)


def test_missing_and_broken_json_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        files.read_json(tmp_path / "none.json")
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(CorruptArtefact, match="is not JSON"):
        files.read_json(tmp_path / "x.json")


def test_fingerprints_depend_on_names_values_and_shapes() -> None:
    a, b = torch.zeros(4), torch.zeros(2, 2)
    prints = {
        files.fingerprint({}, {"a": a}),
        files.fingerprint({}, {"b": a}),
        files.fingerprint({}, {"a": b}),
        files.fingerprint({"x": 1}, {"a": a}),
        files.fingerprint({}, {"a": a + 1}),
    }
    assert len(prints) == 5
    assert files.fingerprint({}, {"a": torch.zeros(4)}) in prints


def test_tensors_can_be_left_unread(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    written = {"a": torch.arange(3.0), "b": torch.ones(2, 2).half(), "c": torch.tensor([True])}
    files.write_tensors(path, written)
    found = files.read_tensors_but(path, ["b", "no such tensor"])
    assert found.keys() == {"a", "c"}
    assert all(torch.equal(found[name], written[name]) for name in found)
    found["a"][0] = 5.0
    assert torch.equal(files.read_tensors(path)["a"], written["a"])


def test_a_damaged_file_is_refused_also_where_tensors_are_left_unread(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    files.write_tensors(path, {"a": torch.arange(3.0)})
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptArtefact, match="is not a safetensors file"):
        files.read_tensors_but(path, ["b"])
