"""The report shows what was measured, needs nothing else, and says nothing that was not found."""

from __future__ import annotations

import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import made_runs
import pytest
import torch
from click.testing import CliRunner
from flat_results import read_flat, summarise, typed, write_flat
from page_reading import read_page, rows, section
from PIL import Image
from test_benchmark import SUITE, carry_out

from latentedit.benchmark.suite import Suite
from latentedit.cli.main import cli
from latentedit.cli.results import print_results
from latentedit.report.findings import findings
from latentedit.report.grid import save_grid
from latentedit.report.page import write_report


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "run"
    editors = SUITE["editors"] | {"raises": {"plugin": "raises"}}
    carry_out(folder, editors=editors, summary="<b>bold</b> & <script>alert(1)</script>")
    summarise(folder)
    return folder


@pytest.fixture(scope="module")
def page(run: Path) -> str:
    return write_report(run).read_text()


class Tags(HTMLParser):
    """Counts open tags and collects what a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img", "br", "link", "input"):
            self.open.append(tag)
        self.loads += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href", "srcset")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href", "srcset")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_needs_nothing_else(page: str) -> None:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert any(load.startswith("data:image/png;base64,") for load in tags.loads)
    assert all(load.startswith(("data:image/png;base64,", "#")) for load in tags.loads)
    assert "@import" not in page
    assert "url(http" not in page


def test_every_editor_task_and_metric_is_on_the_page(page: str, run: Path) -> None:
    results = read_flat(run)
    read = read_page(page)
    names = [*results["suite"]["editors"], *results["controls"]]
    assert [
        row[0].text for row in rows(section(read, "Means over all tasks").all("table")[0])
    ] == names
    tasks = [task["name"] for task in results["suite"]["tasks"]]
    assert [h.text for h in section(read, "The same faces under each editor").all("h3")] == tasks
    listed = [item.text for item in section(read, "Provenance").all("details")[0].all("li")]
    for line, metric in zip(listed, results["metrics"].values(), strict=True):
        better = {True: ", higher is better", False: ", lower is better", None: ""}
        unit = metric["unit"] + better[metric["higher_is_better"]]
        assert line == f"{metric['name']} ({unit}): {metric['formula']}"
    assert section(read, "Provenance").all("code")[0].text == results["bank_hash"]


def test_failed_cells_and_unreached_faces_are_shown(page: str) -> None:
    """Every cell of the editor that raises; no face of the control, and all of the exact one."""
    read = read_page(page)
    items = section(read, "Cells without a result").one("ul").all("li")
    assert [item.one("code").text for item in items] == [
        "fit--raises--seed0",
        "edit--raises--seed0--age",
        "edit--raises--seed0--glasses",
        "sequence--raises--seed0--both",
    ]
    assert "edit raised ValueError: I do not feel like it" in items[0].text
    assert read.one("nav").one("a", href="#failures").text == "Failures (4)"
    assert "4 cells have no result." in [link.text for link in read.one("main").all("a")]
    told = read.one("table", class_="verdicts").one("tr", data_name="raises")
    assert "4 failed cells" in told.text
    assert {cell.text for cell in told.all("td")} == {"no result"}
    for editor, failed in (("no-edit", True), ("exact", False)):
        faces = read.all("div", data_editor=editor)
        assert [("failed" in face.classes) for face in faces] == [failed] * 2 * 3


def test_a_mean_of_few_faces_has_no_interval_and_says_so(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    results = read_flat(folder)
    for measure in results["measures"]:
        measure |= {"low": None, "high": None, "faces": 3}
    write_flat(folder, results)
    assert "of 3 faces" in write_report(folder).read_text()
    print_results(typed(results))
    assert "of 3" in capsys.readouterr().out


def test_text_from_a_suite_is_escaped(page: str) -> None:
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_equal_runs_have_equal_pages(run: Path, page: str, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    assert write_report(copy).read_text() == page


def told_apart(verdict: str) -> dict[str, Any]:
    """Results in which editors a and b differ by 0.1 in identity on every task."""
    suite = made_runs.SUITE | {"editors": {name: {"plugin": name} for name in "ab"}, "controls": []}
    (row,) = [
        row
        for row in made_runs.comparisons()
        if (row["first"], row["second"], row["task"]) == ("alpha", "beta", "age")
        and (row["metric"], row["effect"]) == ("identity similarity · rec-eta", 0.8)
    ]
    row |= {"first": "a", "second": "b", "metric": "identity similarity · judge"}
    row |= {"difference": 0.1, "low": 0.05, "high": 0.2}
    rows = [row | {"task": task} for task in ("age", "yaw")]
    rows.append(row | {"task": "all tasks", "verdict": verdict})
    made = made_runs.results(Suite.model_validate(suite), "b" * 12, 1)
    return made | {"comparisons": rows, "measures": []}


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        ("ahead", "a is ahead of b in identity similarity (by judge): +0.100 (+0.050 to +0.200)"),
        ("behind", "a is behind b in identity similarity (by judge): +0.100 "),
        ("undecided", "a and b cannot be told apart in identity similarity (by judge): +0.100 "),
    ],
)
def test_findings_say_what_the_comparisons_over_all_tasks_say(verdict: str, told: str) -> None:
    sentences = findings(typed(told_apart(verdict)))
    assert sentences[0].startswith(told)
    assert len([line for line in sentences if "identity" in line]) == 1


def test_the_findings_of_a_known_world_are_right(run: Path) -> None:
    results = read_flat(run)
    text = "\n".join(findings(typed(results)))
    assert "exact is ahead of leaky in identity similarity" in text
    assert "no-edit 0%" in text


def test_a_grid_has_a_place_for_everything(tmp_path: Path) -> None:
    red = torch.zeros(3, 8, 8, dtype=torch.uint8)
    red[0] = 255
    save_grid(tmp_path / "g.png", [[red, None], [red, red]], ["before", "after"], ["1", "2"])
    with Image.open(tmp_path / "g.png") as picture:
        colours = {c: n for n, c in picture.convert("RGB").getcolors(1 << 16) or []}
    assert colours[255, 0, 0] == 3 * 16 * 16


def test_too_few_faces_for_an_interval_are_said_and_stop_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    editors = {name: SUITE["editors"][name] for name in ("exact", "leaky")}
    few = {"bank": SUITE["bank"] | {"n_test": 4}, "editors": editors, "sequences": []}
    carry_out(folder, **few)
    results = summarise(folder)
    assert any("(of 4 faces)" in line for line in findings(typed(results)))
    assert "of 4 faces" in write_report(folder).read_text()
    compared = CliRunner().invoke(cli, ["bench", "compare", str(folder), str(folder), "--by-task"])
    assert compared.exit_code == 0, compared.output
    assert "+0.000 (of 4 faces)" in compared.output
