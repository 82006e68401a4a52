"""Every number of a report's page stands in its own cell, rounded, with its interval and unit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flat_results import read_flat, write_flat
from made_extras import write_richer_run
from made_runs import MAE_SIGMA, leakage, measures, write_run
from made_world import CONTROLS, EDITORS, RECOGNISERS, SCHEMA, TASKS, by_recogniser
from page_reading import Element, headings, read_page, rows, section

from latentedit.report.page import LeakageCell, write_report

ENTRANTS = [*EDITORS, *CONTROLS]
SORTED = sorted(RECOGNISERS)
HEADLINE = [
    ("reach", "", 0.8),
    *(("identity similarity", name, 0.8) for name in SORTED),
    *(("identity accuracy", name, 0.8) for name in SORTED),
    ("attribute leakage", "", 0.8),
    ("true leakage", "", 0.8),
    ("true identity drift", "", 0.8),
    ("target error", "", 0.0),
    *(("edit–identity area", name, 0.0) for name in SORTED),
]
"""The columns of the first table: metric, recogniser, and the effect its numbers are for."""
LOWER = {"attribute leakage", "true leakage", "true identity drift", "target error"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made run without its curves, which another file looks at."""
    folder = write_run(tmp_path_factory.mktemp("made") / "run")
    results = read_flat(folder)
    write_flat(folder, results | {"curves": []})
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Element:
    return read_page(write_report(folder).read_text())


@pytest.fixture(scope="module")
def richer(tmp_path_factory: pytest.TempPathFactory) -> Element:
    """The page of a run of tuned editors on photographs, with failed cells and few faces."""
    folder = write_richer_run(tmp_path_factory.mktemp("richer") / "run")
    return read_page(write_report(folder).read_text())


def table_of(page: Element, heading: str) -> Element:
    return section(page, heading).all("table")[0]


def figures(metric: str, recogniser: str, effect: float) -> dict[str, dict[str, Any]]:
    """Of every entrant, over all tasks."""
    key = f"{metric} · {recogniser}" if recogniser else metric
    return {
        m["editor"]: m
        for m in measures()
        if (m["metric"], m["task"], m["effect"]) == (key, "all tasks", effect)
    }


def test_the_first_lines_count_faces_tasks_editors_and_controls(page: Element) -> None:
    assert page.one("h1").text == "made"
    assert page.all("p")[0].text == "A run that nobody ran, not even Zoë."
    text = page.all("p")[1].text
    assert text.startswith("24 faces, 3 tasks, 3 editors and 2 controls. ")
    assert "compared at the same achieved share, 80 % , face by face" in text
    told = section(page, "Means over all tasks").all("p")[0].text
    assert told.startswith("Means over all tasks with 90 % intervals over faces; 80 % of the ")


def test_the_headings_name_metric_direction_and_recogniser_in_order(page: Element) -> None:
    table = table_of(page, "Means over all tasks")
    assert headings(table) == [
        "editor",
        "reach ↑",
        "identity similarity ↑ rec-eta",
        "identity similarity ↑ rec-zeta",
        "identity accuracy ↑ rec-eta",
        "identity accuracy ↑ rec-zeta",
        "attribute leakage ↓",
        "true leakage ↓",
        "true identity drift ↓",
        "target error ↓",
        "edit–identity area ↑ rec-eta",
        "edit–identity area ↑ rec-zeta",
        "fit seconds",
        "edit ms each, alone / in 64",
    ]
    heads = table.one("thead").all("th")[1 : 1 + len(HEADLINE)]
    for head, (metric, _, _) in zip(heads, HEADLINE, strict=True):
        assert head.attributes["title"] == f"formula of {metric}"
        assert head.attributes["data-best"] == ("low" if metric in LOWER else "high")


def test_every_cell_of_the_first_table_has_its_own_mean_and_interval(page: Element) -> None:
    found = rows(table_of(page, "Means over all tasks"))
    assert [row[0].text for row in found] == ENTRANTS
    for row in found:
        assert len(row) == 1 + len(HEADLINE) + 2
        for cell, column in zip(row[1:-2], HEADLINE, strict=True):
            m = figures(*column)[row[0].text]
            assert cell.own == ("0" if m["mean"] == 0 else f"{m['mean']:.3f}")
            assert cell.small == f"{m['low']:.3f} to {m['high']:.3f}"
            assert float(cell.attributes["data-value"]) == m["mean"]


