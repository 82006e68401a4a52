"""The shipped figures of simulated error rates meet their bars."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from test_benchmarks import script

from latentedit.benchmark.results.means import measures
from latentedit.benchmark.results.paired import Family, comparisons

ROOT = Path(__file__).parents[1]
TASKS = ["yaw", "glasses", "age", "beard"]


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


def test_intervals_cover_the_truth_in_93_to_97_percent_of_cases(tables: ModuleType) -> None:
    """Above it are differences over five fits of ten faces: the page says why."""
    for figure in tables.read():
        if figure.table == "coverage":
            most = 0.98 if (figure.fits, figure.faces) == (5, 10) else 0.97
            assert figure.simulated >= 2000, figure
            assert figure.error <= 0.006, figure
            assert 0.93 - 2 * figure.error <= figure.share <= most + 2 * figure.error, figure


def test_the_error_of_a_share_is_over_reports() -> None:
    """The two intervals of a report that are equal count as one."""
    coverage = script("coverage")
    once = [[True], [False], [True], [True]]
    twice = [[*held, *held] for held in once]
    share, count, error = coverage.share(once)
    assert (share, count) == (0.75, 4)
    assert error == pytest.approx((0.75 * 0.25 / 4) ** 0.5)
    assert coverage.share(twice) == (0.75, 8, pytest.approx(error))
    assert coverage.share([*once, []]) == (share, count, error)


@pytest.mark.parametrize("fits", [2, 5])
def test_intervals_of_many_reports_are_those_of_each(fits: int) -> None:
    """By the functions that make a run's means and comparisons."""
    coverage, count, n = script("coverage"), 8, 12
    refit = fits >= 5
    rng = np.random.default_rng(0)
    scores, by_seed = coverage.reports(n, fits, rng, refit, coverage.COMPARED, count)
    true = coverage.truth(fits, refit, coverage.PAIRS)
    found = coverage.intervals_hold(scores, by_seed if refit else {}, true, count)
    for i in range(count):
        own = slice(i * n, (i + 1) * n)
        of_report = {key: table[:, own] for key, table in scores.items()}
        seeds = {key: [table[:, own] for table in tables] for key, tables in by_seed.items()}
        plan = coverage.PLAN
        means = [m for m in measures(of_report, seeds, TASKS, plan) if m.editor == "equal"]
        pairs = list(coverage.PAIRS)
        family = Family(frozenset(), 0.8)
        gaps = comparisons(of_report, pairs, TASKS, plan, family, seeds)
        held = [(m.low, m.high, m.metric, m.task, m.editor, "") for m in means]
        names = ("equal editors, ", "different editors, ")
        for gap in gaps:
            name = names[pairs.index(gap.pair)]
            held.append((gap.low, gap.high, gap.metric, gap.task, " − ".join(gap.pair), name))
        wanted: dict[tuple[str, str, str], list[bool]] = {}
        for low, high, metric, task, of, name in held:
            if low is not None:
                row = name + ("all tasks" if task == "all tasks" else "one task")
                inside = low <= true[of, metric, task] <= high
                wanted.setdefault(("coverage", str(metric), row), []).append(inside)
        assert {key: reports[i] for key, reports in found.items() if reports[i]} == wanted


def test_new_figures_replace_those_of_the_same_faces_and_fits(
    tables: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coverage, path = script("coverage"), tmp_path / "coverage.csv"
    path.write_text(tables.written(tables.read()), encoding="utf-8")
    few = ("--faces", "20", "--fits", "1", "--runs", "2", "--intervals", "1", "--csv", str(path))
    monkeypatch.setattr(sys, "argv", ["coverage.py", *few])
    coverage.main()
    old, new = tables.read(), tables.read(path)
    kept = [figure for figure in old if (figure.fits, figure.faces) != (1, 20)]
    assert [figure for figure in new if (figure.fits, figure.faces) != (1, 20)] == kept
    own = [figure for figure in new if (figure.fits, figure.faces) == (1, 20)]
    assert {figure.simulated for figure in own if figure.table == "verdicts"} == {2}
    assert [(f.fits, f.faces) for f in new] == sorted((f.fits, f.faces) for f in new)


def test_no_interval_is_printed_below_ten_faces(tables: ModuleType) -> None:
    intervals = [figure for figure in tables.read() if figure.table == "coverage"]
    assert min(figure.faces for figure in intervals) == 10


def test_figures_are_read_as_they_were_written(tables: ModuleType, tmp_path: Path) -> None:
    found = script("coverage").figures(10, 1, 3, 5, 0)
    assert {figure.simulated for figure in found if figure.table == "verdicts"} == {3}
    assert min(figure.simulated for figure in found if figure.table == "coverage") >= 5
    path = tmp_path / "coverage.csv"
    path.write_text(tables.written(found), encoding="utf-8")
    read = tables.read(path)
    assert [figure[:5] for figure in read] == [figure[:5] for figure in found]
    assert [f.share for f in read] == pytest.approx([f.share for f in found], abs=5e-5)
