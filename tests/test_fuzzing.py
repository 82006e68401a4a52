"""A share of the mutants that ``make torture`` reads a million of."""

from __future__ import annotations

import os
from pathlib import Path

import fuzz_kinds
import fuzzing
import pytest
from fuzz_kinds import KINDS, Kind

COUNT = int(os.environ.get("LATENTEDIT_FUZZ", "40"))


@pytest.mark.parametrize("name", KINDS)
def test_a_mutant_is_read_or_refused_within_its_memory(tmp_path: Path, name: str) -> None:
    """Slow ones are counted by ``make torture`` only: a busy machine is slow with any file."""
    found = fuzzing.fuzz(name, tmp_path, COUNT, 0, tmp_path / "kept")
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
    found = fuzzing.fuzz("broken", tmp_path, 30, 0, tmp_path / "kept")
    assert found.foreign > 0
    assert found.large > 0
    assert found.read + found.foreign == found.mutants >= 30
    first = Path(found.kept[0].partition(":")[0])
    assert len(first.read_bytes()) % 3
