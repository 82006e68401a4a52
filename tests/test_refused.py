"""A face that an editor refuses is told, marked and left out, and nothing takes it as edited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toy_editors
from flat_results import summarise
from in_process import CommandLine
from PIL import Image
from test_benchmark import SUITE, Silent, measure
from test_tuning import SUITE as TUNED
from toy import SCHEMA, ToyGenerator

from latentedit import LatentBank, fit_editor
from latentedit.benchmark.cells.bench import Bench
from latentedit.benchmark.cells.sequences import measure_sequence
from latentedit.benchmark.cells.store import CellStore
from latentedit.benchmark.cells.tuning import NOT_REACHED, Validation
from latentedit.benchmark.run import run_suite
from latentedit.benchmark.suite import Suite
from latentedit.report.grid import REFUSED, refused
from latentedit.sampling.make import make_bank

REASON = "its first coordinate is negative"


def cross(shape: tuple[int, int]) -> torch.Tensor:
    """(H, W) where the mark of a refused face covers its image."""
    found = torch.eye(shape[0], dtype=torch.bool) | torch.eye(shape[0], dtype=torch.bool).flip(1)
    found[0] = found[-1] = True
    found[:, 0] = found[:, -1] = True
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("refused") / "run"
    editors = {name: {"plugin": name} for name in ("exact", "timid", "unwilling")}
    suite = Suite.model_validate(SUITE | {"editors": editors})
    outcome = run_suite(suite, folder, Silent(), registry=toy_editors.registry, workers=2)
    assert not outcome.failed
    return folder


def moved(codes: torch.Tensor, change: torch.Tensor, column: int) -> torch.Tensor:
    """Codes after an exact edit of one attribute by `change` (N,)."""
    inverse = torch.linalg.pinv(ToyGenerator().matrix).T
    return codes + change[:, None] * inverse[column]


@pytest.mark.parametrize("task", ["age", "glasses"])
def test_a_face_that_was_refused_has_no_round_trip_error_and_does_not_reach(
    run: Path, task: str
) -> None:
    arrays = CellStore(run).arrays(f"edit--timid--seed0--{task}")
    codes = LatentBank.open(run / "bank").split("test").codes[arrays["faces"]]
    there = moved(codes, arrays["change"], SCHEMA.columns(task).start)
    served = (codes[:, 0] > 0) & (there[:, 0] > 0)
    assert 0 < int(served.sum()) < len(served)
    for name in ("round_trip", "round_trip_pixels"):
        assert torch.equal(arrays[name].isnan(), ~served), name
    assert torch.equal(arrays["round_trip_identity"][0].isnan(), ~served)
    assert float(arrays["round_trip"][served].max()) < 1e-4
    assert torch.equal(arrays["matched_strength"][0].isnan(), codes[:, 0] <= 0)


def test_steps_after_a_refused_one_start_from_the_face_as_it_was(run: Path) -> None:
    arrays = CellStore(run).arrays("sequence--timid--seed0--both")
    age, glasses = (
        CellStore(run).arrays(f"edit--timid--seed0--{task}") for task in ("age", "glasses")
    )
    codes = LatentBank.open(run / "bank").split("test").codes[arrays["faces"]]
    after = {
        name: moved(codes, cell["change"], SCHEMA.columns(name).start)
        for name, cell in (("age", age), ("glasses", glasses))
    }
    once = (codes[:, 0] > 0) & (after["age"][:, 0] > 0)
    in_both_orders = (codes[:, 0] > 0) & (after["age"][:, 0] > 0) & (after["glasses"][:, 0] > 0)
    assert torch.equal(arrays["drift"][0].isnan(), ~once)
    assert torch.equal(arrays["drift_identity"][0, 0].isnan(), ~once)
    assert torch.equal(arrays["consistency"].isnan(), ~in_both_orders)


def test_an_editor_that_serves_nobody_has_no_figure_that_flatters_it(run: Path) -> None:
    results = summarise(run)
    assert measure(results, "unwilling", "reach") == 0
    told = {m["metric"] for m in results["measures"] if m["editor"] == "unwilling"}
    flattering = ("round-trip", "drift", "edit consistency", "identity", "attribute leakage")
    failed = {metric for metric in told if metric.startswith("identity with failures")}
    assert failed
    assert all(measure(results, "unwilling", metric) == 0 for metric in failed)
    assert not [metric for metric in told - failed if metric.startswith(flattering)]
    assert measure(results, "exact", "round-trip error") < 1e-4


def test_a_refused_face_scores_as_one_that_does_not_reach_in_tuning(tmp_path: Path) -> None:
    plugins = toy_editors.registry()
    suite = Suite.model_validate(TUNED | {"editors": {"timid": {"plugin": "timid"}}})
    bank = make_bank(
        plugins, tmp_path / "B", generator="toy", labeller="toy-labeller", n_fit=100, n_test=4
    )
    validation = Validation(Bench(suite, bank, plugins), 40)
    scores = validation.task_scores(fit_editor(plugins, "timid", bank), suite.tasks[0])
    served = validation.faces.codes[:, 0] > 0
    assert 0 < int(served.sum()) < len(served)
    assert set(scores[~served].tolist()) == {NOT_REACHED}
    assert bool((scores[served] > 0.9).all())


def test_attributes_of_a_refused_face_stay_what_they_were_in_a_sequence(tmp_path: Path) -> None:
    plugins, folder = toy_editors.registry(), tmp_path / "run"
    editors = {"particular": {"plugin": "particular"}}
    suite = Suite.model_validate(SUITE | {"editors": editors, "controls": []})
    bank = make_bank(
        plugins, folder / "bank", generator="toy", labeller="toy-labeller", n_fit=100, n_test=40
    )
    bench, fitted = Bench(suite, bank, plugins), fit_editor(plugins, "particular", bank)
    test = bank.split("test")
    before = {"embeddings": bench.look(test.codes, test.space).embeddings}
    arrays, _ = measure_sequence(bench, fitted, suite.sequences[0], before, lambda *_: None)
    assert bool(arrays["drift"].isnan().all())


@pytest.fixture
def latentedit(tmp_path: Path) -> CommandLine:
    run = CommandLine(tmp_path, toy_editors.registry)
    made = "bank make --generator toy --labeller toy-labeller --n 100 --test 12 --out B"
    run.ok(*made.split())
    for editor in ("timid", "unwilling", "exact", "particular"):
        run.ok("fit", editor, "--bank", "B", "--out", editor)
    return run


def edit(editor: str, *settings: str) -> tuple[str, ...]:
    asked = [word for setting in settings for word in ("--set", setting)]
    return (
        "edit",
        "--editor",
        editor,
        "--bank",
        "B",
        "--index",
        "0..11",
        *asked,
        "--out",
        "o.png",
        "--force",
    )


def test_refused_faces_are_counted_in_words_with_the_reason(latentedit: CommandLine) -> None:
    codes = LatentBank.open(latentedit.folder / "B").split("test").codes
    missed = int((codes[:, 0] <= 0).sum())
    done = latentedit(*edit("timid", "age=40"))
    assert done.returncode == 0
    assert f"{missed} of 12 faces could not be edited: {REASON}" in done.stderr
    assert "could not" not in latentedit(*edit("exact", "age=40")).stderr


def test_nothing_edited_is_exit_code_1_and_the_picture_is_there(latentedit: CommandLine) -> None:
    done = latentedit(*edit("unwilling", "age=40"))
    assert done.returncode == 1
    assert "12 of 12 faces could not be edited: I do not want" in done.stderr
    assert (latentedit.folder / "o.png").is_file()


def test_the_next_edit_takes_a_refused_face_as_it_was(latentedit: CommandLine) -> None:
    done = latentedit(*edit("particular", "age=40", "glasses=1"))
    assert done.returncode == 0, done.stderr
    assert "12 of 12 faces could not be edited" in done.stderr


def test_refused_faces_are_crossed_out_in_the_picture(latentedit: CommandLine) -> None:
    def count() -> int:
        picture = np.asarray(Image.open(latentedit.folder / "o.png").convert("RGB"))
        return int((picture == REFUSED).all(2).sum())

    latentedit.ok(*edit("exact", "age=40"))
    assert count() == 0
    latentedit(*edit("unwilling", "age=40"))
    assert count() > 0


def test_the_mark_leaves_the_rest_of_an_image_alone() -> None:
    image = torch.zeros(3, 8, 8, dtype=torch.uint8)
    marked = refused(image)
    where = cross((8, 8))
    assert bool((marked[:, where] == torch.tensor(REFUSED)[:, None]).all())
    assert int(marked[:, ~where].sum()) == 0
    assert int(image.sum()) == 0


def test_a_w_plus_code_is_refused_whole_where_one_of_its_rows_is(tmp_path: Path) -> None:
    plugins = toy_editors.registry()
    bank = make_bank(
        plugins, tmp_path / "B", generator="toy", labeller="toy-labeller", n_fit=100, n_test=4
    )
    test = bank.split("test")
    codes = test.codes[:, None].repeat(1, 4, 1)
    codes[:, :, 0] = 1
    codes[1, 2, 0] = -1
    codes[0, 0, 1] += 1
    target = test.attributes.clone()
    target[:, 0] = 50
    edited: Any = fit_editor(plugins, "timid", bank).edit(codes, test.attributes, target)
    assert edited.served.tolist() == [True, False, True, True]
    assert torch.equal(edited.codes[1], codes[1])
    assert edited.reason == REASON
