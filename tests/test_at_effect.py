"""Edits at a wanted effect outside a run are those of the run's cells, to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import toy_editors
from test_benchmark import SUITE, Silent
from toy import SCHEMA, ToyEstimator, ToyGenerator, ToyJudge

from latentedit import (
    EditsAtEffect,
    FingerprintMismatch,
    FittedEditor,
    InputError,
    LatentBank,
    UnknownName,
    edit_at_effect,
    fit_editor,
    load_editor,
    make_bank,
)
from latentedit.benchmark.cells.store import CellStore
from latentedit.benchmark.run import run_suite
from latentedit.benchmark.suite import Suite

CHANGES: dict[str, Any] = {"age": {"sigma": 1.5}, "yaw": {"quantile": 0.9}, "glasses": "flip"}
STRENGTHS, LIMIT = [0.25, 0.5, 1.0], 8.0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "toy"
    tasks = [{"attribute": name, "change": change} for name, change in CHANGES.items()]
    changed = {"editors": {n: {"plugin": n} for n in ("leaky", "timid", "half")}, "tasks": tasks}
    changed |= {"sequences": [], "strengths": STRENGTHS, "strength_limit": LIMIT, "controls": []}
    suite = Suite.model_validate(SUITE | changed)
    outcome = run_suite(suite, folder, Silent(), registry=toy_editors.registry)
    assert not outcome.failed
    return folder


def fitted(run: Path, name: str) -> FittedEditor:
    return load_editor(toy_editors.registry(), run / "cells" / f"fit--{name}--seed0" / "editor")


@pytest.mark.parametrize("attribute", CHANGES)
@pytest.mark.parametrize("name", ["leaky", "timid", "half"])
def test_an_edit_at_effect_is_the_benchmark_s_own_to_the_bit(
    name: str, attribute: str, run: Path
) -> None:
    bank, change = LatentBank.open(run / "bank"), CHANGES[attribute]
    found = edit_at_effect(
        fitted(run, name), bank, "toy-judge", attribute, change, 0.8,
        strengths=STRENGTHS, strength_limit=LIMIT,
    )  # fmt: skip
    cell = CellStore(run).arrays(f"edit--{name}--seed0--{attribute}")
    assert torch.equal(found.change, cell["change"])
    assert torch.equal(found.strength.nan_to_num(-1), cell["matched_strength"][0].nan_to_num(-1))
    assert torch.equal(found.effect, cell["matched_effect"][0])
    assert torch.equal(found.after, cell["matched_judged"][0])
    moved = (found.codes - bank.split("test").codes).half()
    assert torch.equal(moved, cell["matched_codes"][0])
    assert found.space == "w"
    if name == "half":  # it does half of what is asked, and goes beyond the suite's strengths
        assert bool((found.strength > 1.2).all())
        assert (found.effect - 0.8).abs().max() < 0.06


@pytest.mark.parametrize("name", ["leaky", "timid", "half"])
def test_strengths_beyond_the_first_that_reaches_change_nothing(name: str, run: Path) -> None:
    """Each image at several changes, as sweeps ask for them; the judge looks at fewer images."""
    bank = LatentBank.open(run / "bank")
    seen: list[int] = []

    class Counting(ToyJudge):
        def estimate(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(len(images))
            return super().estimate(images)

    def edited(until_reached: bool) -> tuple[EditsAtEffect, int]:
        seen.clear()
        rows = [5, 0, 9] * 4
        changes = torch.linspace(-30, 30, 12).tolist()
        found = edit_at_effect(
            fitted(run, name), bank, Counting(), "age", changes, 0.9, rows=rows,
            strengths=[0.5, 1.0, 2.0, 4.0], strength_limit=LIMIT, until_reached=until_reached,
        )  # fmt: skip
        return found, sum(seen)

    (every, all_seen), (first, few_seen) = edited(False), edited(True)
    assert torch.equal(every.strength.isnan(), first.strength.isnan())
    torch.testing.assert_close(first.strength, every.strength, equal_nan=True)
    torch.testing.assert_close(first.after, every.after)
    assert few_seen <= all_seen - (24 if name == "leaky" else 0)


def test_a_few_faces_and_other_codes_are_edited_as_the_same_faces_of_the_whole(run: Path) -> None:
    bank, editor = LatentBank.open(run / "bank"), fitted(run, "leaky")
    whole = edit_at_effect(editor, bank, "toy-judge", "age", 10.0)
    few = edit_at_effect(editor, bank, ToyJudge(), "age", 10.0, rows=[7, 3])
    torch.testing.assert_close(few.codes, whole.codes[[7, 3]])
    torch.testing.assert_close(few.strength, whole.strength[[7, 3]])
    codes = bank.split("test").codes[[7, 3]]
    signed = whole.change[[7, 3]].tolist()
    given = edit_at_effect(editor, bank, ToyJudge(), "age", signed, codes=codes)
    torch.testing.assert_close(given.codes, few.codes)
    torch.testing.assert_close(given.source, few.source)
    z = ToyGenerator().sample(2, seed=5, space="z")
    down = edit_at_effect(editor, bank, ToyJudge(), "age", [-20, 5], 0.5, codes=z, space="z")
    before, after = down.before[:, 0], down.after[:, 0]
    assert (after - before).tolist() == pytest.approx([-10, 2.5], abs=0.6)
    assert down.reached.all()


def test_layers_restrict_the_edit_and_name_the_space_of_its_codes(run: Path) -> None:
    bank, editor = LatentBank.open(run / "bank"), fitted(run, "leaky")
    found = edit_at_effect(editor, bank, "toy-judge", "age", 10.0, rows=[0, 1], layers=(1, 2))
    assert found.space == "w+"
    before = ToyGenerator().convert(bank.split("test").codes[:2], "w", "w+")
    assert torch.equal(found.codes[:, [0, 3]], before[:, [0, 3]])
    assert found.reached.all()


def test_progress_ends_at_the_whole(run: Path) -> None:
    told: list[float] = []
    bank, editor = LatentBank.open(run / "bank"), fitted(run, "leaky")
    edit_at_effect(
        editor, bank, "toy-judge", "age", 5, rows=[0], progress=lambda share, _: told.append(share)
    )
    assert told == sorted(told)
    assert told[-1] == 1.0


class OtherJudge(ToyEstimator):
    schema = SCHEMA.__class__(SCHEMA.attributes[:2])


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        ({"attribute": "agee"}, UnknownName, "did you mean 'age'"),
        ({"attribute": "lighting"}, InputError, "'lighting' is a vector"),
        ({"attribute": "lighting", "change": [1.0, 1.0]}, InputError, "'lighting' is a vector"),
        ({"change": 90}, InputError, "its range is 0 to 70 years"),
        ({"change": "much"}, InputError, "list of signed amounts, one for each"),
        ({"change": [1.0]}, InputError, "one amount for each of the 2 images"),
        ({"change": [1.0, 0.0]}, InputError, "finite and not 0"),
        ({"effect": 1.2}, InputError, "above 0 and up to 1, received 1.2"),
        ({"rows": [40]}, InputError, "rows 0 to 39, received 40"),
        ({"rows": [0.5]}, InputError, "numbers of images"),
        ({"codes": [[0.0] * 23]}, InputError, r"shape \(N, 24\)"),
        ({"codes": [[0.0] * 24], "space": "v"}, UnknownName, "unknown space 'v'"),
        ({"judge": OtherJudge()}, InputError, "judge OtherJudge reads age, glasses"),
        ({"judge": "toy-juge"}, UnknownName, "did you mean 'toy-judge'"),
        ({"strengths": [1.0, 0.5]}, InputError, "ascending order"),
        ({"strengths": []}, InputError, "ascending order"),
        ({"strength_limit": 1.0}, InputError, "strength_limit"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    changed: dict[str, Any], error: type[Exception], said: str, run: Path
) -> None:
    asked: dict[str, Any] = {"judge": "toy-judge", "attribute": "age", "change": 5, "rows": [0, 1]}
    bank = LatentBank.open(run / "bank")
    with pytest.raises(error, match=said):
        edit_at_effect(fitted(run, "leaky"), bank, **asked | changed)


def test_a_bank_of_another_generator_is_refused(run: Path, tmp_path: Path) -> None:
    other = make_bank(
        toy_editors.registry(), tmp_path / "bank", generator="toy",
        generator_options={"world_seed": 1}, labeller="toy-labeller", n_fit=10, n_test=2,
    )  # fmt: skip
    with pytest.raises(FingerprintMismatch, match="different generators"):
        edit_at_effect(fitted(run, "leaky"), other, "toy-judge", "age", 5)
    editor = fit_editor(toy_editors.registry(), "leaky", other)
    assert edit_at_effect(editor, other, "toy-judge", "age", 5).codes.shape == (2, 24)
