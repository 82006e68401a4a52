"""The leaderboard shows each run's own numbers, and every two editors' own difference."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flat_results import flat, leader
from made_boards import (
    COLOURS,
    COLUMNS,
    CONTROLS,
    ENTRIES,
    FIRST,
    LOWER,
    SECOND,
    SORTED,
    entry_of,
    listing,
    write_runs,
)
from made_cells import colour, edit_arrays, fit_attributes, unedited
from made_runs import curves
from made_world import CURVED, FACES, RECOGNISERS, SCHEMA, SHOWN, TASKS, N
from page_reading import Drawing, Element, headings, picture, read_page, rows


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one bank, one of another, and one without results."""
    folder = tmp_path_factory.mktemp("runs")
    write_runs(folder)
    return folder


@pytest.fixture(scope="module")
def board(runs: Path) -> dict[str, Any]:
    found: dict[str, Any] = flat(json.loads(listing(str(runs), "--json").stdout)[0])
    return found


@pytest.fixture(scope="module")
def page(runs: Path) -> Element:
    listing(str(runs), "--html", str(runs / "board.html"))
    return read_page((runs / "board.html").read_text())


@pytest.fixture(scope="module")
def part(page: Element) -> Element:
    """The board of the first two runs."""
    return page.one("section", id="board0")


def test_boards_stand_with_most_editors_first_and_say_what_they_compare(
    page: Element, runs: Path
) -> None:
    hashes = [
        json.loads((runs / name / "results.json").read_text())["bank_hash"]
        for name in ("first", "another")
    ]
    parts = page.all("section", class_="board")
    assert [p.one("h2").text for p in parts] == [f"g bank {digest[:8]}" for digest in hashes]
    assert [link.text for link in page.one("main").all("a")] == [
        f"g, bank {hashes[0][:8]}: 5 editors",
        f"g, bank {hashes[1][:8]}: 1 editors",
    ]
    assert [link.attributes["href"] for link in page.one("main").all("a")] == ["#board0", "#board1"]
    assert parts[0].all("p")[0].text == (
        "24 faces, tasks: age, glasses, turn; compared at 80 % of the requested change. "
        "Judge: the-judge. Recognisers: rec-zeta, rec-eta."
    )


def test_the_first_table_has_each_runs_own_means_and_intervals(part: Element) -> None:
    table = part.all("table")[0]
    assert headings(table) == [
        "editor",
        *(
            f"{name} {'↓' if name in LOWER else '↑'} {of}".strip()
            for name, _, of in (metric.partition(" · ") for metric in COLUMNS)
        ),
    ]
    found = rows(table)
    assert [row[0].text for row in found] == list(ENTRIES)
    for row in found:
        for cell, metric in zip(row[1:], COLUMNS, strict=True):
            m = entry_of(row[0].text)[metric, "all tasks"]
            assert cell.own == ("0" if m["mean"] == 0 else f"{m['mean']:.3f}")
            assert cell.small == f"{m['low']:.3f} to {m['high']:.3f}"
            assert float(cell.attributes["data-value"]) == m["mean"]
    grey = [r.attributes["data-name"] for r in table.all("tr") if "control" in r.classes]
    assert grey == list(CONTROLS)


def test_each_metric_has_a_table_by_task(part: Element) -> None:
    details = [d for d in part.all("details") if d.all("table", class_="sortable")]
    assert [d.one("summary").text for d in details] == headings(part.all("table")[0])[1:]
    for block, metric in zip(details, COLUMNS, strict=True):
        table = block.one("table")
        assert headings(table) == ["editor", *TASKS]
        best = {head.attributes.get("data-best") for head in table.one("thead").all("th")[1:]}
        assert best == {"low" if metric in LOWER else "high"}
        assert [row[0].text for row in rows(table)] == list(ENTRIES)
        for row in rows(table):
            for cell, task in zip(row[1:], TASKS, strict=True):
                m = entry_of(row[0].text)[metric, task]
                assert cell.own == ("0" if m["mean"] == 0 else f"{m['mean']:.3f}")
                assert cell.small == f"{m['low']:.3f} to {m['high']:.3f}"
                assert float(cell.attributes["data-value"]) == m["mean"]


