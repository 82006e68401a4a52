"""What tuning comes to, in numbers: who is asked, about which faces, and what is then chosen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import harness_plugins
import pytest
import torch
from harness_plugins import PushOptions, scores
from torch import Tensor

from latentedit import PluginSpec, hookimpl
from latentedit.benchmark.cells.bench import Bench
from latentedit.benchmark.cells.store import Cell, CellStore, Outcome
from latentedit.benchmark.cells.tuning import (
    Trials,
    Validation,
    fit_entrant,
    trial_options,
    tuning_key,
)
from latentedit.benchmark.results.audit import tuning
from latentedit.benchmark.results.rows import Tuning
from latentedit.benchmark.suite import Suite
from latentedit.data.bank import LatentBank
from latentedit.editing.fitted import FittedEditor
from latentedit.sampling.make import make_bank

FIT, HELD_OUT = 60, 20
SUITE: dict[str, Any] = {
    "name": "tuned",
    "bank": {"generator": {"plugin": "toy"}, "labeller": "labeller", "n_fit": FIT, "n_test": 4},
    "judge": "judge",
    "identity": [
        {"plugin": "eye", "name": "first"},
        {"plugin": "eye", "name": "last", "options": {"first": 4}},
    ],
    "editors": {"push": {"plugin": "push"}},
    "controls": ["no-edit"],
    "tasks": [{"attribute": "age", "change": 10}],
    "strengths": [0.5, 1.0, 2.0],
    "effects": [0.8, 0.4],
    "tune": {"trials": 5, "faces": HELD_OUT},
}
Told = list[tuple[float, str]]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> LatentBank:
    return make_bank(
        harness_plugins.registry(),
        tmp_path_factory.mktemp("banks") / "bank",
        generator="toy",
        labeller="labeller",
        n_fit=FIT,
        n_test=4,
    )


def bench(bank: LatentBank, **changes: Any) -> Bench:
    return Bench(Suite.model_validate(SUITE | changes), bank, harness_plugins.registry())


def fit(
    bank: LatentBank, seed: int = 0, entrant: str = "push", **changes: Any
) -> tuple[FittedEditor, dict[str, float], Told]:
    """The editor that tuning leaves, its figures, and what it told of its progress."""
    told: Told = []
    found = bench(bank, **changes)
    editor, figures = fit_entrant(found, entrant, seed, lambda *told_now: told.append(told_now))
    return editor, figures, told


def untuned(bank: LatentBank, seed: int = 0, **options: Any) -> FittedEditor:
    """The pushing editor with these options, not tuned."""
    editors = {"push": {"plugin": "push", "options": options}}
    return fit(bank, seed, editors=editors, tune=None)[0]


def expected(
    bank: LatentBank, strength: float, *, leak: float = 0.0, person: float = 0.0
) -> Tensor:
    """(20,) scores of the last faces in closed form: the cosine after the first identity score has
    moved by `person` times `strength`, mean over both recognisers, less a third of glasses' move
    in standard deviations of the labels."""
    fit = bank.split("fit")
    before = scores(fit.codes[-HELD_OUT:])
    after = before.clone()
    after[:, 0] += person * strength
    cosines = [
        (before[:, part] * after[:, part]).sum(1)
        / (before[:, part].norm(dim=1) * after[:, part].norm(dim=1))
        for part in (slice(0, 4), slice(4, 8))
    ]
    leakage = leak * strength * 0.15 / fit.attributes[:, 1].std(correction=1) / 3
    return torch.stack(cosines).mean(0) - leakage


def scored(figures: dict[str, float]) -> dict[str, float]:
    found = Trials.read(figures)
    assert found is not None
    return dict(found.scores)


def test_a_score_is_similarity_less_leakage_at_the_strength_that_reaches_the_effect(
    bank: LatentBank,
) -> None:
    editor = untuned(bank, gain=0.5, leak=0.2, person=1.0)
    validation = Validation(bench(bank), HELD_OUT)
    found = validation.task_scores(editor, validation.bench.suite.tasks[0])
    wanted = expected(bank, 1.6, leak=0.2, person=1.0)
    assert wanted.std() > 0.05
    assert torch.allclose(found, wanted, atol=2e-3)
    assert validation.score(editor) == pytest.approx(float(wanted.mean()), abs=1e-3)


def test_the_first_effect_of_the_suite_is_the_one_that_counts(bank: LatentBank) -> None:
    editor = untuned(bank, leak=0.9)
    for effects, strength in (([0.8, 0.4], 0.8), ([0.4, 0.8], 0.4)):
        score = Validation(bench(bank, effects=effects), HELD_OUT).score(editor)
        assert score == pytest.approx(float(expected(bank, strength, leak=0.9).mean()), abs=1e-3)


def test_the_last_faces_of_the_fit_split_are_held_out(bank: LatentBank) -> None:
    codes = bank.split("fit").codes
    for count in (2, HELD_OUT):
        faces = Validation(bench(bank), count).faces
        assert torch.equal(faces.codes, codes[FIT - count :])
        assert torch.equal(faces.attributes, bank.split("fit").attributes[FIT - count :])


def test_a_face_that_is_not_reached_scores_minus_one_and_counts_in_the_mean(
    bank: LatentBank,
) -> None:
    editor = untuned(bank, deaf=0.3)
    validation = Validation(bench(bank), HELD_OUT)
    deaf = scores(bank.split("fit").codes[-HELD_OUT:])[:, 1] > 0.3
    assert 3 <= int(deaf.sum()) <= 17
    found = validation.task_scores(editor, validation.bench.suite.tasks[0])
    assert torch.equal(found[deaf], torch.full((int(deaf.sum()),), -1.0))
    assert torch.allclose(found[~deaf], torch.ones(int((~deaf).sum())), atol=1e-3)
    assert validation.score(editor) == pytest.approx(1 - 2 * float(deaf.float().mean()), abs=1e-3)


def test_the_largest_strength_of_the_grid_is_the_last_that_counts(bank: LatentBank) -> None:
    validation = Validation(bench(bank), HELD_OUT)
    assert validation.score(untuned(bank, gain=0.41)) == pytest.approx(1, abs=1e-3)
    assert validation.score(untuned(bank, gain=0.39)) == -1


def test_only_the_faces_of_a_task_are_asked_and_tasks_count_alike(bank: LatentBank) -> None:
    """A task among few faces weighs as much as one among all."""
    labels = bank.split("fit").attributes[-HELD_OUT:]
    middle = float(labels[:, 0].sort().values[4])
    young = {"attribute": "age", "change": 5, "among": {"age": [0, middle]}, "name": "young"}
    validation = Validation(bench(bank, tasks=[*SUITE["tasks"], young]), HELD_OUT)
    editor = untuned(bank, leak=0.6, person=0.7)
    age, few = validation.bench.suite.tasks
    found = validation.task_scores(editor, few)
    # A change of 5 is half of a standard deviation: half of the push.
    wanted = expected(bank, 0.4, leak=0.6, person=0.7)[labels[:, 0] <= middle]
    assert len(found) == 5
    assert torch.allclose(found, wanted, atol=2e-3)
    both = (float(found.mean()) + float(validation.task_scores(editor, age).mean())) / 2
    assert validation.score(editor) == pytest.approx(both, abs=1e-5)


def test_only_the_layers_of_a_task_take_the_edit(bank: LatentBank) -> None:
    """Row 1 decides age and none of what the editor pushes: glasses are row 2, the first identity
    score is row 0."""
    tasks = [{"attribute": "age", "change": 10, "layers": [1]}]
    validation = Validation(bench(bank, tasks=tasks), HELD_OUT)
    assert validation.score(untuned(bank, leak=0.9, person=0.9)) == pytest.approx(1, abs=1e-3)


def test_an_attribute_that_is_not_the_first_is_changed_and_read_in_its_own_column(
    bank: LatentBank,
) -> None:
    tasks = [{"attribute": "yaw", "change": 12}]
    score = Validation(bench(bank, tasks=tasks), HELD_OUT).score(untuned(bank, leak=0.5))
    assert score == pytest.approx(float(expected(bank, 0.8, leak=0.5).mean()), abs=1e-3)


def test_every_trial_has_its_score_and_the_best_one_is_kept(bank: LatentBank) -> None:
    editors = {"push": {"plugin": "push", "options": {"person": 0.2}}}
    editor, figures, _ = fit(bank, editors=editors)
    wanted = {
        '{"person":0.2}': float(expected(bank, 0.8, person=0.2).mean()),
        '{"leak":0.5,"person":0.2}': float(expected(bank, 0.8, leak=0.5, person=0.2).mean()),
        '{"leak":0.1,"person":0.2}': float(expected(bank, 0.8, leak=0.1, person=0.2).mean()),
        '{"mark":1,"person":0.2}': float(expected(bank, 0.8, person=0.2).mean()),
        '{"gain":0.1,"person":0.2}': -1.0,
    }
    assert list(scored(figures)) == list(wanted)
    assert scored(figures) == pytest.approx(wanted, abs=1e-3)
    assert editor.editor.options.model_dump(include={"leak", "person", "mark", "gain"}) == {
        "leak": 0.0,
        "person": 0.2,
        "mark": 0,
        "gain": 1.0,
    }


def test_of_equal_scores_the_earlier_options_are_kept_and_named(bank: LatentBank) -> None:
    """A mark does nothing: the third candidate is exactly as good as the suite's own options."""
    editor, figures, _ = fit(bank)
    found = Trials.read(figures)
    assert found is not None
    assert found.scores["{}"] == found.scores['{"mark":1}'] == max(found.scores.values())
    assert found.chosen == "{}"
    assert editor.editor.options.mark == 0
    assert Trials({"a": 0.5, "b": 0.7, "c": 0.7}, 1.0).chosen == "b"