def test_some_cells_of_the_first_table_to_the_letter(page: Element) -> None:
    """Reach of beta is 0.4551 by the made run, its interval 0.31 lower to 0.57 higher."""
    beta = rows(table_of(page, "Means over all tasks"))[1]
    assert (beta[1].own, beta[1].small) == ("0.455", "0.145 to 1.025")
    assert [cell.text for cell in beta[-2:]] == ["21.3", "2.23 / 0.22"]
    assert [c.attributes["data-value"] for c in beta[-2:]] == ["21.259999999999998", "0.2234"]


def test_costs_stand_beside_their_editor(page: Element) -> None:
    found = {
        row[0].text: [c.text for c in row[-2:]]
        for row in rows(table_of(page, "Means over all tasks"))
    }
    assert found == {
        "alpha": ["11.3", "1.23 / 0.12"],
        "beta": ["21.3", "2.23 / 0.22"],
        "gamma": ["31.3", "3.23 / 0.32"],
        "still": ["41.3", "4.23 / 0.42"],
        "stray": ["51.3", "5.23 / 0.52"],
    }


def test_the_yellow_cells_are_those_of_editors_better_than_every_other(page: Element) -> None:
    """Controls beat everybody in the made run, and at the other effect gamma does."""
    found = {
        (row[0].text, column[:2])
        for row in rows(table_of(page, "Means over all tasks"))
        for cell, column in zip(row[1:], HEADLINE, strict=False)
        if "best" in cell.classes
    }
    assert found == {
        ("alpha", ("reach", "")),
        ("alpha", ("identity similarity", "rec-zeta")),
        ("beta", ("identity similarity", "rec-eta")),
        ("gamma", ("attribute leakage", "")),
        ("beta", ("target error", "")),
    }


def test_controls_are_grey_and_a_line_parts_them_from_editors(page: Element) -> None:
    classes = {
        row.attributes["data-name"]: row.classes
        for row in table_of(page, "Means over all tasks").one("tbody").all("tr")
    }
    assert classes == {
        "alpha": [],
        "beta": [],
        "gamma": [],
        "still": ["control", "first-control"],
        "stray": ["control"],
    }


def test_there_and_back_has_its_own_metrics_to_two_digits(page: Element) -> None:
    table = table_of(page, "There and back")
    columns = [
        ("round-trip error", ""),
        ("round-trip error in pixels", ""),
        *(("round-trip error in identity", name) for name in SORTED),
        ("edit consistency", ""),
        ("drift", "1 edit"),
        ("drift", "2 edits"),
    ]
    assert headings(table) == ["editor", *(f"{name} ↓ {of}".strip() for name, of in columns)]
    for row in rows(table):
        assert len(row) == 1 + len(columns)
        for cell, (metric, of) in zip(row[1:], columns, strict=True):
            m = figures(metric, of, 0.0)[row[0].text]
            assert cell.own == f"{m['mean']:.2g}"
            assert cell.small == f"{m['low']:.2g} to {m['high']:.2g}"
            assert float(cell.attributes["data-value"]) == m["mean"]


def test_the_findings_are_these_sentences(page: Element) -> None:
    """Who is ahead, by how much, by which recogniser; controls only in reach."""
    assert [item.text for item in page.one("ul", class_="findings").all("li")] == [
        "alpha is ahead of beta in reach: +0.209 (+0.099 to +0.439), 107 faces, one fit.",
        "alpha is ahead of beta in identity similarity (by rec-zeta): +0.220 (+0.110 to +0.450), "
        "115 faces, one fit.",
        "alpha is behind beta in identity similarity (by rec-eta): -0.230 (-0.460 to -0.120), 123 "
        "faces, one fit.",
        "alpha is behind beta in attribute leakage: +0.261 (+0.151 to +0.491), 147 faces, one fit.",
        "alpha and beta cannot be told apart in true leakage: -0.272 (-0.502 to +0.410), 155 "
        "faces, one fit.",
        "alpha is behind beta in target error: +0.287 (+0.177 to +0.517), 167 faces, one fit.",
        "alpha is ahead of gamma in reach: +0.329 (+0.219 to +0.559), 199 faces, one fit.",
        "alpha is ahead of gamma in identity similarity (by rec-zeta): +0.339 (+0.229 to +0.569), "
        "207 faces, one fit.",
        "alpha and gamma cannot be told apart in identity similarity (by rec-eta): +0.350 (-0.410 "
        "to +0.580), 215 faces, one fit.",
        "alpha is behind gamma in attribute leakage: +0.381 (+0.271 to +0.611), 239 faces, one "
        "fit.",
        "alpha is ahead of gamma in true leakage: -0.391 (-0.621 to -0.281), 247 faces, one fit.",
        "alpha is ahead of gamma in target error: -0.407 (-0.637 to -0.297), 259 faces, one fit.",
        "“Ahead” and “behind” are about these fits alone: “better” takes 5 fits of both editors.",
        "Share of 24 faces that reach 80% of the requested change: alpha 91%, beta 46%, gamma 6%, "
        "still 0%, stray 33%.",
    ]


