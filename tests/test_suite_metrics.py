"""Metrics that a suite adds, from plugin to report and leaderboard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from in_process import CommandLine
from metric_worlds import toy_metrics_registry as registry
from test_benchmark import SUITE, Silent
from toy import RESOLUTION, SCHEMA, ToyGenerator
from toy_metrics import WRONG, metric_registry

from latentedit import (
    EditsSeen,
    InputError,
    LatentBank,
    PluginFault,
    Registry,
    Seen,
    SuiteError,
    load_editor,
)
from latentedit.benchmark.cells.bench import Bench
from latentedit.benchmark.cells.edits import measure_edits
from latentedit.benchmark.cells.kept import KeptBatches
from latentedit.benchmark.cells.store import CellStore
from latentedit.benchmark.results.board import boards
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.summary import summarise
from latentedit.benchmark.run import explain, run_suite
from latentedit.benchmark.suite import Suite, parse_suite
from latentedit.editing import guard
from latentedit.measures.added import declare
from latentedit.measures.definitions import Metric
from latentedit.measures.headline import brief, headlines
from latentedit.measures.structure import structural_similarity
from latentedit.report.leaderboard import write_leaderboard
from latentedit.report.page import write_report

ADDED = ["move", "spread", {"plugin": "move", "options": {"scale": 2.0}, "name": "twice"}]
ADDED += ["likeness", "recorded-likeness", "from-attributes", "outside"]


def suite(**fields: Any) -> Suite:
    small = {"n_fit": 40, "n_test": 70, "generator": {"plugin": "toy"}, "labeller": "toy-labeller"}
    tasks = [{"attribute": "age", "change": 10}]
    names = ("exact", "timid")
    given = {"editors": {name: {"plugin": name} for name in names}, "bank": small, "tasks": tasks}
    return Suite.model_validate(SUITE | given | {"sequences": [], "controls": []} | fields)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "with"
    outcome = run_suite(suite(metrics=ADDED), folder, Silent(), registry=registry)
    assert [record.error for record in outcome.failed] == []
    summarise(folder)
    return folder


def test_a_metric_is_measured_on_each_face_at_the_matched_effect(run: Path) -> None:
    arrays = CellStore(run).arrays("edit--exact--seed0--age")
    # the exact editor moves by M⁺ times the request, which is 10 years times the strength
    length = float(torch.linalg.pinv(ToyGenerator().matrix)[:, 0].norm())
    expected = 10 * arrays["matched_strength"][0] * length
    assert arrays["matched_metric move"].shape == (1, 70)
    assert torch.allclose(arrays["matched_metric move"][0], expected, rtol=1e-4)
    assert torch.equal(arrays["matched_metric twice"], 2 * arrays["matched_metric move"])


def test_a_metric_of_sets_sees_only_the_faces_that_reached_the_effect(run: Path) -> None:
    arrays = CellStore(run).arrays("edit--timid--seed0--age")
    reached = ~arrays["matched_strength"][0].isnan()
    assert 2 < int(reached.sum()) < 70
    judged = arrays["matched_judged"][0, reached, 0]
    assert torch.allclose(arrays["matched_metric spread"][0], judged.std())


def test_a_metric_may_have_a_number_for_each_identity_encoder(run: Path) -> None:
    arrays, results = CellStore(run).arrays("edit--timid--seed0--age"), Run(run).results
    recorded = arrays["matched_similarity"]
    assert recorded.shape == (1, 1, 70)
    assert torch.equal(arrays["matched_metric recorded-likeness"], recorded)
    torch.testing.assert_close(arrays["matched_metric likeness"], recorded)
    keys = {str(m.metric) for m in results.measures}
    assert {"likeness · toy-identity", "recorded-likeness · toy-identity"} <= keys
    means = {str(m.metric): m.mean for m in results.measures if m.editor == "timid"}
    own, added = means["identity similarity · toy-identity"], means["likeness · toy-identity"]
    assert added == pytest.approx(own, rel=1e-6)


def test_a_metric_sees_the_pixels_that_an_edit_may_change(run: Path) -> None:
    """The exact editor changes nothing else than the toy world's own counterfactual."""
    store = CellStore(run)
    exact = store.arrays("edit--exact--seed0--age")["matched_metric outside"]
    assert exact.shape == (1, 70)
    assert float(exact.max()) < 1e-4


