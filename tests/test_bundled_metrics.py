"""The bundled metrics: closed forms, their rules, and their figures in a report."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from metric_worlds import bundled_metrics_registry as registry
from test_benchmark import SUITE, Silent
from torch import Tensor
from toy import SCALE, SCHEMA, ToyGenerator

from latentedit import AttributeSchema, EditsSeen, EnvironmentFault, InputError, Seen
from latentedit.benchmark.plugin_use import ModelUse
from latentedit.benchmark.rescore import rescore
from latentedit.benchmark.results.board import boards
from latentedit.benchmark.results.summary import summarise
from latentedit.benchmark.run import run_suite
from latentedit.benchmark.suite import Suite
from latentedit.report.leaderboard import write_leaderboard
from latentedit.report.page import write_report
from latentedit.testing import check_metric

NAMES = ("perceptual-distance", "ssim", "dci-disentanglement", "mutual-information-gap")


def seen(
    codes: tuple[Tensor, Tensor], attributes: tuple[Tensor, Tensor], images: tuple[Tensor, Tensor]
) -> EditsSeen:
    before, after = (Seen(*side, {}) for side in zip(images, codes, attributes, strict=True))
    return EditsSeen(before, after, attributes[1], SCHEMA, SCALE, "age", 0)


def moved(change: Tensor, n: int = 4) -> EditsSeen:
    """n edits that change the attributes by `change` (A,) in σ."""
    attributes = torch.randn(n, SCHEMA.width)
    images = torch.rand(n, 3, 16, 16) * 2 - 1
    codes = torch.randn(n, 24)
    return seen((codes, codes + 1), (attributes, attributes + change * SCALE), (images, images))


def test_disentanglement_is_one_for_one_attribute_and_zero_for_all_alike() -> None:
    metric = registry().metric("dci-disentanglement")
    alone, alike = torch.zeros(SCHEMA.width), torch.ones(SCHEMA.width)
    alone[0] = -2.0
    torch.testing.assert_close(metric.measure(moved(alone)), torch.ones(4))
    torch.testing.assert_close(metric.measure(moved(alike)), torch.zeros(4), atol=1e-5, rtol=0)
    two = torch.zeros(SCHEMA.width)
    two[:2] = torch.tensor([3.0, 1.0])
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    expected = 1 - entropy / math.log(len(SCHEMA))
    assert float(metric.measure(moved(two))[0]) == pytest.approx(expected, abs=1e-5)
    assert metric.measure(moved(torch.zeros(SCHEMA.width))).isnan().all()


def test_the_gap_is_one_where_codes_along_the_move_tell_of_one_attribute_alone() -> None:
    metric = registry().metric("mutual-information-gap", {"bins": 4})
    rng = torch.Generator().manual_seed(0)
    codes = torch.randn(64, 24, generator=rng)
    attributes = torch.randn(64, SCHEMA.width, generator=rng)
    attributes[:, 0] = codes[:, 0]
    attributes[:, 1:] = attributes[:, 1:2]  # all other columns tell the same
    images = torch.zeros(64, 3, 16, 16)
    along = torch.zeros(24)
    along[0] = 1.0

    def gap(second: Tensor) -> float:
        known = attributes.clone()
        known[:, 1] = second
        known[:, 2:] = 0.0
        edits = seen((codes, codes + along), (known, known), (images, images))
        return float(metric.measure(edits))

    assert gap(torch.zeros(64)) == pytest.approx(1, abs=1e-6)
    assert gap(codes[:, 0]) == pytest.approx(0, abs=1e-6)
    assert gap(-codes[:, 0]) == pytest.approx(0, abs=1e-6)
    lowest = (codes[:, 0] >= codes[:, 0].sort().values[16]).float()  # tells the lowest bin apart
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert gap(lowest) == pytest.approx(1 - entropy / math.log(4), abs=1e-6)
    alone = replace(
        seen((codes, codes + along), (attributes[:, :1],) * 2, (images, images)),
        schema=AttributeSchema((SCHEMA["age"],)),
    )
    assert float(metric.measure(alone)) == pytest.approx(1, abs=1e-6)  # nothing else is told
    few = seen((codes[:7], codes[:7] + along), (attributes[:7],) * 2, (images[:7],) * 2)
    assert math.isnan(float(metric.measure(few)))


def test_ssim_is_that_of_an_own_computation_and_says_where_images_are_too_small() -> None:
    pytest.importorskip("torchmetrics")
    metric = registry().metric("ssim", {"sigma": 1.5})
    rng = torch.Generator().manual_seed(1)
    images = torch.rand(3, 3, 24, 24, generator=rng) * 2 - 1
    other = (images + 0.3 * torch.randn(images.shape, generator=rng)).clamp(-1, 1)
    nothing = torch.zeros(3, SCHEMA.width)
    edits = seen((nothing, nothing), (nothing, nothing), (images, other))
    found = metric.measure(edits)
    assert found.shape == (3,)
    assert float(found[0]) == pytest.approx(_ssim(images[0].numpy(), other[0].numpy()), abs=2e-3)
    same = seen((nothing, nothing), (nothing, nothing), (images, images))
    torch.testing.assert_close(metric.measure(same), torch.ones(3))
    small = (images[..., :8, :8], other[..., :8, :8])
    with pytest.raises(InputError, match="window of 11 pixels, and the images have 8 × 8"):
        metric.measure(seen((nothing, nothing), (nothing, nothing), small))


def _ssim(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> float:
    """By the definition: Gaussian windows of 11 pixels, mirrored at the edges."""
    x = np.arange(11) - 5
    window = np.exp(-(x**2) / (2 * 1.5**2))
    weights = np.outer(window, window) / window.sum() ** 2
    c1, c2, found = (0.01 * 2) ** 2, (0.03 * 2) ** 2, []
    for pair in zip(first, second, strict=True):
        a, b = (np.pad(part, 5, mode="reflect") for part in pair)
        for row, column in np.ndindex(*pair[0].shape):
            u, v = (part[row : row + 11, column : column + 11] for part in (a, b))
            mu, nu = (weights * u).sum(), (weights * v).sum()
            var, wide = (weights * u**2).sum() - mu**2, (weights * v**2).sum() - nu**2
            both = (weights * u * v).sum() - mu * nu
            top = (2 * mu * nu + c1) * (2 * both + c2)
            found.append(top / ((mu**2 + nu**2 + c1) * (var + wide + c2)))
    return float(np.mean(found))


def test_ssim_without_torchmetrics_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torchmetrics.functional.image", None)
    with pytest.raises(EnvironmentFault, match=r"latentedit\[metrics\]"):
        registry().metric("ssim")


def test_perceptual_distance_is_zero_for_equal_images_and_grows_with_the_change() -> None:
    metric = registry().metric("perceptual-distance")
    rng = torch.Generator().manual_seed(2)
    images = ToyGenerator().synthesize(ToyGenerator().sample(4, 0)).repeat(1, 1, 4, 4)
    noise = torch.randn(images.shape, generator=rng)
    nothing = torch.zeros(4, SCHEMA.width)

    def distance(size: float) -> Tensor:
        other = (images + size * noise).clamp(-1, 1)
        return metric.measure(seen((nothing, nothing), (nothing, nothing), (images, other)))

    torch.testing.assert_close(distance(0.0), torch.zeros(4))
    assert (distance(0.3) > distance(0.1)).all()
    assert (distance(0.1) > 0).all()


@pytest.mark.parametrize("name", ["dci-disentanglement", "mutual-information-gap"])
def test_the_metrics_keep_every_rule(name: str) -> None:
    verdicts = check_metric(name, registry=registry())
    assert [verdict.fault for verdict in verdicts if not verdict.kept] == []


def test_scoring_a_run_anew_gives_the_figures_of_a_new_run(tmp_path: Path) -> None:
    plain = SUITE | {"controls": [], "sequences": [], "show_images": 1, "keep_codes": "float32"}
    plain |= {"tasks": [{"attribute": "age", "change": 10}], "strengths": [0.5, 1.0]}
    plain |= {"editors": {name: {"plugin": name} for name in ("exact", "leaky")}}
    uses = [ModelUse(plugin=name) for name in (*NAMES[2:], NAMES[0], "structural-similarity")]
    uses += [ModelUse(plugin="ssim", options={"sigma": 0.5})]
    given = plain | {"metrics": [use.model_dump(mode="json") for use in uses]}
    for name, suite in (("with", given), ("without", plain)):
        ran = run_suite(Suite.model_validate(suite), tmp_path / name, Silent(), registry=registry)
        assert [record.error for record in ran.failed] == []
    scored = rescore(
        tmp_path / "without", tmp_path / "again", Silent(), metrics=uses, registry=registry
    )
    assert [record.error for record in scored.failed] == []
    new, again = (
        {(m.editor, m.task, str(m.metric)): m for m in summarise(tmp_path / name).measures}
        for name in ("with", "again")
    )
    assert {str(use) for use in uses} <= {name for *_, name in again}
    assert new.keys() == again.keys()
    for key, row in new.items():
        assert again[key].mean == pytest.approx(row.mean, rel=1e-4, abs=1e-6), key
        assert again[key].faces == row.faces, key


def test_their_figures_are_in_results_report_and_leaderboard(tmp_path: Path) -> None:
    names = ["dci-disentanglement", "mutual-information-gap"]
    given = SUITE | {"metrics": names, "controls": [], "sequences": [], "show_images": 1}
    given |= {"tasks": [{"attribute": "age", "change": 10}], "strengths": [0.5, 1.0]}
    given |= {"editors": {name: {"plugin": name} for name in ("exact", "leaky")}}
    outcome = run_suite(Suite.model_validate(given), tmp_path / "run", Silent(), registry=registry)
    assert [record.error for record in outcome.failed] == []
    rows = summarise(tmp_path / "run").measures
    exact = {str(m.metric): m.mean for m in rows if m.editor == "exact" and m.task == "age"}
    assert exact["dci-disentanglement"] == pytest.approx(1, abs=1e-2)
    assert exact["mutual-information-gap"] > 0.3
    page = write_report(tmp_path / "run").read_text()
    board, refused = boards([tmp_path / "run"])
    table = write_leaderboard(board, refused, tmp_path / "board.html").read_text()
    for name in names:
        assert name in page
        assert name in table
