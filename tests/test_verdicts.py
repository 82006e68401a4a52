"""The first screen of a report names who leads, where the first editor loses, and every verdict."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flat_results import read_flat, typed, write_flat
from made_runs import comparisons, measures, write_run
from made_world import CONTROLS, EDITORS
from page_reading import Element, read_page, rows

from latentedit.benchmark.results.keys import MetricKey
from latentedit.report.names import short_names
from latentedit.report.page import write_report
from latentedit.report.verdicts import Front, Lead, endpoints, verdicts

COLUMNS = (
    *("identity similarity · rec-eta", "identity similarity · rec-zeta", "true leakage"),
    *("attribute leakage", "reach", "target error"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_run(tmp_path_factory.mktemp("made") / "run")
    write_flat(folder, read_flat(folder) | {"curves": []})
    return folder


@pytest.fixture(scope="module")
def made(folder: Path) -> dict[str, Any]:
    results: dict[str, Any] = read_flat(folder)
    return results


@pytest.fixture(scope="module")
def page(folder: Path) -> Element:
    return read_page(write_report(folder).read_text())


def test_who_leads_in_each_endpoint_is_said_first(page: Element) -> None:
    """By `BETTER` of the made run; two recognisers and two kinds of leakage disagree there."""
    told = {
        card.all("span")[0].text: [p.text for p in card.all("p")]
        for card in page.one("div", class_="leads").all("div")
        if card.all("p")
    }
    assert told == {
        "Keeps identity best": ["by rec-eta: beta", "by rec-zeta: alpha"],
        "Leaks least": [
            "by true leakage: alpha and beta (not told apart)",
            "by attribute leakage: gamma",
        ],
        "Reaches the change most often": ["alpha"],
        "Closest to what was asked": ["beta"],
    }
    assert len(page.all("div", class_="leader")) == 4


def test_where_the_first_editor_loses_and_wins_is_said_endpoint_by_endpoint(page: Element) -> None:
    lost, won = page.one("div", class_="losses"), page.one("div", class_="wins")
    assert lost.one("span").text == "Where alpha loses"
    assert [item.text for item in lost.all("li")] == [
        "identity by rec-eta to beta",
        "attribute leakage to beta and gamma",
        "target error to beta",
    ]
    assert [item.text for item in won.all("li")] == [
        "identity by rec-zeta over beta and gamma",
        "true leakage over gamma",
        "reach over beta and gamma",
        "target error over gamma",
    ]


def test_every_cell_of_the_grid_is_the_rows_editor_against_the_first(page: Element) -> None:
    table = page.one("table", class_="verdicts")
    means = {
        (m["editor"], m["metric"], m["effect"]): m["mean"]
        for m in measures()
        if m["task"] == "all tasks"
    }
    turned = {"ahead": "behind", "behind": "ahead", "undecided": "undecided"}
    found = {row[0].own: row[1:] for row in rows(table)}
    first, *others = EDITORS
    best = sorted(others, key=lambda name: -means[name, COLUMNS[0], 0.8])
    assert best != others
    assert list(found) == [first, *best, "controls"]
    for name, cells in found.items():
        if name == "controls":
            continue
        for cell, metric in zip(cells, COLUMNS, strict=True):
            effect = 0.0 if metric == "target error" else 0.8
            assert cell.all("span")[0].text == f"{means[name, metric, effect]:.2f}"
            if name == "alpha":
                assert not cell.classes
                continue
            (row,) = [
                row
                for row in comparisons()
                if (row["first"], row["second"], row["metric"]) == ("alpha", name, metric)
                and (row["task"], row["effect"]) == ("all tasks", effect)
            ]
            assert cell.classes == [turned[row["verdict"]]]
            assert cell.one("b").text.endswith(turned[row["verdict"]])
            assert cell.small == f"{-row['difference']:+.2f}".replace("-", "−")


def test_controls_are_one_row_from_their_lowest_to_their_highest_mean(page: Element) -> None:
    (band,) = [r for r in rows(page.one("table", class_="verdicts")) if r[0].own == "controls"]
    for cell, metric in zip(band[1:], COLUMNS, strict=True):
        effect = 0.0 if metric == "target error" else 0.8
        means = sorted(
            m["mean"]
            for m in measures()
            if (m["metric"], m["task"], m["effect"]) == (metric, "all tasks", effect)
            and m["editor"] in CONTROLS
        )
        low, high = ("0" if mean == 0 else f"{mean:.2f}" for mean in means)
        assert cell.text == f"{low} to {high}"


def test_an_editor_that_reaches_few_faces_is_marked(page: Element) -> None:
    heads = {row[0].own: row[0].small for row in rows(page.one("table", class_="verdicts"))}
    assert heads["alpha"] == ""
    assert heads["beta"] == "reaches it on 46 % of faces"
    assert heads["gamma"] == "reaches it on 6 % of faces"


@pytest.mark.parametrize(("gap", "shown"), [(0.009, ""), (-0.009, ""), (0.011, "−0.01")])
def test_a_difference_below_the_smallest_that_matters_is_not_shown(
    made: dict[str, Any], gap: float, shown: str
) -> None:
    """0.01 for identity similarity; the grid has the second editor less the first."""
    results = json.loads(json.dumps(made))
    for row in results["comparisons"]:
        row["difference"] = gap
    grid = verdicts(typed(results))
    (beta,) = [row for row in grid.rows if row.name == "beta"]
    assert beta.cells[0].difference == shown


def test_few_faces_have_no_verdict_and_the_page_says_so(made: dict[str, Any]) -> None:
    results = json.loads(json.dumps(made))
    assert not verdicts(typed(results)).too_few
    for row in results["comparisons"]:
        row["faces"] = 19
        if row["verdict"] != "exploratory":
            row["verdict"] = "undecided"
    grid = verdicts(typed(results))
    assert grid.too_few
    assert (grid.losses, grid.wins) == ({}, {})
    assert {front.text for lead in grid.leads for front in lead.fronts} == {"undecided"}


def test_a_run_of_one_editor_has_its_means_and_no_verdict(made: dict[str, Any]) -> None:
    results = json.loads(json.dumps(made))
    results["comparisons"] = []
    results["suite"]["editors"] = {"alpha": {"plugin": "alpha"}}
    grid = verdicts(typed(results))
    assert [row.name for row in grid.rows] == ["alpha"]
    assert [str(column.key) for column in grid.columns] == list(COLUMNS)
    assert all(cell.measure and cell.against is None for cell in grid.rows[0].cells)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], "undecided"),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c", "d"], "a, b, c and d"),
        (["a", "b", "c", "d", "e"], "a, b, c and 2 more"),
    ],
)
def test_many_leading_editors_are_counted(names: list[str], text: str) -> None:
    assert Front("", names).text == text


def test_other_endpoints_come_after_the_usual_ones_by_name(made: dict[str, Any]) -> None:
    names = ("true identity drift", "identity accuracy", "reach", "edit–identity area")
    compared: Any = [SimpleNamespace(metric=MetricKey(name)) for name in names]
    found = [key.name for key in endpoints(typed(made), compared)]
    assert found == ["reach", "edit–identity area", "identity accuracy", "true identity drift"]


def test_an_endpoint_is_decided_where_any_recogniser_tells_editors_apart() -> None:
    undecided, decided = Front("one", []), Front("other", ["a"])
    assert Lead("", [undecided, decided]).decided
    assert not Lead("", [undecided, undecided]).decided


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["a-long-world-one", "a-long-world-of-two"], ["one", "of-two"]),
        (["some-long-family", "some-long-family-two"], ["family", "family-two"]),
        (["a-very-long-name", "another-long-name"], ["a-very-long-name", "another-long-name"]),
        (["only-one-long-name"], ["name"]),
        (["short-a", "short-b"], ["short-a", "short-b"]),
        (["fourteen-chars", "fourteen-other"], ["fourteen-chars", "fourteen-other"]),
        (["fifteen-charact", "fifteen-others"], ["charact", "others"]),
        ([], []),
    ],
)
def test_long_names_lose_what_all_of_them_begin_with(names: list[str], short: list[str]) -> None:

    assert list(short_names(names).values()) == short
