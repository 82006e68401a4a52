"""What a report says of judge, recognisers, metrics, bank, photographs and failed cells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from flat_results import read_flat, write_flat
from made_extras import write_richer_run
from made_runs import estimators, write_run
from page_reading import Element, headings, read_page, rows, section

from latentedit.report.page import write_report


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made run without its curves, which another file looks at."""
    folder = write_run(tmp_path_factory.mktemp("made") / "run")
    write_flat(folder, read_flat(folder) | {"curves": []})
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Element:
    return read_page(write_report(folder).read_text())


@pytest.fixture(scope="module")
def richer(tmp_path_factory: pytest.TempPathFactory) -> Element:
    """The page of a run of tuned editors on photographs, with failed cells and few faces."""
    folder = write_richer_run(tmp_path_factory.mktemp("richer") / "run")
    return read_page(write_report(folder).read_text())


@pytest.fixture(scope="module")
def made(folder: Path) -> dict[str, Any]:
    results: dict[str, Any] = read_flat(folder)
    return results


def told_under(page: Element, summary: str) -> Any:
    """The YAML under a heading that opens."""
    (found,) = [d for d in page.all("details") if [s.text for s in d.all("summary")] == [summary]]
    return yaml.safe_load("".join(map(str, found.one("pre").children)))


@pytest.mark.parametrize(
    ("summary", "file"), [("Suite", "suite.json"), ("Versions and fingerprints", "provenance.json")]
)
def test_suite_and_provenance_are_given_in_the_order_of_their_files(
    page: Element, folder: Path, summary: str, file: str
) -> None:
    found, kept = told_under(page, summary), json.loads((folder / file).read_text())
    order = [name for name in kept if name in found]
    assert len(order) > 5
    assert order != sorted(order)
    assert [name for name in found if name in kept] == order


def test_errors_of_judge_and_labeller_have_their_columns_and_units(page: Element) -> None:
    table = section(page, "Accuracy of judge and recognisers").all("table")[0]
    assert headings(table) == [
        "attribute",
        "judge R² the-judge",
        "judge mean error",
        "labeller R² l",
        "labeller mean error",
    ]
    assert [[cell.text for cell in row] for row in rows(table)] == [
        ["age", "0.900", "1.23 years", "0.956", "6.78 years"],
        ["glasses", "0.911", "2.47", "0.967", "8.02"],
        ["yaw", "0.922", "3.7 degrees", "0.978", "9.25 degrees"],
    ]
    assert estimators()["labeller"]["attributes"]["age"]["mae"] == pytest.approx(6.7845)
    told = section(page, "Accuracy of judge and recognisers").all("p")[0].text
    assert told.endswith("exact truth, on the 24 unedited faces.")


def test_each_recogniser_has_its_own_threshold_and_card(page: Element) -> None:
    table = section(page, "Accuracy of judge and recognisers").all("table")[1]
    assert [[cell.text for cell in row] for row in rows(table)] == [
        ["rec-zeta", "0.312", "0.9877", "87.7 %"],
        ["rec-eta", "0.438", "0.9123", "–"],
    ]


def test_metrics_are_listed_with_unit_direction_and_formula(page: Element) -> None:
    items = [i.text for i in section(page, "Provenance").all("details")[0].all("li")]
    assert "reach (share of images, higher is better): formula of reach" in items
    assert "attribute leakage (σ, lower is better): formula of attribute leakage" in items
    assert "pose error (degrees, lower is better): formula of pose error" in items


def test_the_bank_and_the_suite_are_those_of_the_run(page: Element, made: dict[str, Any]) -> None:
    codes = [code.text for code in section(page, "Provenance").one("p").all("code")]
    assert codes[0] == made["bank_hash"]
    assert codes[1:] == ["made.yaml", "latentedit bench run made.yaml --out again"]
    assert "not even Zoë." in section(page, "Provenance").text
    assert "error_rate: 0.1 " in section(page, "Provenance").text
    told = section(page, "Paired differences").all("p")[0].text
    assert "of two equal editors is at most 10 % (Holm)" in told


def test_a_whole_run_lists_no_failed_cells_and_no_photographs(page: Element) -> None:
    assert not [h for h in page.all("h2") if h.text == "Cells without a result"]
    assert not page.all("a", href="#failures")
    assert "photographs" not in section(page, "Means over all tasks").text
    assert not [h for h in page.all("h2") if h.text == "Tuning"]


def test_failed_cells_are_listed_with_status_and_error(richer: Element) -> None:
    part = section(richer, "Cells without a result")
    found = [
        (item.one("code").text, item.own, item.one("pre").text) for item in part.one("ul").all("li")
    ]
    assert found == [
        ("edit--beta--seed0--turn", "failed", "Traceback <no> turn"),
        ("fit--gamma--seed0", "timeout", "after 7 s"),
    ]


def test_photographs_are_told_of_with_levels_similarity_and_share(richer: Element) -> None:
    told = section(richer, "Means over all tasks").all("p")[1].text
    assert told.startswith(
        "The faces are 24 photographs. Before any edit their reconstructions, by the generator "
        "tuned to them, differ from them by 12.3 of 255 levels; by rec-zeta their similarity to "
        "them is 0.813, and 76 % count as the same person; by rec-eta their similarity to them is "
        "0.625, and 34 % count as the same person."
    )


def test_tuning_shows_every_trial_and_marks_the_chosen_one(richer: Element) -> None:
    part = section(richer, "Tuning")
    told = part.all("p")[0].text
    assert "chosen on 17 validation faces" in told
    assert "4 trials each" in told
    assert "as the labeller sees it at 80 % of the change" in told
    assert [[cell.text for cell in row] for row in rows(part.all("table")[0])] == [
        ["alpha", "5", "defaults", "0.123", "5.5"],
        ["", "", "steps=9 ← chosen", "0.235", ""],
        ["beta", "6", "defaults ← chosen", "-0.346", "6.5"],
        ["", "", "width=2", "-1.000", ""],
    ]
