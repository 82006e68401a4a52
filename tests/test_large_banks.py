"""Banks of more than one shard: each has a seed of its own, and only one is in memory."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from toy import ToyGenerator, toy_registry

from latentedit.data.bank import LatentBank
from latentedit.sampling import make

ROWS = 64
"""Of a shard in these tests."""


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "SHARD_ROWS", ROWS)


def made(folder: Path, n_fit: int, **others: Any) -> LatentBank:
    arguments = {"generator": "toy", "labeller": "toy-labeller", "n_test": 3, "seed": 5}
    return make.make_bank(toy_registry(), folder, n_fit=n_fit, **(arguments | others))


def test_every_shard_is_drawn_from_its_own_seed(tmp_path: Path) -> None:
    bank = made(tmp_path / "bank", 150, truncation_psi=0.7)
    assert [shard["rows"] for shard in bank.shards] == [64, 64, 22, 3]
    shards = bank.split("fit").shards
    for i, (codes, attributes) in enumerate(shards):
        world = ToyGenerator()
        expected = world.sample(len(codes), make.shard_seed(5, i), "w", 0.7)
        assert torch.equal(codes, expected)
        assert torch.allclose(attributes, expected @ world.matrix.T + world.offset, atol=1e-3)
    assert len(torch.cat([codes for codes, _ in shards]).unique(dim=0)) == 150


def test_a_larger_bank_begins_with_the_shards_of_a_smaller_one(tmp_path: Path) -> None:
    small, large = made(tmp_path / "small", 128), made(tmp_path / "large", 200)
    assert [s["sha256"] for s in small.shards[:2]] == [s["sha256"] for s in large.shards[:2]]
    assert torch.equal(made(tmp_path / "one", 64).split("fit").codes, small.split("fit").codes[:64])


@pytest.mark.parametrize("rows", [range(3, 7), range(60, 70), range(130, 150), range(150)])
def test_rows_of_the_test_split_are_read_alone(tmp_path: Path, rows: range) -> None:
    bank = made(tmp_path / "bank", 10, n_test=150)
    whole, part = bank.split("test"), bank.with_test(rows).split("test")
    assert torch.equal(part.codes, whole.codes[rows.start : rows.stop])
    assert torch.equal(part.attributes, whole.attributes[rows.start : rows.stop])
    assert torch.equal(bank.with_test(rows).split("fit").codes, bank.split("fit").codes)


def test_the_test_faces_are_none_of_the_faces_to_fit_on(tmp_path: Path) -> None:
    bank = made(tmp_path / "bank", 150, n_test=150)
    every = torch.cat([bank.split("fit").codes, bank.split("test").codes])
    assert len(every.unique(dim=0)) == 300


def test_no_more_than_two_shards_are_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[weakref.ref[torch.Tensor]] = []
    most, draw = [0], ToyGenerator.sample

    def counted(self: ToyGenerator, n: int, *others: Any, **named: Any) -> torch.Tensor:
        gc.collect()
        most[0] = max(most[0], sum(ref() is not None for ref in alive) + 1)
        assert n <= ROWS
        codes: torch.Tensor = draw(self, n, *others, **named)
        alive.append(weakref.ref(codes))
        return codes

    monkeypatch.setattr(ToyGenerator, "sample", counted)
    made(tmp_path / "bank", 10 * ROWS)
    assert len(alive) == 11
    assert most[0] <= 2


def test_progress_counts_the_faces_of_all_shards(tmp_path: Path) -> None:
    told: list[float] = []
    made(tmp_path / "bank", 150, progress=lambda fraction, message: told.append(fraction))
    assert told == sorted(told)
    assert told[-1] == 1
    assert told[0] == pytest.approx(64 / 153)


def test_seeds_of_shards_are_all_different() -> None:
    seeds = {make.shard_seed(seed, shard) for seed in range(50) for shard in range(50)}
    assert len(seeds) == 2_500
    assert all(0 <= seed < 2**63 for seed in seeds)