def per_face(name: str, metric: str, task: str) -> Any:
    """(N,) of an entry, NaN where a face did not reach the first effect or has no part."""
    editor, number = ENTRIES[name]
    arrays = {k: v.double().numpy() for k, v in edit_arrays(editor, task, number).items()}
    column = TASKS.index(task)
    sigma = fit_attributes().double().numpy().std(0, ddof=1)
    rows_of, reached = FACES[task], ~np.isnan(arrays["matched_strength"][0])
    short, _, recogniser = metric.partition(" · ")
    if short == "reach":
        values = reached.astype(float)
    elif short == "identity similarity":
        values = arrays["matched_similarity"][0, RECOGNISERS.index(recogniser)]
    elif short == "target error":
        target = arrays["source"] + arrays["change"]
        values = np.abs(arrays["judged"][1, :, column] - target) / sigma[column]
    else:
        assert short == "attribute leakage"
        before = unedited()["judged"].double().numpy()[rows_of]
        change = np.abs(arrays["matched_judged"][0] - before) / sigma
        values = np.delete(change, SCHEMA.columns(SCHEMA.names[column]).start, 1).mean(1)
    table = np.full(N, np.nan)
    table[rows_of] = (
        values if short in ("reach", "target error") else np.where(reached, values, np.nan)
    )
    return table


KNOWN = (
    "reach",
    *(f"identity similarity · {name}" for name in SORTED),
    "attribute leakage",
    "target error",
)


def difference(first: str, second: str, metric: str, task: str) -> tuple[float, int]:
    """The mean over faces of first − second, each face's tasks averaged first, and how many."""
    tasks = TASKS if task == "all tasks" else (task,)
    table = np.stack([per_face(first, metric, t) - per_face(second, metric, t) for t in tasks])
    faces = np.array(
        [column[~np.isnan(column)].mean() for column in table.T if not np.isnan(column).all()]
    )
    return float(faces.mean()), len(faces)


def test_every_difference_is_that_of_its_two_entries(board: dict[str, Any]) -> None:
    found = {
        (row["first"], row["second"], row["metric"], row["task"]): row
        for row in board["comparisons"]
    }
    for (first, second), metric, task in itertools.product(
        itertools.combinations(ENTRIES, 2), KNOWN, (*TASKS, "all tasks")
    ):
        row = found[first, second, metric, task]
        mean, faces = difference(first, second, metric, task)
        assert row["difference"] == pytest.approx(mean, abs=1e-5)
        assert row["faces"] == faces
        if row["low"] is not None:
            assert row["low"] <= row["difference"] <= row["high"]


def test_who_was_made_better_is_better_and_marked_best(
    board: dict[str, Any], part: Element
) -> None:
    """alpha of the first run by rec-zeta, beta by rec-eta, gamma in leakage: over all others."""
    table = part.all("table")[0]
    best = {
        (row[0].text, metric)
        for row in rows(table)
        for cell, metric in zip(row[1:], COLUMNS, strict=True)
        if "best" in cell.classes
    }
    assert best >= {
        ("alpha (first)", "identity similarity · rec-zeta"),
        ("beta", "identity similarity · rec-eta"),
        ("gamma", "attribute leakage"),
    }
    editors = set(ENTRIES) - set(CONTROLS)
    won = [
        (leader(row_of), row_of["metric"])
        for row_of in board["comparisons"]
        if row_of["task"] == "all tasks" and {row_of["first"], row_of["second"]} <= editors
    ]
    assert best == {one for one in won if one[0] and won.count(one) == len(editors) - 1}


def signed(value: float) -> str:
    text = f"{value:+.3f}"
    return text[1:] if float(text) == 0 else text


def test_row_minus_column_is_shown_from_both_sides_with_who_won(
    part: Element, board: dict[str, Any]
) -> None:
    details = [d for d in part.all("details") if d.all("table", class_="comparisons")]
    assert [d.one("summary").text for d in details] == headings(part.all("table")[0])[1:]
    met = {
        (row["first"], row["second"], row["metric"]): row
        for row in board["comparisons"]
        if row["task"] == "all tasks"
    }
    shown: dict[str, int] = {"won": 0, "lost": 0, "undecided": 0, "equivalent": 0}
    for block, metric in zip(details, COLUMNS, strict=True):
        table = block.one("table")
        assert headings(table) == ["row − column", *ENTRIES]
        for row, name in zip(rows(table), ENTRIES, strict=True):
            assert row[0].text == name
            for cell, other in zip(row[1:], ENTRIES, strict=True):
                if (name, other, metric) in met:
                    row_of, sign = met[name, other, metric], 1
                elif (other, name, metric) in met:
                    row_of, sign = met[other, name, metric], -1
                else:
                    assert cell.text == "·"
                    continue
                bounds = "too few"
                if row_of["low"] is not None:
                    low, high = sorted((sign * row_of["low"], sign * row_of["high"]))
                    bounds = f"{signed(low)} to {signed(high)}"
                assert cell.own == signed(sign * row_of["difference"])
                over = f"{row_of['faces']} faces, one fit"
                assert cell.small == f"{bounds}, {over}"
                won = {None: "undecided", name: "won", other: "lost"}[leader(row_of)]
                won = "equivalent" if row_of["verdict"] == "equivalent" else won
                assert cell.classes == [won]
                shown[won] += 1
    assert shown["won"] == shown["lost"] > 10
    assert shown["undecided"] > 20


