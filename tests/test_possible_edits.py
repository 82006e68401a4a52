"""Strengths go on until the effect attains, and no face is asked what no edit can do."""

from __future__ import annotations

from pathlib import Path

import limited_world as world
import pytest
import torch
from torch import Tensor
from toy import ToyGenerator

from latentedit import Generator, PluginSpec, SuiteError, hookimpl, make_bank
from latentedit.benchmark.cells.asked import requested
from latentedit.benchmark.cells.bench import Bench
from latentedit.benchmark.cells.extending import extended
from latentedit.benchmark.cells.possible import possible_images
from latentedit.benchmark.results.keys import MetricKey
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.records import Results
from latentedit.benchmark.results.rows import Measure
from latentedit.benchmark.results.summary import summarise
from latentedit.benchmark.results.ways import ways
from latentedit.benchmark.suite import Suite, parse_suite
from latentedit.benchmark.task import Task
from latentedit.report.page import write_report


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("limited") / "run"
    assert not world.carry_out(folder).failed
    summarise(folder)
    write_report(folder)
    return Run(folder)


@pytest.fixture(scope="module")
def results(run: Run) -> Results:
    return run.results


def mean(results: Results, editor: str, metric: str, task: str = "all tasks") -> float:
    (found,) = (
        m.mean
        for m in results.measures
        if (m.editor, str(m.metric), m.task) == (editor, metric, task)
    )
    return found


def ages(run: Run) -> tuple[Tensor, Tensor]:
    """(N,) ages of the test faces, and whether each is asked to grow older."""
    age = run.bank.split("test").attributes[:, 0]
    return age, age < world.median(run.bank.split("fit").attributes[:, 0])


def test_a_face_takes_part_where_the_judge_can_see_the_effect_at_all(run: Run) -> None:
    age, older = ages(run)
    seen = age.clamp(max=world.OLDEST)
    limit = 16 * world.ASKED
    room = torch.where(older, world.OLDEST - seen, seen - (age - limit)) / world.ASKED
    expected = room >= world.EFFECT
    assert 0 < expected.sum() < world.N_TEST
    assert torch.equal(run.reference.faces["possible"][0], expected)
    assert run.reference.faces["possible"][1].all()
    for entrant in run.suite.entrants:
        (edits,) = run.finished(entrant, "age")
        assert edits.arrays["faces"].tolist() == expected.nonzero()[:, 0].tolist()


def test_the_report_names_the_faces_that_are_left_out(run: Run, results: Results) -> None:
    left = world.N_TEST - int(run.reference.faces["possible"][0].sum())
    assert [(row.task, row.faces, row.left_out) for row in results.left_out] == [
        ("age", world.N_TEST, left),
        ("yaw", world.N_TEST, 0),
    ]
    page = (run.folder / "report" / "index.html").read_text("utf-8")
    assert f"Task age: {left} of {world.N_TEST} faces are left out" in page
    assert "Task yaw" not in page


def test_a_timid_editor_is_pushed_until_it_attains(run: Run, results: Results) -> None:
    assert mean(results, "timid", "reach", "yaw") == 1
    (edits,) = run.finished("timid", "yaw")
    strengths = edits.arrays["matched_strength"][0]
    assert strengths.tolist() == pytest.approx([10 * world.EFFECT] * world.N_TEST, rel=0.02)


def test_an_editor_that_stops_growing_is_not_pushed_on(run: Run, results: Results) -> None:
    assert mean(results, "bounded", "reach", "age") == 0
    assert mean(results, "bounded", "identity with failures · toy-identity", "age") == 0


def test_controls_stand_in_their_order(results: Results) -> None:
    assert mean(results, "oracle", "reach") == 1
    assert mean(results, "no-edit", "reach") == 0
    for metric in ("attribute leakage", "true leakage", "true identity drift"):
        assert mean(results, "oracle", metric) < 1e-5
        assert mean(results, "oracle", metric) < 0.1 < mean(results, "resample", metric)
    assert mean(results, "oracle", "distance to the counterfactual") < 1e-4
    assert mean(results, "oracle", "distance inside what may change") < 1e-4
    assert mean(results, "oracle", "distance outside what may change") < 1e-4
    assert mean(results, "oracle", "true effect", "yaw") == pytest.approx(world.EFFECT, rel=0.02)
    assert mean(results, "oracle", "structural similarity to the counterfactual") > 1 - 1e-6
    assert mean(results, "resample", "distance to the counterfactual") > 0.1
    identity = "identity similarity · toy-identity"
    assert mean(results, "oracle", identity) == pytest.approx(1, abs=1e-5)
    assert mean(results, "resample", identity) < 0.5


def test_every_figure_is_given_as_a_share_of_the_way_from_floor_to_ceiling(
    run: Run, results: Results
) -> None:
    ways = {(way.editor, str(way.metric)): way.share for way in results.ways}
    for metric in ("attribute leakage", "identity similarity · toy-identity"):
        assert ways["oracle", metric] == 1
        assert ways["resample", metric] == 0
        floor, ceiling = (mean(results, name, metric) for name in ("resample", "oracle"))
        timid = (mean(results, "timid", metric) - floor) / (ceiling - floor)
        assert ways["timid", metric] == pytest.approx(timid)
    assert ("no-edit", "attribute leakage") not in ways  # it reaches nothing
    page = (run.folder / "report" / "index.html").read_text("utf-8")
    assert "Between floor and ceiling" in page


