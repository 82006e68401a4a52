"""The tables of docs/statistics.md are those of the shipped figures, which meet their bars."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from test_benchmarks import script

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def coverage() -> ModuleType:
    sys.path.append(str(ROOT / "benchmarks"))
    return script("coverage")


def test_the_page_has_the_tables_of_the_shipped_figures(coverage: ModuleType) -> None:
    page = coverage.PAGE.read_text(encoding="utf-8")
    figures = coverage.read()
    assert {figure.table for figure in figures} == {"verdicts", "coverage", "bootstrap"}
    assert coverage.filled(page, figures) == page
    changed = [figures[0]._replace(share=0.123), *figures[1:]]
    assert coverage.filled(page, changed) != page


def test_better_stands_between_equal_editors_in_at_most_5_percent_of_reports(
    coverage: ModuleType,
) -> None:
    said = [figure for figure in coverage.read() if figure.row.startswith("equal, better")]
    assert {figure.fits for figure in said} >= {1, 5}
    for figure in said:
        assert figure.share <= (0.05 if figure.faces >= 20 else 0), figure


def test_no_interval_is_printed_below_ten_faces(coverage: ModuleType) -> None:
    intervals = [figure for figure in coverage.read() if figure.table == "coverage"]
    assert min(figure.faces for figure in intervals) == 10


def test_figures_are_read_as_they_were_written(coverage: ModuleType, tmp_path: Path) -> None:
    found = list(coverage.figures([10], [1], 3, 0))
    assert {figure.simulated for figure in found if figure.table == "verdicts"} == {3}
    path = tmp_path / "coverage.csv"
    path.write_text(coverage.written(found), encoding="utf-8")
    read = coverage.read(path)
    assert [figure[:5] for figure in read] == [figure[:5] for figure in found]
    assert [f.share for f in read] == pytest.approx([f.share for f in found], abs=5e-5)
