"""Both pages in a real browser: nothing is fetched, nothing overflows, sorting and faces work."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from test_benchmark import carry_out

from latentedit.benchmark.results.summary import summarise
from latentedit.cli.main import cli
from latentedit.report.page import write_report

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WIDTHS = (400, 1200, 2400)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name, editors in (("first", ("exact", "leaky")), ("second", ("timid",))):
        carry_out(folder / name, editors={editor: {"plugin": editor} for editor in editors})
        summarise(folder / name)
    board = folder / "leaderboard.html"
    found = CliRunner().invoke(cli, ["bench", "list", str(folder), "--html", str(board)])
    assert found.exit_code == 0, found.output
    return {"leaderboard": board, "report": write_report(folder / "first")}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM:
        pytest.skip("there is no chromium on the path")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=os.fspath(CHROMIUM), args=FLAGS)
        yield opened
        opened.close()


class Visit:
    """A page at one width, with what it complained about and what it asked for."""

    def __init__(self, browser: Any, path: Path, width: int, **settings: Any) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, **settings)
        self.page = self.context.new_page()
        self.page.set_default_timeout(120_000)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", ["leaderboard", "report"])
def test_a_page_fits_fetches_nothing_and_does_not_complain(
    browser: Any, pages: dict[str, Path], kind: str, width: int
) -> None:
    with Visit(browser, pages[kind], width) as visit:
        visit.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert visit.page.evaluate("document.documentElement.scrollWidth") == width
        assert visit.complaints == []
        outside = [url for url in visit.requests if not url.startswith(("file:", "data:"))]
        assert outside == []
        assert visit.page.evaluate("[...document.images].every(i => i.naturalWidth > 0)")


def order(page: Any) -> list[str]:
    rows = page.locator("table.sortable").first.locator("tbody tr")
    return [str(rows.nth(i).get_attribute("data-name")) for i in range(rows.count())]


def test_a_heading_sorts_best_first_and_then_turns_round(
    browser: Any, pages: dict[str, Path]
) -> None:
    with Visit(browser, pages["leaderboard"], 1200) as visit:
        table = visit.page.locator("table.sortable").first
        assert order(visit.page) == ["exact", "leaky", "timid", "no-edit"]
        heading = table.locator("thead th", has_text="target error").get_by_role("button")
        heading.focus()
        visit.page.keyboard.press("Enter")
        best_first = order(visit.page)
        assert best_first.index("exact") < best_first.index("timid") < best_first.index("no-edit")
        heading.click()
        assert order(visit.page).index("no-edit") < order(visit.page).index("exact")
        sorted_by = table.locator("thead th[aria-sort]")
        assert sorted_by.count() == 1
        assert sorted_by.get_attribute("aria-sort") == "descending"
        assert visit.complaints == []


@pytest.mark.parametrize("kind", ["leaderboard", "report"])
@pytest.mark.parametrize("width", [400, 1200])
def test_a_face_opens_under_every_editor_with_its_numbers(
    browser: Any, pages: dict[str, Path], kind: str, width: int
) -> None:
    with Visit(browser, pages[kind], width) as visit:
        grid = visit.page.locator(".faces").first
        grid.locator('[data-editor="exact"][data-face="1"] button').press("Enter")
        dialog = visit.page.get_by_role("dialog")
        expected = ["unedited", "exact", "leaky", *(["timid"] * (kind == "leaderboard")), "no-edit"]
        assert dialog.locator("strong").all_inner_texts() == expected
        assert "face 2 of 3" in dialog.inner_text()
        text = dialog.locator("figure", has_text="exact").inner_text()
        assert "achieved: " in text
        assert "identity, toy-identity: " in text
        assert "other attributes: 0.00 σ" in text
        assert "not reached" in dialog.locator("figure", has_text="no-edit").inner_text()
        visit.page.keyboard.press("ArrowRight")
        assert "face 3 of 3" in dialog.inner_text()
        assert visit.page.evaluate("document.documentElement.scrollWidth") == width
        visit.page.keyboard.press("Escape")
        assert not dialog.is_visible()


def test_two_chosen_editors_are_compared_task_by_task(browser: Any, pages: dict[str, Path]) -> None:
    with Visit(browser, pages["leaderboard"], 1200) as visit:
        form = visit.page.locator("form.pick")
        form.locator("select[name=first]").select_option("leaky")
        form.locator("select[name=second]").select_option("exact")
        row = form.locator("tbody tr", has_text="identity similarity")
        assert row.locator("td.lost").count() == 1  # over all tasks: single tasks are exploratory
        form.locator("select[name=first]").select_option("exact")
        form.locator("select[name=second]").select_option("leaky")
        assert row.locator("td.won").count() == 1


def test_without_scripts_every_figure_is_still_there(browser: Any, pages: dict[str, Path]) -> None:
    with Visit(browser, pages["leaderboard"], 1200, java_script_enabled=False) as visit:
        assert not visit.page.locator("form.pick").is_visible()
        assert visit.page.locator("table.comparisons").first.is_visible()
        assert visit.page.locator("table.sortable").first.inner_text().count("exact") == 1


def told(page: Any) -> tuple[str, list[str]]:
    """What the table of faces says of itself, and all of its rows."""
    form = page.locator("form.explore")
    while form.locator("button[name=more]").is_visible():
        form.locator("button[name=more]").click()
    lines = form.locator("tbody tr").all_inner_texts()
    return form.locator("[aria-live]").inner_text(), [" ".join(line.split()) for line in lines]


def test_every_face_is_filtered_sorted_and_counted(browser: Any, pages: dict[str, Path]) -> None:
    """Two editors, two tasks and six faces; no-edit is a control, and reaches nothing."""
    with Visit(browser, pages["report"], 1200) as visit:
        form = visit.page.locator("form.explore")
        said, lines = told(visit.page)
        identity = [float(line.split()[3]) for line in lines]
        assert identity == sorted(identity)
        every = int(said.split()[0])
        form.locator("select[name=task]").select_option("age")
        assert {line.split()[1] for line in told(visit.page)[1]} == {"age"}
        form.locator("select[name=entrant]").select_option("leaky")
        said, lines = told(visit.page)
        assert {line.split()[2] for line in lines} == {"leaky"}
        assert int(said.split()[0]) == every / 4 == len(lines)
        form.locator("select[name=order]").select_option("most leakage")
        leaks = [float(line.split()[4]) for line in told(visit.page)[1]]
        assert leaks == sorted(leaks, reverse=True)
        form.locator("select[name=entrant]").select_option("no-edit")
        form.locator("input[name=failures]").check()
        said, lines = told(visit.page)
        assert said.endswith(f"{len(lines)} did not reach the change.")
        assert all("not reached" in line for line in lines)
        form.locator("input[name=failures]").uncheck()
        form.locator("select[name=entrant]").select_option("all editors")
        form.locator("select[name=facet]").select_option("means by editor")
        assert [line.split()[0] for line in told(visit.page)[1]] == ["leaky", "exact"]
        assert visit.complaints == []


def test_a_group_keeps_its_own_faces(browser: Any, pages: dict[str, Path]) -> None:
    with Visit(browser, pages["report"], 1200) as visit:
        form = visit.page.locator("form.explore")
        data = json.loads(visit.page.locator("#every-face-data").inner_text())
        form.locator("select[name=entrant]").select_option("exact")
        form.locator("select[name=task]").select_option("age")
        for group in data["groups"]:
            form.locator("select[name=group]").select_option(group["name"])
            shown = sorted(int(line.split()[0]) for line in told(visit.page)[1])
            asked = data["faces"][data["tasks"].index("age")]
            assert shown == sorted(set(group["faces"]) & set(asked))


def test_values_of_curves_show_under_the_pointer_and_by_keys(
    browser: Any, pages: dict[str, Path]
) -> None:
    with Visit(browser, pages["report"], 1200) as visit:
        panel = visit.page.locator(".panel").first
        panel.focus()
        visit.page.keyboard.press("ArrowLeft")
        assert "at 95 %" in panel.locator(".tip").inner_text()
        panel.locator("svg").hover()
        tip = panel.locator(".tip").inner_text()
        assert "exact" in tip
        visit.page.mouse.move(0, 0)
        assert not panel.locator(".tip").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_ground_follow_the_readers_scheme(
    browser: Any, pages: dict[str, Path], scheme: str
) -> None:
    def brightness(colour: str) -> float:
        return sum(int(part) for part in re.findall(r"\d+", colour)[:3]) / 3

    with Visit(browser, pages["report"], 1200, color_scheme=scheme) as visit:
        style = "getComputedStyle(document.querySelector({!r})).{}"
        ground = brightness(visit.page.evaluate(style.format("body", "backgroundColor")))
        for element, part in (("body", "color"), (".panel svg text", "fill")):
            text = brightness(visit.page.evaluate(style.format(element, part)))
            assert (text < ground) == (scheme == "light")
            assert abs(text - ground) > 110


def test_contents_stay_in_sight_and_lead_to_their_parts(
    browser: Any, pages: dict[str, Path]
) -> None:
    for width in (400, 1200):
        with Visit(browser, pages["report"], width) as visit:
            links = visit.page.locator("nav.contents a")
            targets = [links.nth(i).get_attribute("href") or "" for i in range(links.count())]
            assert all(visit.page.locator(target).count() == 1 for target in targets)
            visit.page.mouse.wheel(0, 3000)
            links.last.click()
            assert links.first.is_visible()
            box = visit.page.locator("nav.contents").bounding_box()
            assert box is not None
            assert abs(box["y"]) < 1
