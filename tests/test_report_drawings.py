"""Curves, differences and faces of a report's page are those of the right editor, task and face."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flat_results import comparison, leader, read_flat, write_flat
from made_cells import colour, edit_arrays, fit_attributes, unedited
from made_runs import comparisons, curves, write_run
from made_world import CONTROLS, CURVED, EDITORS, FACES, SHOWN, TASKS
from page_reading import Drawing, Element, picture, read_page, section

from latentedit.benchmark.cells.store import Cell, CellStore, Outcome
from latentedit.measures.definitions import METRICS
from latentedit.report.figures import forest
from latentedit.report.page import write_report

ENTRANTS = [*EDITORS, *CONTROLS]
COLOURS = {
    "alpha": "#0072b2",
    "beta": "#d55e00",
    "gamma": "#009e73",
    "still": "#8a8f98",
    "stray": "#b0a89a",
}
UNITS = {"age": "years", "glasses": "", "turn": "degrees"}
COLUMN = {"age": 0, "glasses": 1, "turn": 2}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Element:
    folder = write_run(tmp_path_factory.mktemp("made") / "run")
    return read_page(write_report(folder).read_text())


@pytest.fixture(scope="module")
def panels(page: Element) -> dict[tuple[str, str], Drawing]:
    """The curves by metric and task."""
    found = {}
    for figure in section(page, "Along the achieved effect").all("figure"):
        for svg in figure.all("svg"):
            drawing = Drawing(svg)
            (task,) = [text for text in drawing.texts() if text in TASKS]
            found[figure.one("figcaption").one("strong").text, task] = drawing
    return found


def test_there_is_a_panel_for_every_metric_and_task_in_order(
    panels: dict[tuple[str, str], Drawing],
) -> None:
    assert list(panels) == [(metric, task) for metric in CURVED for task in TASKS]
    for (metric, _), drawing in panels.items():
        assert "achieved share of the requested change" in drawing.texts()
        assert metric.split(" · ")[0] in drawing.texts()


def of_editors() -> list[dict[str, Any]]:
    return [row for row in curves() if row["editor"] in EDITORS]


def test_every_curve_is_drawn_through_its_own_numbers(
    panels: dict[tuple[str, str], Drawing],
) -> None:
    """Full up to where half of the faces come, effect 0.75; from there on dotted to the end."""
    for row in of_editors():
        drawing = panels[row["metric"], row["task"]]
        (full,) = drawing.lines(COLOURS[row["editor"]])
        drawn = drawing.points(full)
        expected = np.interp(drawn[:, 0], row["effect"], row["mean"])
        assert drawn[:, 1] == pytest.approx(expected, abs=0.004)
        assert drawn[[0, -1], 0] == pytest.approx([0, 0.75], abs=0.004)
        (dotted,) = drawing.lines(COLOURS[row["editor"]], dotted=True)
        assert drawing.points(dotted)[:, 0] == pytest.approx([0.75, 1], abs=0.004)


def test_controls_are_one_band_from_their_lowest_to_their_highest_mean(
    panels: dict[tuple[str, str], Drawing],
) -> None:
    """Where half of the faces come, and no line of its own for any."""
    for (metric, task), drawing in panels.items():
        means = [
            row["mean"]
            for row in curves()
            if (row["metric"], row["task"]) == (metric, task) and row["editor"] in CONTROLS
        ]
        low, high = min(means), max(means)
        (points,) = drawing.bands(COLOURS[CONTROLS[0]])
        for x, y in points:
            ends = [np.interp(x, [0, 0.25, 0.5, 0.75, 1], line) for line in (low, high)]
            assert min(abs(y - end) for end in ends) < 0.004
        assert points[:, 0].max() == pytest.approx(0.75, abs=0.004)
        for name in CONTROLS:
            assert drawing.lines(COLOURS[name]) == []


def test_every_line_has_its_editors_name_at_its_end_in_the_order_of_the_lines(
    panels: dict[tuple[str, str], Drawing],
) -> None:
    for (metric, task), drawing in panels.items():
        ends = {
            row["editor"]: row["mean"][3]
            for row in of_editors()
            if (row["metric"], row["task"]) == (metric, task)
        }
        places = drawing.places(EDITORS)
        assert sorted(EDITORS, key=lambda name: places[name]) == sorted(
            EDITORS, key=lambda name: -ends[name]
        )
        apart = np.diff(sorted(places.values()))
        assert apart.min() >= 7


def test_a_script_has_the_values_of_every_entrant_where_most_faces_come(page: Element) -> None:
    for figure in section(page, "Along the achieved effect").all("figure"):
        metric = figure.one("figcaption").one("strong").text
        data = json.loads(figure.one("script").text)
        assert data["effects"] == [0, 0.25, 0.5, 0.75, 1]
        assert {name: c.lower() for name, c in data["colours"].items()} == COLOURS
        for task, values in zip(TASKS, data["panels"], strict=True):
            assert list(values) == ENTRANTS
            for row in curves():
                if (row["metric"], row["task"]) == (metric, task):
                    shown = [round(value, 3) for value in row["mean"][:4]]
                    assert values[row["editor"]] == [*shown, None]


def test_a_panel_says_where_its_axis_begins_and_ends(page: Element) -> None:
    for panel in section(page, "Along the achieved effect").all("div", class_="panel"):
        svg = panel.one("svg")
        width = float(svg.attributes["viewbox"].split()[2])
        (frame,) = [g.one("path").attributes["d"] for g in svg.all("g", id="patch_2")]
        x = [float(number) for number in re.findall(r"[ML] ([\d.]+)", frame)]
        assert float(panel.attributes["data-left"]) == pytest.approx(min(x) / width, abs=0.001)
        assert float(panel.attributes["data-right"]) == pytest.approx(max(x) / width, abs=0.001)


def test_a_band_reaches_from_low_to_high(panels: dict[tuple[str, str], Drawing]) -> None:
    """0.02 below the mean and 0.05 above it, and nowhere where few faces come."""
    for row in of_editors():
        drawing = panels[row["metric"], row["task"]]
        (points,) = drawing.bands(COLOURS[row["editor"]])
        off = points[:, 1] - np.interp(points[:, 0], row["effect"], row["mean"])
        assert (off.min(), off.max()) == pytest.approx((-0.02, 0.05), abs=0.004)
        assert points[:, 0].max() == pytest.approx(0.75, abs=0.004)


def test_the_panels_of_a_metric_share_a_scale_that_holds_every_full_line_of_an_editor(
    panels: dict[tuple[str, str], Drawing],
) -> None:
    """5 % of room beyond the lowest and the highest band, where half of the faces come."""
    for metric in CURVED:
        shown = [row for row in of_editors() if row["metric"] == metric]
        low = min(min(row["low"][:4]) for row in shown)
        high = max(max(row["high"][:4]) for row in shown)
        room = 0.05 * (high - low)
        for task in TASKS:
            drawing = panels[metric, task]
            (frame,) = [
                group.one("path").attributes["d"] for group in drawing.svg.all("g", id="patch_2")
            ]
            corners = drawing.points(frame)
            assert corners[:, 1].min() == pytest.approx(low - room, abs=0.004)
            assert corners[:, 1].max() == pytest.approx(high + room, abs=0.004)
            assert corners[:, 0].min() == pytest.approx(0, abs=0.004)
            assert corners[:, 0].max() == pytest.approx(1, abs=0.004)


def test_the_legend_gives_every_editor_the_colour_of_its_curve_and_lists_controls(
    page: Element,
) -> None:
    *editors, controls = [
        child for child in page.one("div", class_="legend").children if isinstance(child, Element)
    ]
    found = {
        name.text: name.one("span").attributes["style"].removeprefix("background:").lower()
        for name in editors
    }
    assert found == {name: COLOURS[name] for name in EDITORS}
    assert controls.text == "controls, lowest to highest: still, stray"


COMPARED = ("identity similarity", "attribute leakage", "true leakage", "reach", "target error")


def test_differences_of_the_first_editor_are_drawn_a_picture_a_metric(page: Element) -> None:
    part = section(page, "Paired differences")
    assert part.all("h3")[0].text == "alpha minus each other editor, all tasks"
    assert [caption.text for caption in part.all("figcaption")] == [
        "reach",
        "identity similarity · rec-zeta",
        "identity similarity · rec-eta",
        "attribute leakage",
        "true leakage",
        "target error",
    ]


def test_every_difference_stands_at_its_number_with_its_interval(page: Element) -> None:
    """A full dot where an editor is ahead, an empty one where none is; controls are left out."""
    for figure in section(page, "Paired differences").all("figure"):
        metric = figure.one("figcaption").text
        drawing = Drawing(figure.one("svg"))
        effect = 0.0 if metric == "target error" else 0.8
        shown = [
            row
            for row in comparisons()
            if (row["first"], row["metric"], row["task"]) == ("alpha", metric, "all tasks")
            and row["effect"] == effect
            and row["second"] in EDITORS
        ]
        assert drawing.labels("y") == ["beta", "gamma"]
        dots = sorted(drawing.dots(), key=lambda dot: dot[1])
        bars = sorted(
            (
                drawing.points(path, named_y=True)
                for colour in ("#30343a", "#9aa0a6")
                for path in drawing.lines(colour)
            ),
            key=lambda bar: float(bar[0, 1]),
        )
        assert len(dots) == len(bars) == len(shown) == 2
        for i, (row, (x, y, fill), bar) in enumerate(zip(shown, dots, bars, strict=True)):
            assert (x, y) == pytest.approx((row["difference"], i), abs=0.01)
            assert bar[:, 1] == pytest.approx([i, i], abs=0.01)
            assert sorted(bar[:, 0]) == pytest.approx([row["low"], row["high"]], abs=0.01)
            assert fill == ("#ffffff" if leader(row) is None else "#30343a")
        unit = METRICS[metric.split(" · ")[0]].unit
        side = "left" if "leakage" in metric or "error" in metric else "right"
        assert f"difference in {unit} ({side} is better)" in drawing.texts()


def test_the_script_has_every_comparison_of_two_editors_task_by_task(page: Element) -> None:
    data = json.loads(page.one("script", id="comparisons").text)
    assert data["tasks"] == [*TASKS, "all tasks"]
    names = [" · ".join(filter(None, metric[:2])) for metric in data["metrics"]]
    expected = [
        row
        for row in comparisons()
        if row["metric"] in names
        and row["second"] in EDITORS
        and row["effect"] == (0.0 if row["metric"] == "target error" else 0.8)
    ]
    assert len(data["rows"]) == len(expected) == 3 * 6 * 4
    for found, row in zip(data["rows"], expected, strict=True):
        assert found[:3] == [row["first"], row["second"], row["task"]]
        assert names[found[3]] == row["metric"]
        numbers = [round(row[name], 4) for name in ("difference", "low", "high")]
        assert found[4:7] == numbers
        assert found[8] == leader(row)


def test_a_difference_without_an_interval_is_an_empty_dot() -> None:
    row = comparison(second="b", difference=0.25)
    other = comparison(second="c", difference=1.5, low=1.0, high=2.0, verdict="behind")
    drawing = Drawing(read_page(forest([row, other], "σ", False)).one("svg"))
    dots = sorted(drawing.dots(), key=lambda dot: dot[1])
    assert [dot[2] for dot in dots] == ["#ffffff", "#30343a"]
    assert dots[0][:2] == pytest.approx((0.25, 0), abs=0.01)


def grids(page: Element) -> dict[str, Element]:
    return {grid.attributes["data-task"]: grid for grid in page.all("div", class_="faces")}


def shown_colour(face: Element) -> tuple[int, ...]:
    image = picture(face.one("img").attributes["src"])
    assert image.size == (4, 4)
    colours = image.getcolors()
    assert colours is not None
    assert len(colours) == 1
    found: tuple[int, ...] = image.getpixel((0, 0))  # type: ignore[assignment]
    return found


def test_the_pictures_are_of_the_right_face_editor_task_and_effect(page: Element) -> None:
    found = grids(page)
    assert list(found) == list(TASKS)
    for task, grid in found.items():
        faces = [d for d in grid.all("div") if "face" in d.classes]
        expected = [("unedited", i, colour("alpha", task, i, "unedited")) for i in range(SHOWN)] + [
            (name, i, colour(name, task, i)) for name in ENTRANTS for i in range(SHOWN)
        ]
        assert [
            (face.attributes["data-editor"], int(face.attributes["data-face"]), shown_colour(face))
            for face in faces
        ] == expected
        names = [d.text for d in grid.all("div", class_="name")]
        assert names == ["unedited", *ENTRANTS]


def test_the_pictures_stand_under_the_heading_of_their_task(page: Element) -> None:
    part = section(page, "The same faces under each editor")
    assert [h.text for h in part.all("h3")] == list(TASKS)
    assert [g.attributes["data-task"] for g in part.all("div", class_="faces")] == list(TASKS)
    told = part.all("p")[0].text
    assert told.startswith("At 80 % of the requested change. Under each picture: identity ")
    assert "similarity by rec-zeta (1 is the same face, 0 a stranger), and the achieved" in told


def test_the_caption_of_an_unedited_face_is_what_was_asked_of_it(page: Element) -> None:
    """From what the face has to what it should have, in the attribute's unit."""
    for task, grid in grids(page).items():
        arrays = edit_arrays("alpha", task)
        for i, face in enumerate(grid.all("div", data_editor="unedited")):
            before, change = float(arrays["source"][i]), float(arrays["change"][i])
            asked = f"{before:.2g} → {before + change:.2g} {UNITS[task]}".strip()
            assert face.own == asked
            assert face.attributes["data-numbers"] == f"asked: {asked}"
            row = FACES[task][i]
            assert before == pytest.approx(float(unedited()["judged"][row, COLUMN[task]]))


