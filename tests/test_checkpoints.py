"""An interrupted fit goes on to the same bits, and no fit ever continues another one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
import toy_editors
from in_process import CommandLine
from torch import Tensor

import latentedit_styleflow
from latentedit import (
    LatentBank,
    Options,
    PluginFault,
    Registry,
    fit_editor,
    load_editor,
    make_bank,
)
from latentedit.editing.checkpoints import remove_checkpoint
from latentedit.plugin import PluginSpec, hookimpl

SMALL: dict[str, Any] = {
    "hidden": [8],
    "steps": 20,
    "batch": 16,
    "evaluations": 10,
    "solver_steps": 1,
}


class FileOptions(Options):
    """Options of an editor that reads a file."""

    file: Path


class Filed(toy_editors.Exact):
    """An editor with a file."""

    Options: ClassVar[type[FileOptions]] = FileOptions


class Stopped(BaseException):
    """As if the process had been killed."""


def world(version: str = "1") -> Registry:
    found = toy_editors.registry()
    found.add(latentedit_styleflow, "flows", version=version)
    return found


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> LatentBank:
    return banked(tmp_path_factory.mktemp("banks") / "A", seed=0)


def banked(folder: Path, **changes: Any) -> LatentBank:
    given = {"generator": "toy", "labeller": "toy-labeller", "n_fit": 60, "n_test": 4} | changes
    return make_bank(world(), folder, **given)


def stop_halfway(fraction: float, message: str) -> None:
    if fraction > 0.45:
        raise Stopped


def interrupted(bank: LatentBank, place: Path) -> None:
    with pytest.raises(PluginFault, match="Stopped"):
        fit_editor(world(), "styleflow", bank, SMALL, checkpoint=place, progress=stop_halfway)


def state(fitted: Any) -> dict[str, Tensor]:
    found: dict[str, Tensor] = fitted.editor.state()
    return found


def same_bits(one: Any, other: Any) -> bool:
    first, second = state(one), state(other)
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def test_an_interrupted_fit_goes_on_to_the_same_bits(bank: LatentBank, tmp_path: Path) -> None:
    interrupted(bank, tmp_path / "E.checkpoint")
    told: list[str] = []
    seen: list[float] = []
    resumed = fit_editor(
        world(), "styleflow", bank, SMALL,
        checkpoint=tmp_path / "E.checkpoint", notify=told.append,
        progress=lambda fraction, message: seen.append(fraction),
    )  # fmt: skip
    assert min(seen) == pytest.approx(0.5)
    assert len(told) == 1
    assert told[0].startswith("continuing the interrupted fit in")
    assert same_bits(resumed, fit_editor(world(), "styleflow", bank, SMALL))
    resumed.save(tmp_path / "E")
    assert [path.name for path in tmp_path.iterdir()] == ["E"]


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"held_out": 4},
        {"options": SMALL | {"objective": "likelihood"}},
        {"options": SMALL | {"hidden": [9]}},
        {"options": SMALL | {"trace": "exact"}},
        {"options": SMALL | {"coupling": "optimal-transport"}},
        {"options": SMALL | {"whiten": False}},
        {"options": SMALL | {"residual": False}},
        {"options": SMALL | {"attributes": ["age"]}},
        {"options": SMALL | {"gains": {"age": 2.0}}},
        {"options": SMALL | {"solver_steps": 2}},
        {"options": SMALL | {"learning_rate": 0.01}},
        {"name": "coupling-flow", "options": {k: SMALL[k] for k in ("steps", "batch")}},
    ],
    ids=str,
)
def test_a_fit_of_another_option_seed_or_editor_starts_afresh_and_says_so(
    bank: LatentBank, tmp_path: Path, changes: dict[str, Any]
) -> None:
    interrupted(bank, tmp_path)
    starts_afresh(lambda **more: fitted(bank, changes | more), tmp_path)


def fitted(bank: LatentBank, given: dict[str, Any]) -> Any:
    given = {"name": "styleflow", "options": SMALL, "registry": world()} | given
    return fit_editor(given.pop("registry"), given.pop("name"), bank, **given)


def starts_afresh(fit: Callable[..., Any], place: Path) -> None:
    """A fit with another one's state in `place` says so, and is as if nothing were there."""
    (other,) = place.iterdir()
    before = {path: path.read_bytes() for path in other.iterdir()}
    told: list[str] = []
    seen: list[float] = []
    found = fit(
        checkpoint=place, notify=told.append, progress=lambda share, text: seen.append(share)
    )
    assert len(told) == 1
    assert told[0].startswith(f"starting afresh: {other} is of another fit")
    assert min(seen) <= 0.1
    assert same_bits(found, fit())
    assert {path: path.read_bytes() for path in other.iterdir()} == before


