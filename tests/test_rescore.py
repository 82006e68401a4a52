"""A finished run is scored by another judge without its editors."""

from __future__ import annotations

import csv
from pathlib import Path

import limited_world as world
import pytest
import telling_world
import torch
from click.testing import CliRunner
from telling_runs import Told
from telling_world import Silent
from toy_metrics import toy_metric_plugins

from latentedit import InputError, Registry
from latentedit.benchmark.cells.store import CellStore
from latentedit.benchmark.plugin_use import ModelUse
from latentedit.benchmark.rescore import rescore
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.summary import summarise
from latentedit.cli.main import cli
from latentedit.report.page import write_report

JUDGE, OTHER = ModelUse(plugin="limited-judge"), ModelUse(plugin="other-judge")
PLAIN = {"only_possible": False, "controls": ["no-edit", "resample"]}
RECOGNISER = ModelUse(plugin="toy-identity", name="again")
HALF_LEVEL = 16 / 255
"""Of the world's images, in standard deviations of an attribute: a pixel shows −16 to 16 of them.
The task asks for one; 0.95 leaves room for their estimate, and the judge sees 0.9."""
OBSERVED = {
    "judge": ("judged", "effect", "matched_judged", "matched_effect", "matched_kernel"),
    "identity": (
        "similarity",
        "matched_similarity",
        "matched_counterfactual_similarity",
        "round_trip_identity",
    ),
}
"""Arrays that each kind of model decides; all others stay."""


def registry() -> Registry:
    found = world.registry()
    found.add(toy_metric_plugins, "toy-metrics", version="1")
    return found


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rescore") / "first"
    assert not world.carry_out(folder).failed
    summarise(folder)
    return folder


def scored(first: Path, out: Path, judge: ModelUse) -> Run:
    outcome = rescore(first, out, Silent(), judge=judge, registry=world.registry, workers=1)
    assert not outcome.failed
    summarise(out)
    return Run(out)


def test_the_same_judge_finds_the_same_figures(first: Path, tmp_path: Path) -> None:
    before, after = Run(first).results, scored(first, tmp_path / "again", JUDGE).results
    assert [(m.editor, m.task, m.metric, m.effect, m.faces) for m in after.measures] == [
        (m.editor, m.task, m.metric, m.effect, m.faces) for m in before.measures
    ]
    for old, new in zip(before.measures, after.measures, strict=True):
        if (old.editor, old.metric.name) != ("timid", "edit–identity area"):
            # whose effects lie exactly on places of that curve, which rounding moves to either side
            assert new.mean == pytest.approx(old.mean, rel=2e-3, abs=1e-2), old
        if (old.editor, old.metric.name) == ("no-edit", "target error"):
            assert new.mean == old.mean
    assert after.left_out == before.left_out


def test_another_judge_says_what_it_would_say_of_a_new_run(tmp_path: Path) -> None:
    world.carry_out(tmp_path / "first", **PLAIN)
    world.carry_out(tmp_path / "new", **PLAIN, judge="other-judge")
    again = scored(tmp_path / "first", tmp_path / "again", OTHER)
    summarise(tmp_path / "new")
    new = Run(tmp_path / "new")
    for entrant in new.suite.entrants:
        for task in new.tasks:
            ((old,), (fresh,)) = again.finished(entrant, task), new.finished(entrant, task)
            for name in ("judged", "effect", "truth", "similarity", "round_trip"):
                torch.testing.assert_close(
                    old.arrays[name], fresh.arrays[name], rtol=2e-3, atol=2e-2
                )


def test_effects_stay_matched_by_the_first_judge(first: Path, tmp_path: Path) -> None:
    again = scored(first, tmp_path / "again", OTHER)
    (old,), (new,) = Run(first).finished("timid", "yaw"), again.finished("timid", "yaw")
    assert torch.equal(old.arrays["matched_strength"], new.arrays["matched_strength"])
    seen = new.arrays["matched_effect"]
    torch.testing.assert_close(seen, 0.9 * old.arrays["matched_effect"], rtol=3e-3, atol=3e-3)
    assert again.provenance.matched_by == "limited-judge"
    assert again.provenance.judge.name == "other-judge"
    page = write_report(tmp_path / "again").read_text("utf-8")
    assert "matched by limited-judge, and scored anew by other-judge" in page


def test_what_is_there_is_kept_and_the_key_says_of_which_cell_it_is(
    first: Path, tmp_path: Path
) -> None:
    out = tmp_path / "again"
    scored(first, out, OTHER)
    outcome = rescore(first, out, Silent(), judge=OTHER, registry=world.registry)
    assert (outcome.computed, outcome.kept) == (0, 1 + 5 * 3)
    cell = "edit--timid--seed0--yaw"
    first_hash = Run(first).store.record(cell)
    assert first_hash is not None
    assert Run(out).store.key(cell)["rescored"] == first_hash.key_hash


def test_a_run_that_kept_no_codes_is_refused(tmp_path: Path) -> None:
    world.carry_out(tmp_path / "first", **PLAIN, keep_codes=False)
    arrays = Run(tmp_path / "first").finished("timid", "yaw")[0].arrays
    assert not [name for name in arrays if name.endswith("codes")]
    with pytest.raises(InputError, match="no edited codes; run its suite again with keep_codes"):
        rescore(
            tmp_path / "first", tmp_path / "again", Silent(), judge=OTHER, registry=world.registry
        )


