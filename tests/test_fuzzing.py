"""A share of the mutants that ``make torture`` reads a million of."""

from __future__ import annotations

import os
from pathlib import Path

import fuzz_kinds
import fuzzing
import pytest
from fuzz_kinds import KINDS, Kind
from fuzzing import Found, Share

COUNT = int(os.environ.get("LATENTEDIT_FUZZ", "40"))


@pytest.mark.parametrize("name", KINDS)
def test_a_mutant_is_read_or_refused_within_its_memory(tmp_path: Path, name: str) -> None:
    """Slow ones are counted by ``make torture`` only: a busy machine is slow with any file."""
    found = fuzzing.fuzz(Share(name, COUNT, 0, tmp_path / "kept"), tmp_path)
    assert found.mutants == COUNT
    assert (found.foreign, found.large) == (0, 0), found.kept


def _broken(folder: Path) -> Kind:
    def read(file: Path) -> None:
        data = file.read_bytes()
        if len(data) % 3 == 1:
            raise KeyError("a")
        if len(data) % 3 == 2:
            bytearray(80 << 20)

    mutants = fuzz_kinds.npy(folder).mutants
    return Kind(folder / "a", mutants, read)


def test_what_breaks_the_rule_is_counted_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, "broken", _broken)
    found = fuzzing.fuzz(Share("broken", 30, 0, tmp_path / "kept"), tmp_path)
    assert found.foreign > 0
    assert found.large > 0
    assert found.read + found.foreign == found.mutants == 30
    first = Path(found.kept[0].partition(":")[0])
    assert len(first.read_bytes()) % 3


def _ending(folder: Path) -> Kind:
    def read(file: Path) -> None:
        os._exit(7)

    return Kind(folder / "a", fuzz_kinds.npy(folder).mutants, read)


def test_shares_have_every_mutant_once_and_their_counts_add_up(tmp_path: Path) -> None:
    shares = fuzzing.shares(["npy", "csv", "yaml"], 20_000, 3, tmp_path)
    assert sum(share.count for share in shares) == 20_000
    assert len({(share.kind, share.seed) for share in shares}) == len(shares) == 6
    total = Found("all")
    for part in fuzzing.fuzz_all(fuzzing.shares(["npy", "csv"], 61, 0, tmp_path), 2):
        total.add(part)
    assert (total.mutants, total.faults) == (61, 0)
    assert 0 < total.read < 61


def test_a_process_that_ends_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "ending", _ending)
    [found] = fuzzing.fuzz_all(fuzzing.shares(["ending"], 5, 0, tmp_path), 2)
    assert found.faults == 1
    assert "ended with 7" in found.kept[0]