def test_a_fit_on_another_bank_starts_afresh_and_says_so(bank: LatentBank, tmp_path: Path) -> None:
    interrupted(bank, tmp_path / "place")
    other = banked(tmp_path / "B", seed=1)
    starts_afresh(lambda **more: fitted(other, more), tmp_path / "place")


def test_a_fit_by_other_code_starts_afresh_and_says_so(bank: LatentBank, tmp_path: Path) -> None:
    interrupted(bank, tmp_path)
    starts_afresh(lambda **more: fitted(bank, {"registry": world("2")} | more), tmp_path)


def test_weights_that_an_option_names_count_by_their_content(
    bank: LatentBank, tmp_path: Path
) -> None:
    class Plugin:
        @hookimpl
        def latentedit_plugins(self) -> list[PluginSpec]:
            return [PluginSpec("editor", "filed", "test_checkpoints:Filed", "for tests")]

    def place(content: str) -> Path:
        registry = toy_editors.registry()
        registry.add(Plugin(), "filed")
        (tmp_path / "weights").write_text(content)
        options = {"file": str(tmp_path / "weights")}
        found = fit_editor(registry, "filed", bank, options, checkpoint=tmp_path / "C")
        assert found.checkpoint is not None
        return found.checkpoint

    first = place("one")
    assert place("two") != first
    assert place("one") == first


def test_the_state_of_a_fit_stays_until_its_editor_is_saved(
    bank: LatentBank, tmp_path: Path
) -> None:
    found = fit_editor(world(), "styleflow", bank, SMALL, checkpoint=tmp_path / "C")
    assert list((tmp_path / "C").iterdir()) == [found.checkpoint]
    (tmp_path / "C" / "notes.txt").write_text("mine")
    found.save(tmp_path / "E")
    assert [path.name for path in (tmp_path / "C").iterdir()] == ["notes.txt"]
    assert same_bits(load_editor(world(), tmp_path / "E"), found)


def test_the_command_fits_on_the_bank_that_it_names(tmp_path: Path) -> None:
    """Where E was fitted on A and removed, E is fitted on B from the first step."""
    run = CommandLine(tmp_path, world)
    options = [part for name, value in SMALL.items() for part in ("--option", f"{name}={value}")]
    for seed, name in enumerate("AB"):
        banked(tmp_path / name, seed=seed)
    for name, out in ("AE", "BE", "BF"):
        shutil.rmtree(tmp_path / out, ignore_errors=True)
        run.ok("fit", "styleflow", "--bank", name, "--out", out, *options)
        assert not (tmp_path / f"{out}.checkpoint").exists()
    weights = [(tmp_path / out / "model.safetensors").read_bytes() for out in "EF"]
    assert weights[0] == weights[1]


def test_the_command_says_that_another_fit_was_interrupted_there(
    bank: LatentBank, tmp_path: Path
) -> None:
    interrupted(bank, tmp_path / "E.checkpoint")
    run = CommandLine(tmp_path, world)
    found = run("fit", "styleflow", "--bank", str(bank.folder), "--out", "E", "--option", "steps=9")
    assert found.returncode == 0
    assert "starting afresh: E.checkpoint/" in found.stderr
    assert len(list((tmp_path / "E.checkpoint").iterdir())) == 1


def test_a_checkpoint_that_was_never_written_is_removed_without_a_word(tmp_path: Path) -> None:
    remove_checkpoint(tmp_path / "nobody" / "wrote")
    (tmp_path / "place" / "mine").mkdir(parents=True)
    (tmp_path / "place" / "another").mkdir()
    remove_checkpoint(tmp_path / "place" / "mine")
    assert [left.name for left in (tmp_path / "place").iterdir()] == ["another"]
    remove_checkpoint(tmp_path / "place" / "another")
    assert not (tmp_path / "place").exists()