def test_a_metric_in_which_floor_and_ceiling_agree_has_no_way() -> None:
    rows = [
        Measure(name, "all tasks", MetricKey("reach"), 0.8, 1.0, None, None, 5, 1, None)
        for name in ("low", "high", "mine")
    ]
    assert ways(rows, {"floor": "low", "ceiling": "high"}, 0.8) == ()
    assert ways(rows, {"ceiling": "high"}, 0.8) == ()


def test_without_a_limit_no_strength_is_added_and_nobody_is_left_out(tmp_path: Path) -> None:
    changes = {
        "strength_limit": None,
        "only_possible": False,
        "controls": [],
        "tasks": world.SUITE["tasks"][:1],
    }
    assert not world.carry_out(tmp_path / "run", **changes).failed
    run = Run(tmp_path / "run")
    assert "possible" not in run.reference.faces
    (edits,) = run.finished("timid", "age")
    assert len(edits.arrays["faces"]) == world.N_TEST
    assert edits.arrays["matched_strength"].isnan().all()
    assert summarise(tmp_path / "run").left_out == ()


class Plain(ToyGenerator):
    """The toy world, without counterfactuals."""

    counterfactual = Generator.counterfactual


class _Plain:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [PluginSpec("generator", "plain", "test_possible_edits:Plain", "for tests")]


def test_where_the_world_has_no_counterfactuals_every_face_is_asked(tmp_path: Path) -> None:
    plugins = world.registry()
    plugins.add(_Plain(), "plain")
    models = {"generator": "plain", "labeller": "toy-labeller"}
    bank = make_bank(plugins, tmp_path / "bank", **models, n_fit=20, n_test=4)
    given = {"bank": world.SUITE["bank"] | {"generator": {"plugin": "plain"}}, "controls": []}
    suite = Suite.model_validate(world.SUITE | given)
    assert suite.only_possible
    bench = Bench(suite, bank, plugins)
    assert possible_images(bench, bank.split("test").attributes) == {}


def test_only_faces_that_miss_the_effect_and_still_grow_are_tried_again() -> None:
    tried: list[tuple[float, list[int]]] = []
    slope, ceiling = torch.tensor([0.8, 0.3, 0.1, 0.4]), torch.tensor([9.0, 9.0, 9.0, 0.5])

    def effect_at(strengths: Tensor, rows: Tensor) -> Tensor:
        tried.append((float(strengths[0]), rows.tolist()))
        return torch.minimum(strengths * slope[rows], ceiling[rows])

    grid = torch.tensor([0.5, 1.0])
    effects = torch.minimum(grid[:, None] * slope, ceiling)
    strengths, found = extended(effect_at, grid, effects, 0.8, 6.0)
    assert tried == [(2.0, [1, 2, 3]), (4.0, [1, 2, 3]), (6.0, [2])]
    assert strengths.tolist() == [0.5, 1, 2, 4, 6]
    assert found[:, 0].tolist() == pytest.approx([0.4, 0.8, 0.8, 0.8, 0.8])  # just attained
    assert found[:, 1].tolist() == pytest.approx([0.15, 0.3, 0.6, 1.2, 1.2])
    assert found[:, 2].tolist() == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.6])
    assert found[:, 3].tolist() == pytest.approx([0.2, 0.4, 0.5, 0.5, 0.5])


LABELS = torch.linspace(20, 60, 5)[:, None].expand(5, 6).contiguous()


def asked(change: object) -> list[float]:
    fitted = torch.linspace(0, 70, 71)[:, None].expand(71, 6)
    task = Task.model_validate({"attribute": "age", "change": change})
    return requested(task, LABELS, fitted, world.SCHEMA)[1].tolist()


def test_a_change_can_be_asked_in_standard_deviations_of_the_fit_split() -> None:
    sigma = (sum((k - 35) ** 2 for k in range(71)) / 70) ** 0.5
    assert asked({"sigma": 0.5}) == pytest.approx([sigma / 2] * 2 + [-sigma / 2] * 3)


def test_a_change_can_be_asked_to_a_quantile_on_the_other_side() -> None:
    assert asked({"quantile": 0.9}) == pytest.approx([63 - 20, 63 - 30, 7 - 40, 7 - 50, 7 - 60])


@pytest.mark.parametrize(
    "change",
    [
        "{sigma: 0}",
        "{sigma: 1, quantile: 0.9}",
        "{quantile: 0.5}",
        "{quantile: 1}",
        "{sd: 1}",
        "true",
        "-1",
    ],
)
def test_another_change_is_refused(change: str) -> None:
    text = f"""
name: x
bank: {{generator: {{plugin: a}}, labeller: b, n_fit: 10, n_test: 2}}
judge: c
identity: [d]
editors: {{e: {{plugin: e}}}}
tasks: [{{attribute: age, change: {change}}}]
"""
    with pytest.raises(SuiteError, match=r"tasks\.0\.change"):
        parse_suite(text)


@pytest.mark.parametrize("limit", [1.5, 2000])
def test_a_limit_lies_above_the_strengths(limit: float) -> None:
    with pytest.raises(
        ValueError, match="strength_limit: is from the largest strength, 2, to 1024"
    ):
        Suite.model_validate(world.SUITE | {"strength_limit": limit})
