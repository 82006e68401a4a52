"""Samples are drawn anew until the judge sees what was asked for, and never past the limit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import toy_editors
from in_process import CommandLine
from torch import Tensor
from toy import ToyEstimator

from latentedit import PluginSpec, Registry, hookimpl
from latentedit.sampling.accepted import ROUNDS, sample_accepted

WANTED = torch.tensor([[10.0, 1.0], [20.0, 2.0], [30.0, 3.0]])
WITHIN = torch.tensor([1.0, 1.0])


class Late:
    """Misses the first attribute by 5 until the round that `rounds` has for each place, and the
    second one always."""

    def __init__(self, rounds: list[int]) -> None:
        self.rounds, self.seeds = dict(zip(WANTED[:, 0].tolist(), rounds, strict=True)), list[int]()

    def __call__(self, wanted: Tensor, seed: int) -> Tensor:
        self.seeds.append(seed)
        late = [seed < 7 + self.rounds[first] for first in wanted[:, 0].tolist()]
        off = torch.stack([5.0 * torch.tensor(late), torch.full((len(wanted),), 9.0)], 1)
        return (wanted + off)[:, :, None, None]


def read(images: Tensor) -> Tensor:
    return images[:, :, 0, 0]


def test_places_are_drawn_anew_until_the_chosen_attributes_agree() -> None:
    draw = Late([0, 2, 1])
    found = sample_accepted(draw, read, WANTED, [0], WITHIN, seed=7)
    assert found.ok.tolist() == [True, True, True]
    assert found.drawn == 3 + 2 + 1
    assert draw.seeds == [7, 8, 9]
    assert torch.equal(found.judged[:, 0], WANTED[:, 0])
    assert torch.equal(read(found.images), found.judged)


def test_a_place_that_is_never_accepted_is_said_to_be_empty() -> None:
    found = sample_accepted(Late([0, 99, 0]), read, WANTED, [0], WITHIN, seed=7)
    assert found.ok.tolist() == [True, False, True]
    assert found.drawn == 3 + ROUNDS


def test_without_a_tolerance_every_sample_is_kept() -> None:
    found = sample_accepted(Late([9, 9, 9]), read, WANTED, [0, 1], None, seed=7)
    assert found.ok.all()
    assert found.drawn == 3


class Strict(ToyEstimator):
    """Reads every value as 100 more than it is."""

    fingerprint = "1" * 64

    def estimate(self, images: Tensor) -> Tensor:
        return super().estimate(images) + 100


class _Strict:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [PluginSpec("estimator", "strict", "test_accepted:Strict", "for tests")]


def registry() -> Registry:
    found = toy_editors.registry()
    found.add(_Strict(), "strict")
    return found


@pytest.fixture
def made(tmp_path: Path) -> CommandLine:
    command = CommandLine(tmp_path, registry)
    make = ["bank", "make", "--generator", "toy", "--labeller", "toy-labeller", "--n", "50"]
    command.ok(*make, "--test", "6", "--out", "B")
    command.ok("fit", "draws", "--bank", "B", "--out", "D")
    return command


def test_the_command_rejects_by_a_judge_and_needs_one(made: CommandLine) -> None:
    base = ("sample", "--editor", "D", "--bank", "B", "--index", "0..1", "--count", "2")
    assert "choose an estimator with --judge" in made.refused(
        *base, "--reject", "0.5", "--out", "a.png"
    )
    judged = (*base, "--judge", "toy-judge", "--set", "age=30")
    assert "4 new faces" in made.ok(*judged, "--out", "b.png")
    assert "c.png: 4 new faces" in made.ok(*judged, "--reject", "3", "--out", "c.png")
    other = (*base, "--judge", "strict", "--set", "age=30")
    told = made(*other, "--reject", "1", "--out", "d.png")
    assert told.returncode == 0
    assert "4 places are crossed out: the judge rejected all drawn for them" in told.stderr
    assert f"d.png: 0 new faces, {4 * (1 + ROUNDS)} drawn" in told.stdout
    assert (made.folder / "d.png").is_file()