def test_a_run_is_not_scored_into_itself_nor_by_nobody(first: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose a new folder"):
        rescore(first, first, Silent(), judge=OTHER, registry=world.registry)
    asked = CliRunner().invoke(cli, ["bench", "rescore", str(first), "--out", str(tmp_path / "x")])
    assert "by whom should the run be scored" in str(asked.exception)


def one(run: Run, entrant: str = "timid", task: str = "yaw") -> dict[str, torch.Tensor]:
    return run.store.arrays(f"edit--{entrant}--seed0--{task}")


def test_what_a_model_decides_that_is_not_replaced_stays_to_the_last_bit(
    first: Path, tmp_path: Path
) -> None:
    before = one(Run(first))
    for given in ("judge", "identity"):
        models = {"judge": OTHER} if given == "judge" else {"identity": [RECOGNISER]}
        rescore(first, tmp_path / given, Silent(), registry=world.registry, workers=1, **models)
        after = one(Run(tmp_path / given))
        assert set(after) == set(before)
        same = {name for name in before if after[name].equal(before[name])}
        decided = {*OBSERVED[given], "matched_features", "matched_frechet"}
        nans = {name for name in before if before[name].isnan().any()}
        assert set(before) - same <= decided | nans, given
    assert not one(Run(tmp_path / "judge"))["judged"].equal(before["judged"])


def test_kept_images_are_seen_again_instead_of_rendered(tmp_path: Path) -> None:
    asked = {"only_possible": False, "controls": ["oracle", "no-edit"], "keep_images": True}
    world.carry_out(tmp_path / "first", **asked)
    store = Run(tmp_path / "first").store
    kept = store.pictures("edit--timid--seed0--yaw")
    assert {name: (kept[name].shape[:-3], kept[name].dtype) for name in kept} == {
        "pictures": ((3, world.N_TEST), torch.uint8),
        "matched_pictures": ((1, world.N_TEST), torch.uint8),
        "matched_counterfactual_pictures": ((1, world.N_TEST), torch.uint8),
        "round_trip_pictures": ((world.N_TEST,), torch.uint8),
    }
    assert not [name for name in store.arrays("edit--timid--seed0--yaw") if "pictures" in name]
    again = scored(tmp_path / "first", tmp_path / "again", OTHER)
    assert again.store.pictures("edit--timid--seed0--yaw") == {}
    before = one(Run(tmp_path / "first"))
    torch.testing.assert_close(
        one(again)["effect"], 0.9 * before["effect"], rtol=0, atol=0.95 * HALF_LEVEL
    )
    assert not one(again)["effect"].equal(0.9 * before["effect"])


def test_codes_can_be_kept_as_they_are(tmp_path: Path) -> None:
    world.carry_out(tmp_path / "first", **PLAIN, keep_codes="float32")
    before = one(Run(tmp_path / "first"))
    assert before["codes"].dtype == before["round_trip_codes"].dtype == torch.float32
    after = one(scored(tmp_path / "first", tmp_path / "again", JUDGE))
    torch.testing.assert_close(after["judged"], before["judged"], rtol=1e-5, atol=1e-5)


def test_a_metric_can_be_added_to_a_finished_run(first: Path, tmp_path: Path) -> None:
    out, move = tmp_path / "again", [ModelUse(plugin="move")]
    outcome = rescore(first, out, Silent(), metrics=move, registry=registry, workers=1)
    assert not outcome.failed
    before, after = one(Run(first)), one(Run(out))
    moved = before["matched_codes"][0].float().norm(dim=1)
    reached = ~before["matched_strength"][0].isnan()
    torch.testing.assert_close(after["matched_metric move"][0][reached], moved[reached])
    assert after["matched_judged"].equal(before["matched_judged"])
    rows = summarise(out).measures
    assert {row.metric.name for row in rows} >= {"move", "reach"}


def test_rows_say_by_whom_they_are(first: Path, tmp_path: Path) -> None:
    scored(first, tmp_path / "again", OTHER)
    for folder, judges in (
        (first, ("limited-judge", "limited-judge")),
        (tmp_path / "again", ("other-judge", "limited-judge")),
    ):
        with (folder / "results.csv").open(newline="") as file:
            found = {(row["judge"], row["matched by"]) for row in csv.DictReader(file)}
        assert found == {judges}


def test_other_recognisers_see_undone_edits_anew(telling: Told, tmp_path: Path) -> None:
    """The same two in the other order find the same, in the other order."""
    swapped = [ModelUse(plugin="wide", name="broad"), ModelUse(plugin="narrow")]
    outcome = rescore(
        telling.folder, tmp_path / "again", Silent(), identity=swapped,
        registry=telling_world.registry, workers=1,
    )  # fmt: skip
    assert not outcome.failed
    first, again = CellStore(telling.folder), CellStore(tmp_path / "again")
    for cell in ("edit--leaky--seed0--older", "edit--leaky--seed0--specs"):
        before, after = (store.arrays(cell)["round_trip_identity"] for store in (first, again))
        assert float(before[0].sub(before[1]).abs().max()) > 0.01
        assert torch.allclose(after, before.flip(0), atol=1e-3)