def test_a_metric_may_only_describe(run: Path) -> None:
    arrays, results = CellStore(run).arrays("edit--exact--seed0--age"), Run(run).results
    before = CellStore(run).arrays("faces")["judged"][arrays["faces"], 0]
    moved = (arrays["matched_judged"][0, :, 0] - before).abs()
    assert torch.equal(arrays["matched_metric from-attributes"][0], moved)
    record = json.loads((run / "results.json").read_text())["metrics"]
    assert {tuple(sorted(row)) for row in record.values()} == {
        ("formula", "higher_is_better", "margin", "name", "unit")
    }
    defined = results.metrics["from-attributes"]
    assert (defined.higher_is_better, defined.margin, defined.arrow) == (None, None, "")
    assert "from-attributes" in headlines(results.metrics)
    assert "from-attributes" not in brief(results.metrics)
    assert {"move", "likeness"} <= set(brief(results.metrics))


def drawn(run: Path, metrics: list[Any]) -> int:
    """How many images a cell makes with these metrics, where nothing is kept."""
    bench = Bench(suite(metrics=metrics), LatentBank.open(run / "bank"), registry())
    bench.kept_images, bench.kept_readings = KeptBatches(0), KeptBatches(0)
    renderer: Any = bench.renderer
    draw, sizes = renderer.synthesize, list[int]()

    def counted(codes: torch.Tensor, space: str = "w") -> torch.Tensor:
        sizes.append(len(codes))
        images: torch.Tensor = draw(codes, space)
        return images

    renderer.synthesize = counted
    store, task = CellStore(run), bench.suite.tasks[0]
    folder = store.path("fit--exact--seed0") / "editor"
    editor = load_editor(bench.registry, folder, generator=bench.generator)
    measure_edits(bench, editor, task, store.arrays("faces"), lambda share, told: None)
    return sum(sizes)


def test_images_are_made_again_only_for_metrics_that_need_them(run: Path) -> None:
    without = drawn(run, [])
    assert drawn(run, ["from-attributes", "recorded-likeness", "likeness"]) == without
    assert drawn(run, ["from-images"]) == without + 2 * 70


def test_results_hold_the_mean_of_an_added_metric_with_its_interval(run: Path) -> None:
    arrays, results = CellStore(run).arrays("edit--timid--seed0--age"), Run(run).results
    reached = ~arrays["matched_strength"][0].isnan()
    move = arrays["matched_metric move"][0, reached].double().numpy()
    rows = {(m.editor, m.task, m.metric.name): m for m in results.measures}
    found = rows["timid", "age", "move"]
    assert np.isclose(found.mean, move.mean(), rtol=1e-5)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.mean < found.high
    assert found.faces == len(move)
    spread = rows["timid", "all tasks", "spread"]
    assert (spread.low, spread.high) == (None, None)
    assert np.isclose(spread.mean, float(arrays["matched_metric spread"][0]))
    assert results.metrics["move"] == Metric(
        "move", "code units", False, "scale · |w' − w|", margin=0.1
    )
    compared = [c for c in results.comparisons if c.metric.name == "twice"]
    assert {c.task for c in compared} == {"age", "all tasks"}


def test_table_report_and_leaderboard_show_added_metrics(run: Path) -> None:
    assert "scale · |w&#39; − w|" in write_report(run).read_text()
    shown, refused = boards([run])
    assert not refused
    page = write_leaderboard(shown, refused, run.parent / "board.html").read_text()
    assert "twice" in page
    terminal = CommandLine(run.parent, registry)
    assert "twice" in terminal.ok("bench", "list", str(run))


