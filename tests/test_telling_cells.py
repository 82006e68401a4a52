"""What the cells of a run hold: faces, requests, pictures, costs; and what a run refuses."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import telling_oracle as oracle
import telling_world as world
import torch
from telling_runs import Told, assert_near
from torch import Tensor

from latentedit import InputError, Unsupported
from latentedit.benchmark.cells import edits
from latentedit.benchmark.cells.asked import requested
from latentedit.benchmark.cells.bench import Bench
from latentedit.benchmark.cells.edits import TimedEditor, edit_milliseconds, measure_edits
from latentedit.benchmark.cells.store import CellStore
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.states import cell_states
from latentedit.benchmark.suite import Suite
from latentedit.benchmark.task import Task
from latentedit.data.bank import LatentBank
from latentedit.editing.fitted import fit_editor, load_editor

EDITORS = ["straight", "leaky", "seedy", "wary", "no-edit"]
TASKS = ["older", "specs", "turned"]


def test_the_bank_holds_truncated_codes_under_the_labeller_s_labels(telling: Told) -> None:
    bank, known = LatentBank.open(telling.folder / "bank"), telling.oracle
    for name, u in (("fit", known.fit), ("test", known.test)):
        split = bank.split(name)
        assert_near(split.codes, oracle.codes(u)[:, 0])
        assert_near(split.attributes, oracle.labels(u))
        assert split.space == "w"


def test_unedited_faces_are_seen_by_judge_and_each_recogniser(telling: Told) -> None:
    found, known = telling.arrays("faces"), telling.oracle
    people = oracle.identity(known.test)
    assert_near(found["judged"], oracle.judged(known.test))
    assert_near(found["truth"], oracle.truth(known.test))
    assert_near(found["identity"], people)
    assert_near(found["features"][:, :4], oracle.features(known.test))
    assert found["embeddings"].shape == (2, 70, 5)
    for embedded, (which, _) in zip(found["embeddings"], oracle.RECOGNISERS.values(), strict=True):
        unit = people[:, which] / np.linalg.norm(people[:, which], axis=1, keepdims=True)
        assert_near(embedded[:, : unit.shape[1]], unit)
        assert_near(embedded[:, unit.shape[1] :], 0 * embedded[:, unit.shape[1] :])
    assert "photo_embeddings" not in found


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", EDITORS)
def test_a_cell_holds_what_was_asked_and_seen_at_every_strength(
    telling: Told, name: str, task: str
) -> None:
    for seed in world.SEEDS:
        found = telling.arrays(f"edit--{name}--seed{seed}--{task}")
        cell = telling.oracle.cell(name, seed, task)
        assert found["faces"].tolist() == cell.faces.tolist()
        assert_near(found["change"], cell.change)
        assert_near(found["source"], cell.source[:, cell.column])
        assert_near(found["effect"], cell.effects)
        assert_near(found["judged"], [oracle.judged(u) for u in cell.grid])
        assert_near(found["truth"], [oracle.truth(u) for u in cell.grid])
        drift = [oracle.identity(u) - oracle.identity(cell.u) for u in cell.grid]
        assert_near(found["drift"], np.sqrt(np.square(drift).mean(2)))
        for e, (which, _) in enumerate(oracle.RECOGNISERS.values()):
            seen = [cell.similarity(u, which) for u in cell.grid]
            assert_near(found["similarity"][:, e], seen)
        for i, effect in enumerate(world.EFFECTS):
            at = cell.strengths(effect)
            assert_near(found["matched_strength"][i], at)
            reached = ~np.isnan(at)
            assert_near(found["matched_effect"][i][reached], np.full(reached.sum(), effect))
            never = cell.effect(cell.at(world.STRENGTHS[-1]))[~reached]
            assert_near(found["matched_effect"][i][~reached], never)


@pytest.mark.parametrize("task", ["older", "turned"])
def test_pictures_are_of_the_first_faces_before_and_at_each_effect(
    telling: Told, task: str
) -> None:
    found = telling.arrays(f"edit--leaky--seed1--{task}")
    cell = telling.oracle.cell("leaky", 1, task)
    shown = [(found["images"], cell.u)]
    for i, effect in enumerate(world.EFFECTS):
        shown.append((found["matched_images"][i], cell.at(cell.strengths(effect))))
    for images, u in shown:
        assert images.shape == (2, 3, 8, 8)
        expected = np.full((2, 3, 64), 128.0)
        expected[:, 0, :6] = np.round(127.5 * (oracle.pixels(u)[:2, :6] + 1))
        expected[:, 1, :8] = np.round(127.5 * (oracle.pixels(u)[:2, 6:] + 1))
        assert np.abs(images.reshape(2, 3, 64) - expected).max() <= 1
        assert (images.reshape(2, 3, 64) != expected).sum() <= 1


def test_edits_are_counted_as_they_were_made(telling: Told) -> None:
    """One call a strength; by effect one to find the strength, where a face reaches, and one."""
    turned, _ = telling.oracle.asked(telling.oracle.task("turned"))
    for name in EDITORS:
        calls, evaluations = 0, 0
        for seed in world.SEEDS:
            for task in TASKS:
                cell = telling.oracle.cell(name, seed, task)
                reaching = [int((~np.isnan(cell.strengths(r))).sum()) for r in world.EFFECTS]
                expected = 3 + 2 + sum(n > 0 for n in reaching)
                found = telling.timings(f"edit--{name}--seed{seed}--{task}")
                each = oracle.EVALUATIONS.get(name, 2 + seed)
                assert found["edit_calls"] == expected, (name, seed, task)
                assert found["edits"] == 5 * len(cell.faces) + sum(reaching)
                assert found["nfe"] == each * expected
                calls, evaluations = calls + expected, evaluations + each * expected
            chain = telling.timings(f"sequence--{name}--seed{seed}--all-three")
            assert chain["edit_calls"] == 6 * 3 + 2 + 4 + 6
            assert chain["nfe"] == oracle.EVALUATIONS.get(name, 2 + seed) * 30
            assert chain["edits"] == 30 * len(turned)
        assert telling.costs[name]["nfe"] == pytest.approx(evaluations / calls)


def test_costs_are_medians_over_the_fits(telling: Told) -> None:
    assert list(telling.costs) == EDITORS
    for name, row in telling.costs.items():
        fits = [telling.timings(f"fit--{name}--seed{seed}") for seed in world.SEEDS]
        for key in ("fit_seconds", "edit_ms_batch_1", "edit_ms_batch_64", "peak_memory_mb"):
            assert row[key] == pytest.approx(sorted(fit[key] for fit in fits)[1]), key
            assert row[key] > 0
        assert row["tuning_seconds"] == 0
        assert name == "no-edit" or all(fit["seconds_of_thought"] == 1 for fit in fits)


def test_cells_are_counted(telling: Told) -> None:
    assert telling.results["cells"] == {"ok": 1 + 5 * 3 * (1 + 3 + 1), "failed": []}
    assert telling.results["faces"] == 70
    assert telling.results["controls"] == ["no-edit"]


def test_provenance_tells_judge_and_labeller_apart(telling: Told) -> None:
    found = telling.results["provenance"]
    assert found["judge"]["name"] == "telling-judge"
    assert found["judge"]["fingerprint"] == world.Judge.fingerprint
    assert found["bank"]["labeller_fingerprint"] == world.Labeller.fingerprint
    assert found["bank"]["truncation_psi"] == world.PSI
    assert [e["fingerprint"] for e in found["identity"]] == [
        world.Narrow.fingerprint,
        world.Wide.fingerprint,
    ]


def test_a_fit_depends_on_its_seed_and_on_the_labels_of_the_fit_split(telling: Told) -> None:
    for seed in world.SEEDS:
        folder = telling.folder / "cells" / f"fit--seedy--seed{seed}" / "editor"
        editor: Any = load_editor(world.registry(), folder).editor
        assert float(editor.seed) == seed
        mean = oracle.labels(telling.oracle.fit)[:, 0].mean()
        assert float(editor.pull) == pytest.approx(mean / 70, rel=1e-5)


def test_a_judge_that_is_the_labeller_under_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has the labeller's fingerprint: it is the same model"):
        world.carry_out(tmp_path / "run", world.SUITE | {"judge": "telling-labeller-again"})
    assert not (tmp_path / "run" / "cells").exists()


def test_a_judge_of_other_attributes_is_refused(telling: Told) -> None:
    class Other(world.Judge):
        schema = world.SCHEMA.subset(("age", "yaw"))

    class Plugins:
        def estimator(self, name: str, options: Any) -> world.Judge:
            return Other()

    bank = LatentBank.open(telling.folder / "bank")
    bench = Bench(Suite.model_validate(world.SUITE), bank, Plugins())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="reads age, yaw; the bank is labelled with age, glasses"):
        _ = bench.judge


LABELS = torch.tensor([[20.0, 0.2], [30, 0.5], [40, 0.7], [50, 0.9], [30, 1.1]])
PLAIN = world.SCHEMA.subset(("age", "glasses"))


def ask(labels: Tensor = LABELS, fit: Tensor = LABELS, **task: Any) -> tuple[Any, Any]:
    faces, change = requested(Task.model_validate(task), labels, fit, PLAIN)
    return faces.tolist(), change.tolist()


def test_changes_lead_towards_the_median_of_the_labels_that_were_fitted() -> None:
    fit = torch.tensor([[1.0, 0], [30, 0], [30.5, 0], [44, 0], [1000, 0]])
    assert ask(fit=fit, attribute="age", change=7) == ([0, 1, 2, 3, 4], [7, 7, -7, -7, 7])
    fit[:, 0] = torch.tensor([1.0, 2, 30, 44, 1000])
    assert ask(fit=fit, attribute="age", change=7)[1] == [7, -7, -7, -7, -7]


def test_flips_lead_to_the_other_end_from_the_middle_on() -> None:
    faces, change = ask(attribute="glasses", change="flip", among={"age": [20, 40]})
    assert faces == [0, 1, 2, 4]
    assert change == pytest.approx([0.8, -0.5, -0.7, -1.1])


def test_among_holds_its_bounds_and_all_of_them() -> None:
    both = {"age": [30, 50], "glasses": [0.0, 0.75]}
    assert ask(attribute="age", change=5, among=both)[0] == [1, 2]
    with pytest.raises(InputError, match="its `among` leaves 1 of 5 images"):
        ask(attribute="age", change=5, among={"age": [20, 20]})


def test_among_reads_the_first_number_of_a_vector() -> None:
    labels = torch.zeros(4, 6)
    labels[:, 3:] = torch.tensor([[0.1, 0.9, 0.9], [0.9, 0.1, 0.1], [0.2, 0.5, 0.9], [1, 1, 0.1]])
    task = Task.model_validate({"attribute": "age", "change": 5, "among": {"lighting": [0, 0.5]}})
    faces, _ = requested(task, labels, labels, world.SCHEMA)
    assert faces.tolist() == [0, 2]


def test_changes_wider_than_the_range_are_refused() -> None:
    assert ask(attribute="age", change=70)[1] == [70, -70, -70, -70, -70]
    with pytest.raises(InputError, match="but its range is 0 to 70 years"):
        ask(attribute="age", change=70.5)


def test_an_edit_s_time_is_the_median_call_shared_among_its_faces(
    telling: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = LatentBank.open(telling.folder / "bank")
    fitted = fit_editor(world.registry(), "straight", bank)
    seconds, asked = [0.5, 0.1, 0.4, 0.2, 0.9], []
    edit = fitted.editor.edit

    def spy(codes: Tensor, source: Tensor, target: Tensor, runtime: Any) -> Any:
        asked.append((len(codes), (target - source).unique(dim=0).tolist()))
        return edit(codes, source, target, runtime)

    for batch, repeats, expected in ((1, 5, 400.0), (80, 3, 400.0 / 80)):
        asked.clear()
        ticks = [t for s in seconds for t in (10.0, 10.0 + s)]
        with monkeypatch.context() as patch:
            patch.setattr(fitted.editor, "edit", spy)
            patch.setattr(edits.time, "perf_counter", iter(ticks).__next__)
            assert edit_milliseconds(fitted, bank, batch, repeats) == pytest.approx(expected)
        assert [n for n, _ in asked] == [batch] * repeats
        assert all(np.allclose(change, [[17.5, 0, 0, 0, 0, 0]]) for _, change in asked)


class Blind(world.ToyGenerator):
    """Tells the truth of codes of W alone."""

    def truth(self, codes: Tensor, space: str = "w") -> Any:
        if space != "w":
            raise Unsupported("not of W+")
        return super().truth(codes, space)


class Silent(world.ToyGenerator):
    """Tells no truth at all."""

    def truth(self, codes: Tensor, space: str = "w") -> Any:
        raise Unsupported("nothing is known")


@pytest.mark.parametrize(("kind", "scores"), [(Blind, 8), (Silent, 0)])
def test_where_the_truth_is_not_known_it_is_nothing_or_what_the_judge_says(
    telling: Told, kind: type[world.ToyGenerator], scores: int
) -> None:
    suite = Suite.model_validate(world.SUITE)
    bench = Bench(suite, LatentBank.open(telling.folder / "bank"), world.registry())
    bench.__dict__["generator"] = kind()
    codes = bench.bank.split("test").codes
    seen = bench.look(codes[:, None].expand(-1, 4, -1).contiguous(), "w+", show=3)
    assert seen.identity.shape == (70, scores)
    assert seen.images.shape == (3, 3, 8, 8)
    if scores:
        assert bool(seen.truth.isnan().all())
        assert bool(seen.identity.isnan().all())
    else:
        assert torch.equal(seen.truth, seen.judged)
    home = bench.look(codes, "w", features=True)
    assert home.features.shape == (70, 5)
    expected = oracle.truth(telling.oracle.test) if scores else home.judged
    assert_near(home.truth, expected)


def test_the_judge_s_features_are_taken_where_they_are_asked_for_alone(telling: Told) -> None:
    bank = LatentBank.open(telling.folder / "bank")
    bench = Bench(Suite.model_validate(world.SUITE), bank, world.registry())
    codes = bank.split("test").codes[:3]
    assert bench.look(codes, "w").features.shape == (3, 0)
    assert bench.look(codes, "w", features=True).features.shape == (3, 5)


def test_one_fitted_face_is_enough_to_know_how_much_truth_there_is(
    telling: Told, tmp_path: Path
) -> None:
    bank = LatentBank.open(telling.folder / "bank")
    one = bank.split("fit").take(torch.arange(1))
    small = LatentBank.write(
        tmp_path / "one",
        {"fit": one, "test": bank.split("test")},
        bank.generator,
        bank.labeller,
        dict(bank.sampling),
    )
    bench = Bench(Suite.model_validate(world.SUITE), small, world.registry())
    bench.__dict__["generator"] = Blind()
    codes = bank.split("test").codes[:2, None].expand(-1, 4, -1).contiguous()
    assert bench.look(codes, "w+").identity.shape == (2, 8)


def test_features_are_measured_in_their_spread_over_all_faces_not_the_edited_ones(
    telling: Told,
) -> None:
    """The youngest ten are left out of 70, so that their spread is another one."""
    bank = LatentBank.open(telling.folder / "bank")
    ages = bank.split("test").attributes[:, 0].sort().values
    between = (float(ages[9] + ages[10]) / 2, float(ages[-1]) + 1)
    most = {"attribute": "age", "change": 12, "name": "most", "among": {"age": list(between)}}
    data = world.SUITE | {"tasks": [most], "sequences": []}
    suite = Suite.model_validate(data)
    bench = Bench(suite, bank, world.registry())
    fitted = fit_editor(world.registry(), "leaky", bank)
    before = CellStore(telling.folder).arrays("faces")
    found, _ = measure_edits(bench, fitted, suite.tasks[0], before, lambda *told: None)
    cell = oracle.Oracle(data).cell("leaky", 0, "most")
    assert found["faces"].tolist() == cell.faces.tolist()
    assert 50 <= len(cell.faces) < 70
    for i, effect in enumerate(world.EFFECTS):
        wanted = cell.distances(effect)
        assert wanted["faces"] >= 50
        assert_near(found["matched_frechet"][i], wanted["frechet"])
        assert_near(found["matched_kernel"][i], wanted["kernel"])


def test_a_run_without_truth_reports_no_errors_of_its_own(telling: Told) -> None:
    run = Run(telling.folder)
    assert run.reference.knows_truth
    assert [state.id for state in cell_states(run)][:2] == ["faces", "fit--straight--seed0"]


def test_the_cost_of_edits_is_a_sum_of_seconds_images_and_evaluations() -> None:
    edited = SimpleNamespace(nfe=7)
    timed = TimedEditor(SimpleNamespace(edit=lambda *_, **__: edited))  # type: ignore[arg-type]
    codes, values = torch.zeros(3, 4), torch.zeros(3, 2)
    for _ in range(2):
        assert timed.edit(codes, values, values, None) is edited
    assert 0 <= timed.cost.pop("edit_seconds") < 60
    assert timed.cost == {"edits": 6, "edit_calls": 2, "nfe": 14}