def test_a_later_trial_wins_where_it_is_better(bank: LatentBank) -> None:
    """With a leak of −0.5 for each of two seeds, the candidate's 0.5 less 1 is worse than nothing
    and 0.5 less 0.5 is nothing at all."""
    editors = {"push": {"plugin": "push", "options": {"per_seed": -0.5}}}
    editor, figures, _ = fit(bank, seed=1, editors=editors)
    leaks = [scored(figures)[name] for name in list(scored(figures))[:2]]
    assert leaks == pytest.approx([float(expected(bank, 0.8, leak=0.5).mean()), 1.0], abs=1e-3)
    assert editor.editor.options.leak == 0.5
    assert float(editor.editor.leak) == 0.0


def test_trials_are_fitted_without_the_faces_that_judge_them(bank: LatentBank) -> None:
    codes = bank.split("fit").codes
    editor, _, _ = fit(bank)
    assert torch.equal(editor.editor.seen, codes[: FIT - HELD_OUT])
    assert editor.figures["faces"] == FIT - HELD_OUT


def test_what_is_not_tuned_is_fitted_on_every_face(bank: LatentBank) -> None:
    codes = bank.split("fit").codes
    editor, figures, _ = fit(bank, tune=None)
    control, control_figures, _ = fit(bank, entrant="no-edit")
    assert torch.equal(editor.editor.seen, codes)
    assert torch.equal(control.editor.seen, codes)
    assert figures == control_figures == {}


