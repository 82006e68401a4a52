"""Banks: what is written is read back, hashed, verified, and refused when it was changed."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from latentedit import (
    Attribute,
    AttributeSchema,
    CorruptArtefact,
    InputError,
    LatentBank,
    ModelReference,
    Split,
    UnknownName,
)

ROUNDS = int(os.environ.get("LATENTEDIT_ROUNDS", "2"))
"""``make torture`` asks for 100."""
TOO_LATE = 3
"""Exit status of a process that found the bank written by another."""

SCHEMA = AttributeSchema(
    (Attribute("age", "continuous", 0, 70), Attribute("yaw", "continuous", -40, 40))
)


def split(*sizes: int) -> Split:
    generator = torch.Generator().manual_seed(sum(sizes))
    return Split(
        "w",
        SCHEMA,
        tuple(
            (torch.randn(n, 4, generator=generator), torch.randn(n, 2, generator=generator))
            for n in sizes
        ),
    )


def write(folder: Path, seed: int = 0) -> LatentBank:
    model = ModelReference("toy", {}, "f" * 64)
    return LatentBank.write(
        folder,
        {"fit": split(7, 5), "test": split(3)},
        model,
        model,
        {"seed": seed, "fit": 12, "test": 3},
    )


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    written = write(tmp_path / "b")
    opened = LatentBank.open(tmp_path / "b")
    opened.verify()
    assert opened.hash == written.hash
    assert torch.equal(opened.split("fit").codes, split(7, 5).codes)
    assert torch.equal(opened.split("fit").attributes, split(7, 5).attributes)
    assert len(opened.split("test")) == 3
    assert len(opened) == len(opened.split("fit")) + 3
    assert opened


def test_equal_banks_have_equal_hashes_and_others_have_not(tmp_path: Path) -> None:
    hashes = [write(tmp_path / name, seed).hash for name, seed in (("a", 0), ("b", 0), ("c", 1))]
    assert hashes[0] == hashes[1] != hashes[2]


def test_names_of_values_are_kept_and_change_no_hash(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain")
    age, yaw = SCHEMA
    named = AttributeSchema((replace(age, named={"old": (65,)}), yaw))
    model = plain.generator
    splits = {"fit": split(7, 5), "test": split(3)}
    splits = {name: replace(part, schema=named) for name, part in splits.items()}
    bank = LatentBank.write(tmp_path / "named", splits, model, model, dict(plain.sampling))
    assert bank.hash == plain.hash == LatentBank.open(tmp_path / "named").hash
    assert LatentBank.open(tmp_path / "named").schema["age"].value("old").tolist() == [65]
    assert bank.schema == plain.schema


@given(st.lists(st.integers(0, 11), max_size=20))
def test_rows_read_across_shards(index: list[int]) -> None:
    data, at = split(7, 5), torch.tensor(index, dtype=torch.long)
    codes, attributes = data.rows(at)
    assert torch.equal(codes, data.codes[at])
    assert torch.equal(attributes, data.attributes[at])


@pytest.mark.parametrize("file", ["fit-00000.safetensors", "test-00000.safetensors"])
def test_every_flipped_byte_is_found(tmp_path: Path, file: str) -> None:
    write(tmp_path / "b")
    path = tmp_path / "b" / file
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(CorruptArtefact, match=file):
            LatentBank.open(tmp_path / "b").verify()


def test_a_folder_without_a_bank_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="latentedit bank make"):
        LatentBank.open(tmp_path)


def test_an_unknown_split_lists_the_splits(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="Valid: fit, test"):
        write(tmp_path / "b").split("train")


@pytest.mark.parametrize("text", ["{}", "[]", '{"format": 1}', '{"format": 99}', "null"])
def test_a_broken_record_is_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path / "b")
    (tmp_path / "b" / "bank.json").write_text(text)
    with pytest.raises(InputError):
        LatentBank.open(tmp_path / "b")


@pytest.mark.parametrize("name", ["../outside", "/dev/zero", "a/../../outside", "link", "."])
def test_a_shard_outside_of_the_bank_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path / "b")
    outside, record = tmp_path / "outside", tmp_path / "b" / "bank.json"
    (tmp_path / "b" / "test-00000.safetensors").rename(outside)
    (tmp_path / "b" / "link").symlink_to(outside)
    record.write_text(record.read_text().replace("test-00000.safetensors", name))
    bank = LatentBank.open(tmp_path / "b")
    for use in (bank.verify, lambda: bank.split("test")):
        with pytest.raises(InputError):
            use()


def make(folder: Path) -> None:
    try:
        write(folder)
    except InputError:
        sys.exit(TOO_LATE)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_of_eight_that_write_one_bank_one_does_though_three_are_killed(
    tmp_path: Path, seed: int
) -> None:
    rng, context = random.Random(seed), multiprocessing.get_context("fork")
    makers = [context.Process(target=make, args=(tmp_path / "b",)) for _ in range(8)]
    for maker in makers:
        maker.start()
    for victim in rng.sample(makers, 3):
        time.sleep(rng.uniform(0, 0.01))
        victim.kill()
    for maker in makers:
        maker.join()
    ends = [maker.exitcode for maker in makers]
    assert set(ends) <= {0, TOO_LATE, -signal.SIGKILL}
    assert ends.count(0) <= 1
    bank = LatentBank.open(tmp_path / "b")
    bank.verify()
    assert bank.hash == write(tmp_path / "whole").hash
    shutil.rmtree(tmp_path / "b")
    write(tmp_path / "b")  # and clears away what the killed have left
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "whole"]
