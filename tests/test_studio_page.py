"""The studio's page in a real browser: every step of a visit, with nothing fetched elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import studio_cars
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright
from studio_world import QUICK, Server, fitted_world, opened, served
from test_pages import CHROMIUM, FLAGS
from toy_photos import write_photos

from latentedit import Workbench, fit_editor, make_bank
from latentedit.studio.page.app import Studio

EDITORS = ("exact", "leaky", "draws")
ALLOWED = ("data:", "blob:")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fitted_world(tmp_path_factory.mktemp("studio"), EDITORS)


@pytest.fixture(scope="module")
def server(world: Path) -> Iterator[Server]:
    studio = Studio(opened(world, EDITORS), "--bank B", inverter=QUICK)
    with served(studio) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM:
        pytest.skip("there is no chromium on the path")
    with sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


class Visitor:
    """One visit of a page, with every request and every complaint."""

    def __init__(self, browser: Any, address: str, **settings: Any) -> None:
        self.context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 900}} | settings
        )
        self.context.route(re.compile(r"^(?!http://127\.0\.0\.1)"), lambda route: route.abort())
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.address = address
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.goto(address)
        self.settled()

    def settled(self) -> None:
        self.page.locator("body[data-busy=false]").wait_for()

    def images(self) -> dict[str, str]:
        cards = self.page.locator(".card").all()
        return {
            str(card.get_attribute("data-title")): str(card.locator(".after").get_attribute("src"))
            for card in cards
        }

    def edits(self) -> list[str]:
        texts: list[str] = self.page.locator("#edits li").all_inner_texts()
        return texts

    def slide(self, name: str, value: float, *, let_go: bool = True) -> None:
        events = ["input", "change"] if let_go else ["input"]
        self.page.locator(f"[id='slider-{name}']").evaluate(
            "(e, [value, events]) => { e.value = value;"
            " events.forEach((name) => e.dispatchEvent(new Event(name))); }",
            [value, events],
        )
        if let_go:
            self.settled()

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()
        self.settled()


@pytest.fixture
def visit(browser: Any, server: Server) -> Iterator[Visitor]:
    visitor = Visitor(browser, server.address)
    yield visitor
    visitor.context.close()
    assert visitor.complaints == []
    elsewhere = [url for url in visitor.requests if not url.startswith((server.address, *ALLOWED))]
    assert elsewhere == []


def test_a_visit_from_choosing_a_face_to_saving_the_session(visit: Visitor, tmp_path: Path) -> None:
    page = visit.page
    assert visit.edits() == ["face 0"]
    page.get_by_role("button", name="face 7", exact=True).click()
    page.locator("#edits li", has_text="face 7").wait_for()
    visit.settled()
    plain = visit.images()
    visit.slide("age", 50)
    assert visit.edits() == ["face 7", "age = 50"]
    edited = visit.images()
    assert list(edited) == ["original", *EDITORS, "counterfactual"]
    assert edited["original"] == plain["original"]
    assert len({edited[name] for name in ("original", "exact", "leaky")}) == 3
    assert page.locator("[data-title=exact] dd").first.inner_text().endswith("years")
    visit.press("glasses")
    assert visit.edits()[-1] == "glasses = 1"
    visit.press("Undo")
    assert visit.images() == edited
    visit.press("Redo")
    page.get_by_label("Match the effect").select_option("0.8")
    visit.settled()
    assert page.locator("[data-title=leaky] dt", has_text="strength").count() == 1
    matched = visit.images()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save session").click()
    saved.value.save_as(tmp_path / "session.json")
    record = json.loads((tmp_path / "session.json").read_text())
    assert record["face"] == {"kind": "bank", "index": 7}
    page.reload()
    page.locator(".card").first.wait_for()
    visit.settled()
    assert visit.images() == matched
    visit.press("Reset")
    page.get_by_label("Load session").set_input_files(tmp_path / "session.json")
    page.locator("#edits li", has_text="glasses = 1").wait_for()
    visit.settled()
    assert visit.images() == matched


def test_pictures_change_while_a_slider_moves_and_the_last_value_is_kept(visit: Visitor) -> None:
    for value in range(10, 60, 2):
        visit.slide("age", value, let_go=False)
    visit.page.locator("""body[data-shown='{"age":58}']""").wait_for()
    visit.settled()
    assert visit.edits() == ["face 0"]
    moving = visit.images()
    visit.slide("age", 58)
    kept = visit.images()
    assert {name: kept[name] for name in moving} == moving
    assert set(kept) - set(moving) == {"counterfactual"}
    assert visit.edits() == ["face 0", "age = 58"]
    visit.slide("age", 30, let_go=False)
    visit.page.locator("[data-title=counterfactual].stale").wait_for()
    visit.settled()
    assert visit.images()["counterfactual"] == kept["counterfactual"]
    assert visit.images()["exact"] != kept["exact"]


def test_the_keyboard_moves_sliders_by_their_steps(visit: Visitor) -> None:
    slider = visit.page.locator("#slider-yaw")
    visit.slide("yaw", 3)
    slider.focus()
    slider.press("ArrowRight")
    visit.settled()
    assert visit.edits()[-1] == "yaw = 4"
    assert slider.get_attribute("aria-valuetext") == "4 degrees"


def test_before_and_after_and_differences_are_shown(visit: Visitor) -> None:
    page = visit.page
    visit.slide("age", 60)
    page.get_by_label("Show").select_option("wipe")
    page.get_by_label("Wipe").evaluate(
        "e => { e.value = 30; e.dispatchEvent(new Event('input')); }"
    )
    after = page.locator("[data-title=exact] .after")
    assert "30%" in after.evaluate("e => getComputedStyle(e).clipPath")
    assert page.locator("[data-title=exact] .before").is_visible()
    page.get_by_label("Left").select_option("exact")
    assert page.locator("[data-title=exact] .before").is_hidden()
    exact = page.locator("[data-title=exact] .after").get_attribute("src")
    assert page.locator("[data-title=leaky] .before").get_attribute("src") == exact
    visit.slide("age", 40)
    moved = page.locator("[data-title=exact] .after").get_attribute("src")
    assert page.locator("[data-title=leaky] .before").get_attribute("src") == moved != exact
    page.get_by_label("Show").select_option("difference")
    levels = page.locator("[data-title=exact] canvas").evaluate(
        "async (e) => { await new Promise((done) => setTimeout(done, 200));"
        " return [...e.getContext('2d').getImageData(0, 0, 8, 8).data]; }"
    )
    assert levels[4 * 63 : 4 * 63 + 3] == [128, 128, 128]  # nothing is drawn in the last pixel
    assert levels[0] > 128  # the first pixel is the age


def test_faces_come_from_the_map_a_seed_a_sample_and_another_face(visit: Visitor) -> None:
    page = visit.page
    page.locator("#map").click(position={"x": 60, "y": 60})
    visit.settled()
    chosen = page.locator("#face").input_value()
    assert visit.edits() == [f"face {chosen}"]
    page.get_by_label("Map of codes by").select_option("tsne")
    page.locator("#map-legend", has_text="dark").wait_for()
    page.locator("#map").click(position={"x": 100, "y": 150})
    visit.settled()
    assert visit.edits() == [f"face {page.locator('#face').input_value()}"]
    page.get_by_label("Seed").fill("12")
    visit.press("Draw")
    assert visit.edits() == ["seed 12"]
    visit.slide("age", 61)
    visit.press("Sample")
    assert visit.edits() == ["sampled by draws, seed 12"]
    assert "61" in page.locator("#slider-age").get_attribute("aria-valuetext")
    page.get_by_text("Strength, rows, transfer").click()
    page.get_by_label("Attribute").select_option("yaw")
    visit.press("Copy")
    assert visit.edits()[-1] == "yaw of face 1"


def test_editors_rows_and_strength_are_chosen(visit: Visitor) -> None:
    page = visit.page
    page.get_by_role("checkbox", name="leaky").uncheck()
    visit.settled()
    assert list(visit.images()) == ["original", "exact", "draws"]
    page.get_by_text("Strength, rows, transfer").click()
    page.get_by_role("checkbox", name="1", exact=True).uncheck()  # the row that holds the age
    visit.slide("age", 50)
    assert visit.images()["exact"] == visit.images()["original"]
    for name in ("exact", "draws"):
        page.get_by_role("checkbox", name=name).click()
        visit.settled()
    assert page.get_by_role("alert").inner_text().startswith("One to 6 editors")


def test_light_is_turned_along_its_axes_and_by_components(visit: Visitor) -> None:
    page = visit.page
    page.get_by_text("3 components").click()
    page.locator("#component-lighting-2").evaluate(
        "e => { e.value = 1; e.dispatchEvent(new Event('change')); }"
    )
    visit.settled()
    assert visit.edits()[-1] == "lighting"
    assert page.locator("#component-lighting-2").get_attribute("aria-valuetext") == "1"


def test_a_photograph_is_taken_and_a_wrong_file_refused(visit: Visitor, tmp_path: Path) -> None:
    page = visit.page
    write_photos(tmp_path, 1)
    name = "<img src=x onerror=alert(1)>.png"
    (tmp_path / "0.png").rename(tmp_path / name)
    page.locator("#photograph").set_input_files(tmp_path / name)
    page.locator("#edits li", has_text="photograph").wait_for()
    visit.settled()
    assert visit.edits() == [f"photograph {name}"]
    assert page.locator("img[src=x]").count() == 0
    bad = tmp_path / "bad.svg"
    bad.write_text("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>")
    page.locator("#photograph").set_input_files(bad)
    page.get_by_role("alert").get_by_text("is none of PNG").wait_for()
    page.get_by_label("Load session").set_input_files(bad)
    page.get_by_role("alert").get_by_text("bad.svg is no saved session").wait_for()
    assert visit.edits() == [f"photograph {name}"]


def test_files_are_downloaded(visit: Visitor, tmp_path: Path) -> None:
    for button, begins in (("Picture (PNG)", b"\x89PNG"), (".npy", b"\x93NUM")):
        with visit.page.expect_download() as found:
            visit.page.get_by_role("button", name=button).click()
        found.value.save_as(tmp_path / "file")
        assert (tmp_path / "file").read_bytes()[:4] == begins


def test_a_server_that_stops_in_mid_edit_loses_nothing(browser: Any, world: Path) -> None:
    server = Server(Studio(opened(world, EDITORS)))
    visitor = Visitor(browser, server.address)
    visitor.slide("age", 50)
    before = visitor.images()
    server.stop()
    page = visitor.page
    page.locator("#slider-yaw").evaluate(
        "e => { e.value = 9; e.dispatchEvent(new Event('change')); }"
    )
    page.get_by_role("alert").get_by_text("Your session is kept").wait_for()
    assert visitor.images() == before
    server = Server(server.studio, server.port)
    page.get_by_role("button", name="Try again").click()
    page.locator("#edits li", has_text="yaw = 9").wait_for()
    assert visitor.edits() == ["face 0", "age = 50", "yaw = 9"]
    visitor.context.close()
    server.stop()
    assert visitor.complaints == []


def test_a_kept_session_of_another_bank_is_refused_and_a_new_one_begun(
    browser: Any, world: Path, tmp_path: Path
) -> None:
    first = Server(Studio(opened(world, ("exact",))))
    visitor = Visitor(browser, first.address)
    visitor.slide("age", 50)
    first.stop()
    fitted_world(tmp_path, ("exact",), seed=3)
    second = Server(Studio(opened(tmp_path, ("exact",))), first.port)
    visitor.page.reload()
    visitor.page.get_by_role("alert").get_by_text("have different banks").wait_for()
    visitor.settled()
    assert visitor.edits() == ["face 0"]
    visitor.context.close()
    second.stop()


def test_the_page_fits_and_axe_finds_nothing(browser: Any, server: Server) -> None:
    # Content security is off here alone: axe-core is added to the page as a script.
    visitor = Visitor(browser, server.address, bypass_csp=True)
    page = visitor.page
    visitor.slide("age", 50)
    for summary in page.locator("summary").all():
        if summary.is_visible():
            summary.click()
    for width, theme in ((390, "light"), (1280, "dark"), (1920, "light")):
        page.set_viewport_size({"width": width, "height": 900})
        if page.evaluate("() => document.documentElement.dataset.theme") != theme:
            page.locator("#theme").click()
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        found = Axe().run(page).response["violations"]
        assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found] == []
    visitor.context.close()


def test_the_focus_goes_through_the_page_in_order(visit: Visitor) -> None:
    page = visit.page
    visit.slide("age", 50)
    page.locator("h1").click()
    order = []
    for _ in range(6):
        page.keyboard.press("Tab")
        order.append(page.evaluate("() => document.activeElement.id"))
    assert order == ["theme", "undo", "reset", "match", "mode", "pictures"]
    page.locator("#theme").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.documentElement.dataset.theme") == "dark"


def test_another_domain_and_a_third_partys_editor_need_no_page_code(
    browser: Any, tmp_path: Path
) -> None:
    registry = studio_cars.registry()
    bank = make_bank(
        registry, tmp_path / "bank", generator="cars", labeller="car-reader", n_fit=80, n_test=10
    )
    fit_editor(registry, "fisher", bank).save(tmp_path / "fisher")
    bench = Workbench.open(
        registry, bank, {"fisher": tmp_path / "fisher"}, judge="car-judge", recognisers=[]
    )
    with served(Studio(bench)) as server:
        visitor = Visitor(browser, server.address)
        page = visitor.page
        visitor.press(studio_cars.NASTY)
        assert visitor.edits() == ["image 0", "roof rack = 1"]
        assert "face" not in page.locator("body").inner_text().lower()
        page.get_by_role("slider", name="wheelbase").focus()
        page.keyboard.press("ArrowRight")
        visitor.settled()
        assert visitor.edits()[-1].startswith("wheelbase = ")
        page.get_by_role("slider", name="from blue … from red").focus()
        page.keyboard.press("ArrowRight")
        visitor.settled()
        assert visitor.edits()[-1] == "paint"
        assert list(visitor.images()) == ["original", "fisher"]
        assert page.locator("#photographs").is_hidden()
        assert page.locator("#layers").is_hidden()
        assert page.locator("#sampling").is_hidden()
        assert page.locator("[data-title=fisher] dt", has_text="identity").count() == 0
        visitor.context.close()
        assert visitor.complaints == []