@pytest.mark.parametrize("tune", [None, {"trials": 2, "faces": HELD_OUT}])
def test_a_fit_has_the_seed_that_was_asked_for(bank: LatentBank, tune: Any) -> None:
    editors = {"push": {"plugin": "push", "options": {"per_seed": 0.25, "leak": 0.5}}}
    editor, _, _ = fit(bank, seed=3, editors=editors, tune=tune)
    assert editor.seed == 3
    assert float(editor.editor.leak) == 1.25


def test_progress_goes_through_the_trials_in_order(bank: LatentBank) -> None:
    _, _, told = fit(bank, tune={"trials": 4, "faces": HELD_OUT})
    assert told == [((i + 0.5) / 4, f"trial {i + 1} of 4: halfway") for i in range(4)]


def options_of(trials: int, registry: Any = None, **changes: Any) -> list[dict[str, Any]]:
    suite = Suite.model_validate(SUITE | {"tune": {"trials": trials, "faces": 20}} | changes)
    return trial_options(suite, "push", registry or harness_plugins.registry())


@pytest.mark.parametrize("trials", [2, 3, 4, 5, 50])
def test_there_are_as_many_trials_as_the_plan_says_defaults_included(trials: int) -> None:
    every = [{}, {"leak": 0.5}, {"leak": 0.1, "person": 0.3}, {"mark": 1}, {"gain": 0.1}]
    assert options_of(trials) == every[:trials]