def test_the_data_for_the_script_are_the_differences_rounded(
    part: Element, board: dict[str, Any]
) -> None:
    data = json.loads(part.one("script", id="board0-comparisons").text)
    assert data["tasks"] == [*TASKS, "all tasks"]
    assert data["metrics"] == [
        [*metric.partition(" · ")[::2], metric not in LOWER] for metric in COLUMNS
    ]
    keys = ("first", "second", "task", "metric", "difference", "low", "high")
    compared = [row for row in board["comparisons"] if row["metric"] in COLUMNS]
    for row, row_of in zip(data["rows"], compared, strict=True):
        expected = [row_of[key] for key in keys]
        expected[3] = COLUMNS.index(row_of["metric"])
        assert row[:4] == expected[:4]
        over = f"{row_of['faces']} faces, one fit"
        assert row[7:] == [over, leader(row_of), row_of["verdict"] == "equivalent"]
        assert row[4:7] == pytest.approx(expected[4:7], abs=5.1e-5)
    form = part.one("form")
    assert form.attributes["data-comparisons"] == "board0-comparisons"
    for select in form.all("select"):
        assert [option.text for option in select.all("option")] == list(ENTRIES)


def test_curves_of_all_runs_are_drawn_under_their_names(part: Element) -> None:
    legend = part.one("div", class_="legend")
    *names, controls = [child for child in legend.children if isinstance(child, Element)]
    assert {
        n.text: n.one("span").attributes["style"].removeprefix("background:").lower() for n in names
    } == {name: colour for name, colour in COLOURS.items() if name not in CONTROLS}
    assert controls.text == f"controls, lowest to highest: {', '.join(CONTROLS)}"
    captions = [f for f in part.all("figure") if f.all("svg")]
    assert [f.one("figcaption").one("strong").text for f in captions] == list(CURVED)
    for figure in captions:
        for task, svg in zip(TASKS, figure.all("svg"), strict=True):
            drawing = Drawing(svg)
            assert task in drawing.texts()
            for name, (editor, number) in ENTRIES.items():
                if name in CONTROLS:
                    continue
                (row,) = [
                    r
                    for r in curves(FIRST if number == 0 else SECOND, number)
                    if (r["editor"], r["task"]) == (editor, task)
                    and r["metric"] == figure.one("figcaption").one("strong").text
                ]
                (line,) = drawing.lines(COLOURS[name])
                points = drawing.points(line)
                expected = np.interp(points[:, 0], row["effect"], row["mean"])
                assert points[:, 1] == pytest.approx(expected, abs=0.006)


def test_faces_are_those_of_the_entrys_own_run(part: Element) -> None:
    grids = part.all("div", class_="faces")
    assert [grid.attributes["data-task"] for grid in grids] == list(TASKS)
    for task, grid in zip(TASKS, grids, strict=True):
        names = [d.text for d in grid.all("div", class_="name")]
        assert names == ["unedited", *ENTRIES]
        for name, (editor, number) in ENTRIES.items():
            arrays = edit_arrays(editor, task, number)
            faces = grid.all("div", data_editor=name)
            assert len(faces) == SHOWN
            for i, face in enumerate(faces):
                image = picture(face.one("img").attributes["src"])
                assert image.getpixel((0, 0)) == colour(editor, task, i, number=number)
                similar = float(arrays["matched_similarity"][0, 0, i])
                percent = round(100 * float(arrays["matched_effect"][0, i]))
                assert face.own == f"{similar:.2f} · {percent} %"


def test_runs_are_named_and_those_not_shown_too(page: Element, part: Element, runs: Path) -> None:
    (block,) = [d for d in part.all("details") if d.one("summary").text == "Runs"]
    folders = {0: runs / "first", 1: runs / "second"}
    assert [item.text for item in block.all("li")] == [
        f"{name}: {editor} of made, {folders[number]}" for name, (editor, number) in ENTRIES.items()
    ]
    digest = json.loads((runs / "first" / "results.json").read_text())["bank_hash"]
    assert block.one("p").text == f"Bank {digest}"
    (refused,) = [li for li in page.all("li") if li.text.startswith(str(runs / "broken"))]
    assert refused.text.endswith("it has no results yet; finish it with the same bench run again")


def test_what_a_column_means_is_said_with_direction_unit_and_formula(page: Element) -> None:
    meanings = page.one("dl", class_="meanings")
    terms = [term.text for term in meanings.all("dt")]
    plain = dict.fromkeys(metric.split(" · ")[0] for metric in COLUMNS)
    assert terms == [f"{name} {'↓' if name in LOWER else '↑'}" for name in plain]
    ends = [told.one("span").text for told in meanings.all("dd")]
    assert ends[0] == "Higher is better; share of images: formula of reach"
    assert ends[3] == "Lower is better; σ: formula of attribute leakage"