def leak(task: str, arrays: dict[str, Any], i: int) -> float:
    """Mean of |change| / σ over the two attributes that are not edited, at the first effect."""
    before = unedited()["judged"][FACES[task][i]].numpy()
    after = arrays["matched_judged"][0, i].numpy()
    sigma = fit_attributes().numpy().std(0, ddof=1)
    change = np.abs(after - before) / sigma
    return float(np.delete(change, COLUMN[task]).mean())


def test_every_edited_face_has_its_own_numbers(page: Element) -> None:
    for task, grid in grids(page).items():
        for name in ENTRANTS:
            arrays = edit_arrays(name, task)
            for i, face in enumerate(grid.all("div", data_editor=name)):
                similar = [float(value) for value in arrays["matched_similarity"][0, :, i]]
                percent = round(100 * float(arrays["matched_effect"][0, i]))
                assert face.own == f"{similar[0]:.2f} · {percent} %"
                strength = float(arrays["matched_strength"][0, i])
                lines = face.attributes["data-numbers"].split("|")
                if np.isnan(strength):
                    assert lines[:2] == ["not reached", f"at the largest strength: {percent} %"]
                else:
                    assert lines[:2] == [f"achieved: {percent} %", f"strength: {strength:.2f}"]
                assert lines[2:] == [
                    f"identity, rec-zeta: {similar[0]:.3f}",
                    f"identity, rec-eta: {similar[1]:.3f}",
                    f"other attributes: {leak(task, arrays, i):.2f} σ",
                ]


