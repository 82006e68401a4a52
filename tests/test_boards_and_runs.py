"""Runs side by side: whose rows stand where, of which effect, and which runs may not meet."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import harness_plugins
import numpy as np
import pytest
from harness_plugins import Silent

from latentedit.benchmark.folder import RunFolder
from latentedit.benchmark.results.board import Board, boards, boards_csv, headline
from latentedit.benchmark.results.compare import compare_runs
from latentedit.benchmark.results.keys import ALL_TASKS
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.summary import summarise
from latentedit.benchmark.run import run_suite
from latentedit.benchmark.suite import Suite
from latentedit.data.bank import LatentBank
from latentedit.errors import FingerprintMismatch, InputError, UnknownName
from latentedit.measures.headline import HEADLINES
from latentedit.sampling.make import make_bank

EYES = [
    {"plugin": "eye", "name": "first"},
    {"plugin": "eye", "name": "last", "options": {"first": 4}},
]
AGE, YAW = {"attribute": "age", "change": 10}, {"attribute": "yaw", "change": 12}
SUITE: dict[str, Any] = {
    "name": "boards",
    "bank": {"generator": {"plugin": "toy"}, "labeller": "labeller", "n_fit": 30, "n_test": 8},
    "judge": "judge",
    "identity": EYES,
    "controls": ["no-edit"],
    "tasks": [AGE, YAW],
    "strengths": [0.5, 1.0, 2.0],
    "effects": [0.8, 0.4],
    "show_images": 0,
}


def pushing(**leaks: float) -> dict[str, Any]:
    """Editors by name, each with its leak."""
    return {
        name: {"plugin": "push", "options": {"leak": leak, "person": 0.2}}
        for name, leak in leaks.items()
    }


RUNS: dict[str, dict[str, Any]] = {
    "one": {"editors": pushing(small=0.1, shared=0.2)},
    "two": {"editors": pushing(shared=0.6, large=0.9)},
    "other-bank": {"editors": pushing(small=0.1), "bank": SUITE["bank"] | {"seed": 1}},
    "other-judge": {
        "editors": pushing(small=0.1),
        "judge": {"plugin": "judge", "options": {"tired": True}},
    },
    "other-recogniser": {"editors": pushing(small=0.1), "identity": EYES[:1]},
    "other-effect": {"editors": pushing(small=0.1), "effects": [0.4, 0.8]},
    "other-tasks": {"editors": pushing(small=0.3), "tasks": [YAW | {"change": 6}, AGE]},
    "swapped": {"editors": pushing(shared=0.7), "tasks": [YAW, AGE]},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("boards")
    for name, changes in RUNS.items():
        suite = Suite.model_validate(SUITE | changes)
        make_bank(
            harness_plugins.registry(),
            RunFolder.claim(folder / name).bank,
            generator="toy",
            labeller="labeller",
            n_fit=30,
            n_test=8,
            seed=suite.bank.seed,
        )
        outcome = run_suite(
            suite,
            folder / name,
            Silent(),
            registry=harness_plugins.registry,
            executor="here",
        )
        assert not outcome.failed
        summarise(folder / name)
    return folder


@pytest.fixture(scope="module")
def board(runs: Path) -> Board:
    return Board([Run(runs / "one"), Run(runs / "two")])


def leakage(runs: Path, leak: float, task: str, effect: float = 0.8) -> float:
    labels = LatentBank.open(runs / "one" / "bank").split("fit").attributes.numpy()
    strength = effect / {"age": 0.9, "yaw": 1.25}[task]
    return float(2 * 0.15 * leak * strength / labels[:, 1].std(ddof=1) / 3)


def of(rows: Sequence[Any], **wanted: Any) -> list[Any]:
    """The rows that have these fields; a metric is given by its text."""
    return [
        row
        for row in rows
        if all(
            (str(row.metric) if name == "metric" else getattr(row, name)) == value
            for name, value in wanted.items()
        )
    ]


ENTRIES = {
    "small": ("one", "small", 0.1),
    "shared (one)": ("one", "shared", 0.2),
    "shared (two)": ("two", "shared", 0.6),
    "large": ("two", "large", 0.9),
}


def test_every_editor_has_an_entry_and_a_control_stands_once(runs: Path, board: Board) -> None:
    found = [(e.name, e.editor, e.run.folder.name, e.control) for e in board.entries]
    assert found == [
        *((name, editor, run, False) for name, (run, editor, _) in ENTRIES.items()),
        ("no-edit", "no-edit", "one", True),
    ]


@pytest.mark.parametrize("task", ["age", "yaw"])
@pytest.mark.parametrize("name", ENTRIES)
def test_a_row_of_a_board_is_that_of_its_own_run_editor_and_first_effect(
    runs: Path, board: Board, name: str, task: str
) -> None:
    run, _, leak = ENTRIES[name]
    (row,) = of(board.measures(), editor=name, metric="attribute leakage", task=task)
    assert row.mean == pytest.approx(leakage(runs, leak, task), abs=1e-3)
    assert row.effect == 0.8
    assert board.folder_of(name) == str(runs / run)


def test_a_board_holds_one_effect_and_the_figures_without_one(board: Board) -> None:
    rows = board.measures()
    effects = {(row.metric.name, row.effect) for row in rows}
    assert effects == {
        *((metric, 0.8) for metric in ("reach", "identity similarity", "identity accuracy")),
        ("identity with failures", 0.8),
        *((metric, 0.8) for metric in ("attribute leakage", "true leakage", "true identity drift")),
        ("target error", 0.0),
        ("edit–identity area", 0.0),
    }
    keys = [(row.editor, row.task, row.metric) for row in rows]
    assert len(set(keys)) == len(keys)


def test_comparisons_pair_all_entries_by_face_at_the_effect_of_the_board(
    runs: Path, board: Board
) -> None:
    rows = of(board.comparisons(), metric="attribute leakage")
    names = list(ENTRIES)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    assert list(dict.fromkeys((row.first, row.second) for row in rows)) == pairs
    for first, second in pairs:
        for task in ("age", "yaw"):
            (row,) = of(rows, first=first, second=second, task=task)
            gap = ENTRIES[first][2] - ENTRIES[second][2]
            assert row.effect == 0.8
            assert row.difference == pytest.approx(leakage(runs, gap, task), abs=1e-3)
            assert row.faces == 8
    assert of(board.comparisons(), metric="reach", first="small", second="no-edit", task="age")
    assert {row.metric.name for row in board.comparisons()} == {
        metric for metric in HEADLINES if metric != "identity similarity to the photo"
    }


def test_a_board_of_tasks_in_another_order_pairs_them_by_name(runs: Path) -> None:
    mixed = Board([Run(runs / "one"), Run(runs / "swapped")])
    for task in ("age", "yaw"):
        (row,) = of(
            mixed.comparisons(),
            metric="attribute leakage",
            first="small",
            second="shared (swapped)",
            task=task,
        )
        assert row.difference == pytest.approx(leakage(runs, -0.6, task), abs=1e-3)


def test_curves_are_those_of_the_entries(runs: Path, board: Board) -> None:
    rows = of(board.curves(), metric="attribute leakage", task="age")
    assert [row.editor for row in rows] == [*ENTRIES, "no-edit"]
    for row in rows[:4]:
        at = row.effect.index(pytest.approx(0.8))
        wanted = leakage(runs, ENTRIES[row.editor][2], "age")
        assert row.mean[at] == pytest.approx(wanted, abs=1e-3)


def test_the_headline_has_no_metric_of_single_tasks_alone(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = "target error"
    rows = [m for m in board.measures() if m.metric.name != lost or m.task != ALL_TASKS]
    expected = [key for key in headline(board) if key.name != lost]
    assert expected != headline(board)
    monkeypatch.setattr(Board, "measures", lambda _: rows)
    assert headline(board) == expected


def test_the_headline_is_in_the_order_of_the_protocol(board: Board) -> None:
    assert list(map(str, headline(board))) == [
        "reach",
        "identity similarity · first",
        "identity similarity · last",
        "identity with failures · first",
        "identity with failures · last",
        "identity accuracy · first",
        "identity accuracy · last",
        "attribute leakage",
        "true leakage",
        "true identity drift",
        "target error",
        "edit–identity area · first",
        "edit–identity area · last",
    ]
    assert len(HEADLINES) == 10


def test_a_board_says_what_it_compares(runs: Path, board: Board) -> None:
    found = board.as_json()
    assert found["bank_hash"] == LatentBank.open(runs / "one" / "bank").hash
    assert (found["faces"], found["tasks"], found["effect"]) == (8, ["age", "yaw"], 0.8)
    assert (found["judge"], found["recognisers"]) == ("judge", ["first", "last"])
    assert found["runs"] == [str(runs / "one"), str(runs / "two")]
    assert [(e["name"], e["editor"], e["control"]) for e in found["entries"]][:2] == [
        ("small", "small", False),
        ("shared (one)", "shared", False),
    ]
    assert found["measures"] == [
        asdict(row) | {"run": board.folder_of(row.editor)} for row in board.measures()
    ]
    assert found["comparisons"] == [asdict(row) for row in board.comparisons()]


def test_runs_stand_together_only_where_all_is_the_same_and_most_editors_come_first(
    runs: Path,
) -> None:
    found, refused = boards([runs])
    names = [sorted(run.folder.name for run in board.runs) for board in found]
    assert names[0] == ["one", "two"]
    assert sorted(names[1:]) == [[name] for name in sorted(RUNS) if name not in ("one", "two")]
    assert [len(board.entries) for board in found] == [5] + [2] * 6
    hashes = [board.bank_hash for board in found[1:]]
    assert hashes == sorted(hashes)
    assert refused == {}


def test_a_run_is_shown_once_however_it_is_named(runs: Path) -> None:
    found, _ = boards([runs / "one", runs / "two" / ".." / "one", runs / "one"])
    assert [[run.folder for run in board.runs] for board in found] == [[runs / "one"]]


def test_runs_of_one_folder_name_are_told_apart_by_their_parents(
    runs: Path, tmp_path: Path
) -> None:
    for parent in ("a", "b"):
        shutil.copytree(runs / "one", tmp_path / parent / "run")
    twins = Board([Run(tmp_path / parent / "run") for parent in ("a", "b")])
    assert [entry.name for entry in twins.entries] == [
        "small (a/run)",
        "shared (a/run)",
        "small (b/run)",
        "shared (b/run)",
        "no-edit",
    ]


def test_what_cannot_be_shown_is_named_with_its_reason(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "one", tmp_path / "good")
    shutil.copytree(runs / "one", tmp_path / "early")
    shutil.copytree(runs / "one", tmp_path / "broken")
    (tmp_path / "early" / "results.json").unlink()
    shutil.rmtree(tmp_path / "broken" / "bank")
    found, refused = boards([tmp_path])
    assert [[run.folder.name for run in board.runs] for board in found] == [["good"]]
    assert {Path(folder).name for folder in refused} == {"early", "broken"}
    assert "no results yet" in refused[str(tmp_path / "early")]
    assert "is not a bank" in refused[str(tmp_path / "broken")]
    with pytest.raises(InputError, match="no results yet"):
        boards([tmp_path / "early"])


def test_the_csv_has_the_rows_of_all_boards_with_their_bank(runs: Path, board: Board) -> None:
    other = Board([Run(runs / "other-bank")])
    rows = list(csv.DictReader(io.StringIO(boards_csv([board, other]))))
    wanted = [(b.bank_hash, m) for b in (board, other) for m in b.measures()]
    assert [row["bank"] for row in rows] == [found for found, _ in wanted]
    for row, (_, measure) in zip(rows, wanted, strict=True):
        assert (row["metric"], row["recogniser"]) == (
            measure.metric.name,
            measure.metric.recogniser,
        )
        for name in ("editor", "task", "effect", "mean", "low", "high", "faces", "seeds"):
            value, column = getattr(measure, name), "images" if name == "faces" else name
            assert row[column] == ("" if value is None else str(value)), column


def test_two_runs_compare_their_common_editors_the_first_less_the_second(runs: Path) -> None:
    rows = of(compare_runs(runs / "one", runs / "two"), metric="attribute leakage", effect=0.8)
    ours, theirs = f"shared @ {runs / 'one'}", f"shared @ {runs / 'two'}"
    for task in ("age", "yaw"):
        (row,) = of(rows, first=ours, second=theirs, task=task)
        assert row.difference == pytest.approx(leakage(runs, -0.4, task), abs=1e-3)
    assert {(row.first.split()[0], row.second.split()[0]) for row in rows} == {("shared", "shared")}


def test_named_editors_compare_in_the_order_of_the_runs(runs: Path) -> None:
    rows = compare_runs(runs / "one", runs / "two", ("small", "large"))
    for effect in (0.8, 0.4):
        (row,) = of(rows, metric="attribute leakage", effect=effect, task="yaw")
        assert row.first == f"small @ {runs / 'one'}"
        assert row.second == f"large @ {runs / 'two'}"
        assert row.difference == pytest.approx(leakage(runs, -0.8, "yaw", effect), abs=1e-3)
    for names in (("large", "small"), ("small", "small")):
        with pytest.raises(UnknownName):
            compare_runs(runs / "one", runs / "two", names)


def test_one_run_compares_each_of_its_editors_with_each_other(runs: Path) -> None:
    rows = of(compare_runs(runs / "one", runs / "one"), metric="reach", effect=0.8, task="age")
    pairs = [tuple(name.split()[0] for name in row.pair) for row in rows]
    assert pairs == [("small", "shared"), ("small", "no-edit"), ("shared", "no-edit")]
    assert [row.difference for row in rows] == [0, 1, 1]


def test_tasks_are_paired_by_what_they_ask_and_only_shared_ones_count(runs: Path) -> None:
    rows = compare_runs(runs / "two", runs / "other-tasks", ("large", "small"))
    assert {row.task for row in rows} == {"age", ALL_TASKS}
    (row,) = of(rows, metric="attribute leakage", effect=0.8, task="age")
    assert row.difference == pytest.approx(leakage(runs, 0.6, "age"), abs=1e-3)
    rows = compare_runs(runs / "two", runs / "swapped")
    for task in ("age", "yaw"):
        (row,) = of(
            rows,
            first=f"shared @ {runs / 'two'}",
            metric="attribute leakage",
            effect=0.8,
            task=task,
        )
        assert row.difference == pytest.approx(leakage(runs, -0.1, task), abs=1e-3)


@pytest.mark.parametrize(
    ("other", "what"),
    [("other-bank", "bank"), ("other-judge", "judge"), ("other-recogniser", "recogniser")],
)
def test_runs_of_other_faces_or_other_judges_do_not_compare(
    runs: Path, other: str, what: str
) -> None:
    with pytest.raises(FingerprintMismatch, match=what):
        compare_runs(runs / "one", runs / other)
    with pytest.raises(FingerprintMismatch, match=what):
        compare_runs(runs / other, runs / "one")


def test_identity_is_read_by_each_recogniser_on_the_board(runs: Path, board: Board) -> None:
    """The first identity score alone moves, so the last four show nothing."""
    codes = LatentBank.open(runs / "one" / "bank").split("test").codes
    before = harness_plugins.scores(codes)[:, :4].numpy()
    after = before.copy()
    after[:, 0] += 0.2 * 0.8 / 0.9
    cosine = (
        (before * after).sum(1) / np.linalg.norm(before, axis=1) / np.linalg.norm(after, axis=1)
    )
    (first,) = of(
        board.measures(), editor="large", metric="identity similarity · first", task="age"
    )
    (last,) = of(board.measures(), editor="large", metric="identity similarity · last", task="age")
    assert first.mean == pytest.approx(cosine.mean(), abs=1e-4)
    assert cosine.mean() < 0.9995
    assert last.mean == pytest.approx(1, abs=1e-6)
