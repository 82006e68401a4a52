"""The shipped figures of simulated error rates meet their bars."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from test_benchmarks import script

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    sys.path.append(str(ROOT / "benchmarks"))
    return script("coverage_tables")


def test_a_table_has_the_figures_of_its_file(tables: ModuleType, tmp_path: Path) -> None:
    figures = tables.read()
    assert {figure.table for figure in figures} == {"verdicts", "coverage", "bootstrap"}
    path = tmp_path / "coverage.csv"
    path.write_text(tables.written([figures[0]._replace(share=0.123), *figures[1:]]))
    changed = tables.tables(path)["verdicts"]()
    assert "12.3%" in changed
    assert changed != tables.tables()["verdicts"]()


def test_better_stands_between_equal_editors_in_at_most_5_percent_of_reports(
    tables: ModuleType,
) -> None:
    said = [figure for figure in tables.read() if figure.row.startswith("equal, better")]
    assert {figure.fits for figure in said} >= {1, 5}
    for figure in said:
        assert figure.share <= (0.05 if figure.faces >= 20 else 0), figure


def test_no_interval_is_printed_below_ten_faces(tables: ModuleType) -> None:
    intervals = [figure for figure in tables.read() if figure.table == "coverage"]
    assert min(figure.faces for figure in intervals) == 10


def test_figures_are_read_as_they_were_written(tables: ModuleType, tmp_path: Path) -> None:
    found = list(script("coverage").figures([10], [1], 3, 0))
    assert {figure.simulated for figure in found if figure.table == "verdicts"} == {3}
    path = tmp_path / "coverage.csv"
    path.write_text(tables.written(found), encoding="utf-8")
    read = tables.read(path)
    assert [figure[:5] for figure in read] == [figure[:5] for figure in found]
    assert [f.share for f in read] == pytest.approx([f.share for f in found], abs=5e-5)