def matrices(page: Element) -> dict[str, Element]:
    blocks = [d for d in section(page, "Leakage").all("div") if d.all("h3") and d.all("table")]
    return {block.one("h3").text: block.one("table") for block in blocks if not block.classes}


def test_every_cell_of_the_leakage_matrices_has_its_own_value(page: Element) -> None:
    found = matrices(page)
    assert list(found) == [f"{name}, {by}" for name in ENTRANTS for by in ("by the judge", "true")]
    for row in leakage():
        by = {"judged": "by the judge", "truth": "true"}[row["by"]]
        table = found[f"{row['editor']}, {by}"]
        assert headings(table) == ["edited", "age", "glasses", "yaw"]
        assert [cells[0].text for cells in rows(table)] == list(TASKS)
        cells = rows(table)[TASKS.index(row["task"])][1:]
        assert [cell.text for cell in cells] == [f"{value:.2f}" for value in row["change"]]


def test_a_leak_is_grey_where_it_lies_below_the_error_of_the_judge_for_its_attribute(
    page: Element,
) -> None:
    found, grey = matrices(page), 0
    for row in leakage():
        by = {"judged": "by the judge", "truth": "true"}[row["by"]]
        cells = rows(found[f"{row['editor']}, {by}"])[TASKS.index(row["task"])][1:]
        below = [
            row["by"] == "judged" and value < mae
            for value, mae in zip(row["change"], MAE_SIGMA.values(), strict=True)
        ]
        assert ["noise" in cell.classes for cell in cells] == below
        assert ["own" in cell.classes for cell in cells] == [
            name == row["edited"] for name in SCHEMA.names
        ]
        grey += sum(below)
    assert grey == 22


def test_a_leak_is_the_redder_the_larger_up_to_one_and_a_half(page: Element) -> None:
    found = matrices(page)
    for row in leakage():
        by = {"judged": "by the judge", "truth": "true"}[row["by"]]
        cells = rows(found[f"{row['editor']}, {by}"])[TASKS.index(row["task"])][1:]
        for cell, value in zip(cells, row["change"], strict=True):
            opacity = float(cell.attributes["style"].split("/")[1].rstrip(")"))
            assert opacity == pytest.approx(min(0.75, value / 2), abs=0.0051)
    assert [LeakageCell(x, own=False, noise=False).shade for x in (0.75, 1.5, 4)] == [0.5, 1, 1]


def test_a_world_without_truth_says_that_the_judges_errors_are_unknown(richer: Element) -> None:
    part = section(richer, "Accuracy of judge and recognisers")
    assert part.all("p")[0].text.startswith("This generator does not know the truth")
    assert headings(part.all("table")[0])[0] == "recogniser"
    assert not [c for m in matrices(richer).values() for c in m.all("td") if "noise" in c.classes]


def test_where_there_is_no_interval_the_count_of_faces_stands(richer: Element) -> None:
    """All of beta's, and nobody else's; gamma's missing figure is a dash without a value."""
    found = {row[0].text: row[1:-2] for row in rows(table_of(richer, "Means over all tasks"))}
    assert {cell.small for cell in found["beta"]} == {"of 3 faces"}
    assert not [c for c in (*found["alpha"], *found["stray"]) if " to " not in c.small]
    (dash,) = [c for c in found["gamma"] if c.text == "–"]
    assert found["gamma"].index(dash) == [metric for metric, _, _ in HEADLINE].index("target error")
    assert "data-value" not in dash.attributes


def test_recognisers_are_told_apart_in_the_made_run() -> None:
    """What these tests rest on: no two figures of one table are equal to three digits."""
    shown = [f"{m['mean']:.3f}" for column in HEADLINE for m in figures(*column).values()]
    assert len(set(shown)) == len(shown) == len(HEADLINE) * len(ENTRANTS)
    assert by_recogniser("x") == ["x · rec-zeta", "x · rec-eta"]