def test_what_the_suite_states_is_in_every_trial_and_equal_trials_count_once() -> None:
    editors = {"push": {"plugin": "push", "options": {"leak": 0.2, "mark": 1}}}
    stated = {"leak": 0.2, "mark": 1}
    assert options_of(5, editors=editors) == [
        stated,
        {"leak": 0.2, "person": 0.3, "mark": 1},
        {"gain": 0.1, "leak": 0.2, "mark": 1},
    ]


def test_the_trials_of_equal_options_are_told_apart_by_value_not_by_spelling() -> None:
    """`leak: 0` is what an editor does by default."""
    editors = {"push": {"plugin": "push", "options": {"leak": 0}}}
    assert [o.get("mark", 0) for o in options_of(5, editors=editors)] == [0, 0, 1, 0]


def test_controls_and_plans_without_tuning_have_no_trials() -> None:
    registry = harness_plugins.registry()
    suite = Suite.model_validate(SUITE)
    assert trial_options(suite, "no-edit", registry) == []
    assert trial_options(suite.model_copy(update={"tune": None}), "push", registry) == []


def test_an_editor_that_cannot_be_imported_has_no_trials() -> None:
    class Plugins:
        @hookimpl
        def latentedit_plugins(self) -> list[PluginSpec]:
            return [PluginSpec("editor", "half", "toy_unimportable:Half", "for tests")]

    registry = harness_plugins.registry()
    registry.add(Plugins(), "half", version="1")
    assert options_of(5, registry, editors={"push": {"plugin": "half"}}) == []


def test_faces_that_are_not_reached_are_looked_at_at_the_largest_strength(
    bank: LatentBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor, changes = untuned(bank, deaf=0.3), []
    edit = editor.editor.edit

    def spy(codes: Tensor, source: Tensor, target: Tensor, runtime: Any) -> Any:
        changes.append((target - source)[:, 0].abs())
        return edit(codes, source, target, runtime)

    monkeypatch.setattr(editor.editor, "edit", spy)
    validation = Validation(bench(bank), HELD_OUT)
    validation.task_scores(editor, validation.bench.suite.tasks[0])
    deaf = scores(bank.split("fit").codes[-HELD_OUT:])[:, 1] > 0.3
    assert torch.allclose(changes[-1], torch.where(deaf, 20.0, 8.0), atol=0.01)


def test_the_key_of_tuning_names_all_that_decides_it(bank: LatentBank) -> None:
    found = bench(bank)
    recognisers = [{"fingerprint": "one"}, {"fingerprint": "two"}]
    key = tuning_key(found, "push", recognisers)["tune"]
    assert key == {
        "trials": 5,
        "faces": 20,
        "options": [PushOptions(**options).model_dump() for options in options_of(5)],
        "tasks": [{"attribute": "age", "change": 10.0, "among": {}, "layers": None, "name": "age"}],
        "strengths": [0.5, 1.0, 2.0],
        "effect": 0.8,
        "identity": recognisers,
    }
    assert tuning_key(found, "no-edit", recognisers) == {}
    assert tuning_key(bench(bank, tune=None), "push", recognisers) == {}


def test_results_list_what_was_tried_by_editor_and_seed(tmp_path: Path) -> None:
    suite = Suite.model_validate(
        SUITE | {"seeds": [4, 7], "editors": {name: {"plugin": "push"} for name in ("a", "b", "c")}}
    )
    store = CellStore(tmp_path)
    figures = {("a", 4): Trials({"{}": 0.25, '{"leak":0.5}': 0.5}, 2.0).figures()}
    figures["a", 7] = Trials({"{}": 0.75, '{"leak":0.5}': 0.5}, 2.0).figures()
    figures["b", 4] = {"fit_seconds": 1.0}
    for (name, seed), timings in figures.items():
        store.commit(Cell("fit", {}, name, seed), Outcome("ok", 1.0, timings=timings))
    failed = Outcome("failed", 1.0, "no", timings=figures["a", 4])
    store.commit(Cell("fit", {}, "c", 4), failed)
    assert tuning(suite, store) == (
        Tuning("a", 4, '{"leak":0.5}', {"{}": 0.25, '{"leak":0.5}': 0.5}),
        Tuning("a", 7, "{}", {"{}": 0.75, '{"leak":0.5}': 0.5}),
    )
    written = json.loads((tmp_path / "cells" / "fit--a--seed4" / "cell.json").read_text())
    assert written["timings"]["tuning_seconds"] == 2.0
