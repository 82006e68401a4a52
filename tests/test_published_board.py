"""A published board of ten runs: ranks, diagrams, links, digests and what replaces it."""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from flat_results import read_flat, write_flat
from made_runs import write_run
from made_world import CONTROLS, EDITORS, TASKS
from page_reading import Element, read_page, rows
from scipy import stats
from test_pages import Visit, browser
from test_ranking import Q_05

from latentedit import InputError, LatentBank
from latentedit.benchmark.results.board import boards
from latentedit.benchmark.results.ranking import rankings
from latentedit.cli.main import cli

RUNS = 10
__all__ = ["browser"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten runs of ten banks; gamma is mostly behind in reach, and figures are often equal."""
    folder = tmp_path_factory.mktemp("ten")
    rng = np.random.default_rng(0)
    write_run(folder / "run0", 1)
    for i in range(RUNS):
        if i:
            shutil.copytree(folder / "run0", folder / f"run{i}")
        results = read_flat(folder / f"run{i}") | {"bank_hash": another_bank(folder / f"run{i}", i)}
        for row in results["measures"]:
            ahead = 0.3 if row["editor"] in ("alpha", "beta") else 0.0
            row["mean"] = round(float(rng.random() * 0.5 + ahead), 1)
            row["low"], row["high"] = row["mean"] - 0.1, row["mean"] + 0.1
        write_flat(folder / f"run{i}", results)
    return folder


def another_bank(run: Path, seed: int) -> str:
    """Give a run the bank of another seed; returns its hash."""
    old = LatentBank.open(run / "bank")
    splits = {name: old.split(name) for name in ("fit", "test")}
    models, sampling = (old.generator, old.labeller), dict(old.sampling) | {"seed": seed}
    new = LatentBank.write(run / "new", splits, *models, sampling)
    shutil.rmtree(run / "bank")
    (run / "new").rename(run / "bank")
    return new.hash


def publish(site: Path, *arguments: str) -> dict[str, Any]:
    found = CliRunner().invoke(cli, ["bench", "publish", str(site), *arguments])
    assert found.exit_code == 0, found.output
    return dict(json.loads((site / "board.json").read_text())["board"])


@pytest.fixture(scope="module")
def site(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "board"
    publish(folder, str(runs))
    return folder


@pytest.fixture(scope="module")
def page(site: Path) -> Element:
    return read_page((site / "index.html").read_text("utf-8"))


def table(runs: Path, metric: str, tasks: tuple[str, ...]) -> np.ndarray:
    """(blocks, editors) the means of a metric at the first effect; recognisers averaged."""
    found = []
    for i in range(RUNS):
        measures = read_flat(runs / f"run{i}")["measures"]
        for task in tasks:
            of_task = [m for m in measures if m["task"] == task and m["effect"] in (0.0, 0.8)]
            mine = [m for m in of_task if m["metric"].split(" · ")[0] == metric]
            found.append(
                [np.mean([m["mean"] for m in mine if m["editor"] == name]) for name in EDITORS]
            )
    return np.array(found)


def plain_ranks(row: np.ndarray, higher: bool) -> list[float]:
    """Demšar's average ranks, counted."""
    signed = row if higher else -row
    return [1 + sum(signed > one) + (sum(signed == one) - 1) / 2 for one in signed]


@pytest.mark.parametrize(("kind", "tasks"), [("task", TASKS), ("world", ("all tasks",))])
@pytest.mark.parametrize(
    ("metric", "higher"), [("reach", True), ("identity similarity", True), ("target error", False)]
)
def test_ranks_and_critical_differences_are_those_of_the_formula(
    runs: Path, kind: Any, tasks: tuple[str, ...], metric: str, higher: bool
) -> None:
    found = {r.metric.name: r for r in rankings(boards([runs])[0], kind)}[metric]
    values = table(runs, metric, tasks)
    ranks = np.array([plain_ranks(row, higher) for row in values])
    means = dict(zip(EDITORS, ranks.mean(0), strict=True))
    assert found.means == pytest.approx(means)
    n, k = values.shape
    assert (len(found.blocks), len(found.editors)) == (n, k)
    wanted = Q_05[k] * math.sqrt(k * (k + 1) / (6 * n))
    assert found.difference == pytest.approx(wanted, rel=3e-4)
    theirs = stats.friedmanchisquare(*values.T)
    assert found.test == pytest.approx((theirs.statistic, theirs.pvalue))
    order = sorted(means, key=means.__getitem__)
    together = [
        {a, b} for i, a in enumerate(order) for b in order[i + 1 :] if means[b] - means[a] <= wanted
    ]
    assert [pair for pair in together if not any(pair <= set(g) for g in found.groups)] == []
    assert all({g[0], g[-1]} in together for g in found.groups)


def drawn(page: Element, metric: str) -> Element:
    (part,) = [d for d in page.all("details") if d.one("summary").text.startswith(metric)]
    return part.one("svg")


@pytest.mark.parametrize("metric", ["reach", "attribute leakage"])
def test_the_diagram_shows_the_ranks_the_difference_and_the_groups(
    runs: Path, page: Element, metric: str
) -> None:
    found = {r.metric.name: r for r in rankings(boards([runs])[0])}[metric]
    svg = drawn(page, metric)
    texts = {text.text: float(text.attributes["x"]) for text in svg.all("text")}
    one, last = texts["1"], texts[str(len(EDITORS))]

    def rank(x: str) -> float:
        return 1 + (float(x) - one) / (last - one) * (len(EDITORS) - 1)

    lines = [line.attributes for line in svg.all("line")]
    ticks = [line for line in lines if line["x1"] == line["x2"]]
    for name, mean in found.means.items():
        assert f"{name} {mean:.2f}" in texts
        assert any(rank(line["x1"]) == pytest.approx(mean, abs=0.01) for line in ticks)
    height = float(svg.attributes["height"])
    rows = {float(text.attributes["y"]) for text in svg.all("text")}
    assert 0 < min(rows) < max(rows) < height
    axis = max(lines, key=lambda line: float(line["x2"]) - float(line["x1"]))
    assert (float(axis["x1"]), float(axis["x2"])) == pytest.approx((one, last))
    bars = [line for line in lines if line["stroke-width"] == "5"]
    ends = [(found.means[group[0]], found.means[group[-1]]) for group in found.groups]
    past = 4 / (last - one) * (len(EDITORS) - 1)
    assert [rank(bar["x1"]) + past for bar in bars] == pytest.approx([e[0] for e in ends], abs=0.01)
    assert [rank(bar["x2"]) - past for bar in bars] == pytest.approx([e[1] for e in ends], abs=0.01)
    (bracket,) = [line for line in lines if line["stroke-width"] == "2"]
    width = rank(bracket["x2"]) - rank(bracket["x1"])
    assert width == pytest.approx(found.difference, abs=0.01)
    assert f"critical difference {found.difference:.2f}" in texts


def test_words_tell_ranks_test_and_groups(runs: Path, page: Element) -> None:
    for found in rankings(boards([runs])[0]):
        (part,) = [d for d in page.all("details") if found.metric.name in d.one("summary").text]
        said = part.text
        for name, mean in found.means.items():
            assert f"{name} {mean:.2f}" in said
        assert f"χ² = {found.test.statistic:.2f}" in said
        assert ("the editors differ" in said) == found.differ
        assert ("order of the editors is no finding" in said) != found.differ
    reach = {r.metric.name: r for r in rankings(boards([runs])[0])}["reach"]
    assert reach.differ
    assert reach.groups == (tuple(reach.editors[:2]),)
    (part,) = [d for d in page.all("details") if d.one("summary").text.startswith("reach")]
    assert f"Not told apart: {' and '.join(reach.editors[:2])}." in part.text


def test_every_figure_leads_to_its_run_its_digest_and_its_command(
    runs: Path, site: Path, page: Element
) -> None:
    sections = {s.attributes["id"]: s for s in page.all("section") if s.classes == ["run"]}
    assert len(sections) == RUNS
    figures = page.one("table", class_="sortable figures")
    for row in rows(figures):
        label = row[2].text
        links = [cell.one("a").attributes["href"] for cell in row[2:] if cell.all("a")]
        assert len(links) == len(row) - 2
        assert set(links) == {f"#run-{label}"}
        section = sections[f"run-{label}"]
        plain = json.loads((site / "runs" / label / "results.json").read_text())
        told = plain.pop("sha256")
        canonical = json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()
        assert hashlib.sha256(canonical).hexdigest() == told
        assert told in section.text
        assert f"latentedit bench run runs/{label}/suite.json --out {label}" in section.text
        reach = [
            m["mean"]
            for m in read_flat(runs / label)["measures"]
            if (m["editor"], m["metric"], m["task"], m["effect"])
            == (row[0].text, "reach", "all tasks", 0.8)
        ]
        assert row[3].one("a").text == f"{reach[0]:.3f}"
    assert len(rows(figures)) == RUNS * len((*EDITORS, *CONTROLS))


def test_links_lead_to_files_of_the_site_and_nowhere_else(site: Path, page: Element) -> None:
    links = [a.attributes["href"] for a in page.all("a")]
    ids = {e.attributes["id"] for e in page.walk() if "id" in e.attributes}
    for link in links:
        assert link.removeprefix("#") in ids if link.startswith("#") else (site / link).is_file()
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", (site / "index.html").read_text("utf-8"))


def test_the_record_has_the_digest_of_every_file(site: Path) -> None:
    files = json.loads((site / "board.json").read_text())["files"]
    here = {p.relative_to(site).as_posix() for p in site.rglob("*") if p.is_file()}
    assert set(files) == here - {"board.json"}
    for name, digest in files.items():
        assert hashlib.sha256((site / name).read_bytes()).hexdigest() == digest


def test_a_board_replaces_an_older_one_and_nothing_else(runs: Path, tmp_path: Path) -> None:
    site = tmp_path / "board"
    publish(site, str(runs / "run0"), str(runs / "run1"))
    assert len(publish(site, str(runs / "run2"))["runs"]) == 1
    assert sorted(path.name for path in (site / "runs").iterdir()) == ["run2"]
    (site / "mine.txt").write_text("kept")
    publish(site, str(runs / "run3"))
    assert not (site / "mine.txt").exists()
    assert (tmp_path / "board-set-aside" / "board" / "mine.txt").read_text() == "kept"
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("all of it")
    found = CliRunner().invoke(cli, ["bench", "publish", str(other), str(runs / "run0")])
    assert isinstance(found.exception, InputError)
    assert [path.name for path in other.iterdir()] == ["thesis.tex"]


def test_editors_and_blocks_that_lack_figures_are_left_out_and_named(
    runs: Path, tmp_path: Path
) -> None:
    for name in ("run0", "run1", "run2"):
        shutil.copytree(runs / name, tmp_path / name)
    results = read_flat(tmp_path / "run0")
    results["measures"] = [
        m
        for m in results["measures"]
        if not (m["metric"] == "reach" and m["task"] == "age" and m["editor"] != "gamma")
    ]
    write_flat(tmp_path / "run0", results)
    for name in ("run1", "run2"):
        results = read_flat(tmp_path / name)
        results["measures"] = [
            m for m in results["measures"] if not (m["metric"] == "reach" and m["editor"] == "beta")
        ]
        write_flat(tmp_path / name, results)
    (found,) = [r for r in rankings(boards([tmp_path])[0]) if r.metric.name == "reach"]
    assert set(found.editors) == {"alpha", "gamma"}
    assert len(found.blocks) == 3 * len(TASKS) - 1
    beta, age = found.left_out
    assert beta == "beta: no figure in 7 of 9 blocks"
    assert re.fullmatch(r"g \w{8}, age: no figure of 1 of 2 editors", age)


@pytest.mark.parametrize("width", [390, 1280])
def test_search_and_filters_leave_what_was_asked(browser: Any, site: Path, width: int) -> None:
    with Visit(browser, site / "index.html", width) as visit:
        page = visit.page
        lines = page.locator("table.figures tbody tr:visible")
        everything = RUNS * len((*EDITORS, *CONTROLS))
        assert lines.count() == everything
        page.locator("input[name=controls]").uncheck()
        assert lines.count() == RUNS * len(EDITORS)
        page.locator("select[name=editor]").select_option("beta")
        assert {line.split()[0] for line in lines.all_inner_texts()} == {"beta"}
        page.locator("input[name=text]").fill("RUN3 bet")
        assert lines.count() == 1
        assert page.locator("section.run:visible").count() == 1
        assert "1 of 50 rows, 1 of 10 runs" in page.locator("form.filter").inner_text()
        page.locator("input[name=text]").fill("")
        page.locator("select[name=editor]").select_option("all")
        page.locator("input[name=controls]").check()
        assert lines.count() == everything
        head = page.locator("table.figures thead th", has_text="reach").get_by_role("button")
        head.click()
        shown = [float(line.split()[4]) for line in lines.all_inner_texts()]
        assert shown == sorted(shown, reverse=True)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert visit.complaints == []
        assert [url for url in visit.requests if not url.startswith(("file:", "data:"))] == []