def test_faces_that_did_not_reach_the_first_effect_are_marked_and_no_others(
    page: Element,
) -> None:
    """The second shown face of everybody, and the first one of gamma with glasses."""
    marked = {
        (task, face.attributes["data-editor"], int(face.attributes["data-face"]))
        for task, grid in grids(page).items()
        for face in grid.all("div")
        if "failed" in face.classes
    }
    expected = {(task, name, 1) for task in TASKS for name in ENTRANTS}
    assert marked == expected | {("glasses", "gamma", 0)}
    for task, grid in grids(page).items():
        for face in grid.all("div"):
            if "face" in face.classes:
                editor, i = face.attributes["data-editor"], int(face.attributes["data-face"])
                reached = (task, editor, i) not in marked
                end = "" if reached else ", not reached"
                assert face.one("img").attributes["alt"] == f"{task}, face {i + 1}, {editor}{end}"


def test_an_editor_without_a_result_has_no_row_of_faces(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    for cell in ("edit--alpha--seed0--turn", "edit--beta--seed0--turn"):
        for file in (folder / "cells" / cell).iterdir():
            file.unlink()
    results = read_flat(folder)
    write_flat(folder, results | {"curves": [], "comparisons": []})
    found = grids(read_page(write_report(folder).read_text()))
    names = {task: [d.text for d in g.all("div", class_="name")] for task, g in found.items()}
    assert names == {
        "age": ["unedited", *ENTRANTS],
        "glasses": ["unedited", *ENTRANTS],
        "turn": ["unedited", "gamma", "still", "stray"],
    }


def test_the_faces_of_a_report_are_those_of_the_first_fit_seed(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", seeds=[0, 1])
    store = CellStore(folder)
    for name, task in itertools.product(ENTRANTS, TASKS):
        arrays = edit_arrays(name, task, number=1)
        store.commit(Cell("edit", {}, name, 1, task), Outcome("ok", 1.0, arrays=arrays))
    found = grids(read_page(write_report(folder).read_text()))
    for task, grid in found.items():
        for name in ENTRANTS:
            shown = [shown_colour(face) for face in grid.all("div", data_editor=name)]
            assert shown == [colour(name, task, i) for i in range(SHOWN)]