def test_cells_are_computed_again_for_other_options_of_a_metric_only(run: Path) -> None:
    again = run_suite(suite(metrics=ADDED), run, Silent(), registry=registry)
    assert again.computed == 0
    other = [{"plugin": "move", "options": {"scale": 3.0}}]
    changed = run_suite(suite(metrics=other), run.parent / "other", Silent(), registry=registry)
    assert changed.computed == 5
    fewer = run_suite(suite(), run.parent / "other", Silent(), registry=registry)
    assert fewer.computed == 2
    assert explain(run.parent / "other", "edit--exact--seed0--age", registry=registry) == []


def test_a_suite_without_added_metrics_has_the_keys_that_it_had(tmp_path: Path) -> None:
    run_suite(suite(), tmp_path, Silent(), registry=registry)
    assert "metrics" not in CellStore(tmp_path).key("edit--exact--seed0--age")


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        (["reach"], "reach is measured in every run"),
        (["identity-similarity"], "identity-similarity is measured in every run"),
        ([{"plugin": "move", "name": "drift"}], "drift is measured in every run"),
        (["move", "move"], "two entries of one name"),
    ],
)
def test_names_of_metrics_are_told_apart(metrics: list[str], said: str) -> None:
    import yaml

    text = yaml.safe_dump(SUITE | {"metrics": metrics})
    with pytest.raises(SuiteError, match=said):
        parse_suite(text)


def test_two_definitions_of_one_name_are_refused() -> None:
    first = Metric("a test's own", "share", True, "x")
    declare([first])
    declare([first])
    with pytest.raises(InputError, match="two definitions"):
        declare([Metric("a test's own", "share", False, "x")])


def seen(n: int = 8) -> EditsSeen:
    world = ToyGenerator()
    sides = []
    for seed in (0, 1):
        codes = world.sample(n, seed)
        attributes = world.truth(codes).attributes
        sides.append(Seen(world.synthesize(codes), codes, attributes, {}))
    target = sides[1].attributes.clone()
    return EditsSeen(sides[0], sides[1], target, SCHEMA, torch.ones(6), "age", 0)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, row in WRONG.items()
        if row[1] == "measures edits" and name != "hides-its-needs"  # it returns NaN, no fault
    ],
)
def test_the_guard_finds_out_a_metric_that_breaks_its_contract(name: str) -> None:
    metric, _, said = WRONG[name]
    with pytest.raises(PluginFault) as fault:
        guard.measure(name, metric(), seen())
    assert said in str(fault.value)
    assert name in str(fault.value)


def test_structural_similarity_of_flat_images_is_that_of_their_means() -> None:
    x, y = torch.full((2, 3, 16, 16), 0.5), torch.full((2, 3, 16, 16), -0.25)
    c1 = 0.02**2
    expected = (2 * 0.5 * -0.25 + c1) / (0.5**2 + 0.25**2 + c1)
    assert torch.allclose(structural_similarity(x, y), torch.full((2,), expected))


def test_structural_similarity_is_one_for_equal_images_and_agrees_with_the_plain_formula() -> None:
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, 7, 7, generator=rng) * 2 - 1
    y = (x + 0.3 * torch.randn(x.shape, generator=rng)).clamp(-1, 1)
    assert torch.allclose(structural_similarity(x, x), torch.ones(2))
    for i in range(2):
        values = []
        for a, b in zip(x[i].double().numpy(), y[i].double().numpy(), strict=True):
            ma, mb = a.mean(), b.mean()
            va, vb, vab = a.var(), b.var(), ((a - ma) * (b - mb)).mean()
            top = (2 * ma * mb + 4e-4) * (2 * vab + 3.6e-3)
            values.append(top / ((ma**2 + mb**2 + 4e-4) * (va + vb + 3.6e-3)))
        assert np.isclose(float(structural_similarity(x, y)[i]), np.mean(values))


def test_structural_similarity_is_offered_without_any_plugin() -> None:
    metric = Registry().metric("structural-similarity")
    small = seen()
    assert small.before.images.shape[-1] == RESOLUTION
    assert guard.measure("structural-similarity", metric, small).max() <= 1
    with pytest.raises(InputError, match="unknown metric"):
        metric_registry().metric("moves")
