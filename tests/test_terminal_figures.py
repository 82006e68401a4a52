"""The tables that commands print have each number in its own place."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from flat_results import flat, read_flat, typed
from made_cells import edit_arrays, fit_attributes
from made_runs import measures, write_run
from made_world import CONTROLS, EDITORS, FACES, SCHEMA, TASKS, N

from latentedit.benchmark.cells.store import Cell, CellStore, Outcome
from latentedit.cli.main import cli
from latentedit.cli.results import print_results

COLUMNS = [
    ("reach", 0.8),
    ("identity similarity · rec-eta", 0.8),
    ("identity similarity · rec-zeta", 0.8),
    ("attribute leakage", 0.8),
    ("true leakage", 0.8),
    ("target error", 0.0),
]

MARKS = {"beta": "▽△▽△?△", "gamma": "▽?▽△▽▽"}
"""Of the columns: the verdict against alpha, which is the other one than the made run's, where the
first editor is alpha."""
OFTEN = {"confidence": 0.9, "error_rate": 0.5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a failed cell and one that is missing."""
    folder = write_run(tmp_path_factory.mktemp("made") / "first")
    store, error = CellStore(folder), "Traceback\n  line\nValueError: no [turn] today"
    failed = Cell("edit", {}, "beta", 0, "turn")
    store.commit(failed, Outcome("failed", 3.249, error))
    for file in (folder / "cells" / "edit--gamma--seed0--age").iterdir():
        file.unlink()
    return folder


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "second"
    return write_run(folder, 1, controls=["still"], statistics=OFTEN)


@pytest.fixture
def made(folder: Path) -> dict[str, Any]:
    results: dict[str, Any] = read_flat(folder)
    return results


def printed(*arguments: str) -> list[str]:
    found = CliRunner().invoke(cli, arguments)
    assert found.exit_code == 0, found.output
    return [line.rstrip() for line in found.stdout.splitlines()]


def cells_of(line: str) -> list[str]:
    """The cells of a line of a table; two spaces part them."""
    return re.split(r"\s{2,}", line.strip())


def over_all_tasks(metric: str, effect: float) -> dict[str, dict[str, Any]]:
    return {
        m["editor"]: m
        for m in measures()
        if (m["metric"], m["task"], m["effect"]) == (metric, "all tasks", effect)
    }


def test_the_table_of_a_run_has_every_mean_and_interval_in_its_column(
    made: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    print_results(typed(made))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "at 80% of the requested change, 24 faces, 90% intervals"
    assert cells_of(lines[1]) == [
        "reach ↑",
        "similarity ↑",
        "similarity ↑",
        "leakage ↓",
        "true leakage ↓",
        "error ↓",
    ]
    assert cells_of(lines[2]) == ["editor", "eta", "zeta"]
    first = lines[1].index("similarity")
    assert lines[2].index("eta") == first
    assert lines[2].index("zeta") == lines[1].index("similarity", first + 1)
    assert [cells_of(line)[0] for line in lines[3:-1]] == [*EDITORS, *CONTROLS]
    assert lines[-1].startswith("▲ better, ▼ worse than alpha; △ ahead, ▽ behind: so in fewer")
    for line in lines[3:-1]:
        name, *cells = cells_of(line)
        expected = [over_all_tasks(*column)[name] for column in COLUMNS]
        assert cells == [
            f"{m['mean']:.2f} {m['low']:.2f}…{m['high']:.2f} {mark}".rstrip()
            for m, mark in zip(expected, MARKS.get(name, "      "), strict=True)
        ]


def test_some_cells_of_the_table_of_a_run_to_the_letter(
    made: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    print_results(typed(made))
    gamma = capsys.readouterr().out.splitlines()[5]
    assert gamma.startswith("gamma   0.06 -0.25…0.63 ▽  ")


def test_few_faces_and_missing_figures_are_said_in_the_table(
    made: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    changed = [
        m | {"low": None, "high": None, "faces": 4} if m["editor"] == "beta" else m
        for m in made["measures"]
        if (m["editor"], m["metric"]) != ("stray", "true leakage")
    ]
    print_results(typed(made | {"measures": changed}))
    lines = {line.split()[0]: cells_of(line) for line in capsys.readouterr().out.splitlines()[3:]}
    assert all(cell.rstrip("▲▼△▽=? ").endswith(" of 4 faces") for cell in lines["beta"][1:])
    assert not [cell for cell in lines["alpha"] if "of 4" in cell]
    assert lines["stray"].index("–") == 5
    assert len(lines["stray"]) == 7


def test_tuning_is_printed_with_the_chosen_score_and_the_others(
    made: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    made["suite"]["bank"]["n_fit"] = 100
    made["suite"]["tune"] = {"trials": 2, "faces": 17}
    made["tuning"] = [
        {"editor": "alpha", "seed": 5, "chosen": "b=1", "scores": {"a": 0.12345, "b=1": 0.23456}},
        {"editor": "beta", "seed": 5, "chosen": "a", "scores": {"a": -0.5, "b": -0.6, "c": -1}},
    ]
    print_results(typed(made))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[-3:] == [
        "tuned on 17 validation faces, 2 trials each unless said otherwise; score: identity "
        "similarity − attribute leakage, −1 where not reached",
        "  alpha: b=1 at 0.235 over a 0.123",
        "  beta: a at -0.500 over b -0.600, c -1.000, 3 trials",
    ]
    made["suite"]["seeds"] = [5, 6]
    print_results(typed(made))
    assert "  alpha seed 5: b=1 at 0.235 over a 0.123" in capsys.readouterr().out


def test_the_status_of_every_cell_has_its_seconds_and_the_last_line_of_its_error(
    folder: Path,
) -> None:
    lines = printed("bench", "status", str(folder))
    assert cells_of(lines[0]) == ["cell", "status", "seconds", "error"]
    *cells, counted, step = lines[1:]
    assert "1 failed" in counted
    assert step.startswith("next: latentedit bench run ")
    found = {cells_of(line)[0]: cells_of(line)[1:] for line in cells}
    order = ["faces"]
    for name in (*EDITORS, *CONTROLS):
        order += [f"fit--{name}--seed0", *(f"edit--{name}--seed0--{task}" for task in TASKS)]
        order += [f"sequence--{name}--seed0--both"]
    assert list(found) == order
    assert found["faces"] == ["ok", "1.0"]
    assert found["edit--alpha--seed0--glasses"] == ["ok", "3.3"]
    assert found["edit--beta--seed0--turn"] == ["failed", "3.2", "ValueError: no [turn] today"]
    assert found["edit--gamma--seed0--age"] == ["missing", "0.0"]


@pytest.mark.parametrize("command", ["status", "list"])
def test_runs_are_shown_without_torch_numpy_or_scipy(second: Path, command: str) -> None:
    program = [sys.executable, "-X", "importtime", "-m", "latentedit"]
    found = subprocess.run(
        [*program, "bench", command, str(second)], capture_output=True, text=True, check=True
    )
    assert "alpha" in found.stdout
    imported = {line.rpartition("|")[2].strip() for line in found.stderr.splitlines()}
    assert "latentedit.benchmark.results.reading" in imported
    assert not imported & {"torch", "numpy", "scipy", "sklearn", "pandas", "safetensors"}


@pytest.mark.parametrize("file", ["suite.json", "provenance.json", "bank/bank.json", "plan.json"])
def test_the_status_of_a_run_with_a_broken_record_names_the_record(
    tmp_path: Path, file: str
) -> None:
    run = write_run(tmp_path / "run")
    (run / file).write_text('{"name": 1}')
    found = CliRunner().invoke(cli, ["bench", "status", str(run)])
    assert file in str(found.exception)


def test_the_status_of_a_run_with_changed_arrays_names_them(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    arrays = run / "cells" / "faces" / "arrays.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:-1] + b"x")
    found = CliRunner().invoke(cli, ["bench", "status", str(run)])
    assert "arrays.safetensors is not what" in str(found.exception)


def similarity(editor: str, recogniser: int, number: int, task: str) -> Any:
    """(N,) at the first effect, NaN for faces that did not reach it."""
    arrays = edit_arrays(editor, task, number)
    table = np.full(N, np.nan)
    values = arrays["matched_similarity"][0, recogniser].double().numpy()
    reached = ~arrays["matched_strength"][0].isnan().numpy()
    table[FACES[task]] = np.where(reached, values, np.nan)
    return table


def mean_difference(
    pair: tuple[str, str], numbers: tuple[int, int], recogniser: int, tasks: tuple[str, ...]
) -> float:
    table = np.stack(
        [
            similarity(pair[0], recogniser, numbers[0], task)
            - similarity(pair[1], recogniser, numbers[1], task)
            for task in tasks
        ]
    )
    faces = [column[~np.isnan(column)].mean() for column in table.T if not np.isnan(column).all()]
    return float(np.mean(faces))


HEADINGS = [
    *("first", "second", "task", "metric", "first − second", "faces", "fits", "p", "verdict")
]


def test_two_editors_of_a_run_are_compared_first_minus_second(second: Path) -> None:
    """Over all tasks and by task; every number that of the row, the mean worked out anew."""
    pair, both = ("beta", "alpha"), [str(second), str(second)]
    asked = ("bench", "compare", *both, "--editors", "beta,alpha")
    table = [cells_of(line) for line in printed(*asked, "--by-task")]
    assert table.pop(0) == HEADINGS
    rows = flat(json.loads("\n".join(printed(*asked, "--json"))))
    assert len(table) == len(rows) > 40
    for line, row in zip(table, rows, strict=True):
        bounds = f"(of {row['faces']} faces)"
        if row["low"] is not None:
            bounds = f"({row['low']:+.3f} to {row['high']:+.3f})"
        assert line == [
            *("beta", "alpha", row["task"], row["metric"]),
            f"{row['difference']:+.3f} {bounds}",
            *(str(row["faces"]), "1"),
            "–" if row["holm"] is None else f"{row['holm']:.3f}",
            row["verdict"],
        ]
    for task, tasks in (*((task, (task,)) for task in TASKS), ("all tasks", TASKS)):
        for e, name in enumerate(("rec-zeta", "rec-eta")):
            (line,) = [x for x in table if x[2:4] == [task, f"identity similarity · {name}"]][:1]
            mean = mean_difference(pair, (1, 1), e, tasks)
            assert float(line[4].split()[0]) == pytest.approx(mean, abs=0.00051)
    only = [cells_of(line) for line in printed(*asked)]
    assert only == [HEADINGS, *(line for line in table if line[2] == "all tasks")]


def test_an_editor_of_two_runs_is_compared_a_minus_b(tmp_path: Path, second: Path) -> None:
    """alpha is much more similar by rec-zeta in the first run, so the difference is above 1."""
    first = write_run(tmp_path / "first", statistics=OFTEN)
    for runs, numbers, verdict in (
        ((first, second), (0, 1), "ahead"),
        ((second, first), (1, 0), "behind"),
    ):
        lines = printed("bench", "compare", *map(str, runs))
        assert lines[0] == f"A is {runs[0]}, B is {runs[1]}"
        table = [cells_of(line) for line in lines[2:]]
        names = ["alpha", "beta", "gamma", "still"]
        assert list(dict.fromkeys(line[0] for line in table)) == [f"{n} (A)" for n in names]
        assert list(dict.fromkeys(line[1] for line in table)) == [f"{n} (B)" for n in names]
        line = next(x for x in table if x[3] == "identity similarity · rec-zeta")
        mean = mean_difference(("alpha", "alpha"), numbers, 0, TASKS)
        assert float(line[4].split()[0]) == pytest.approx(mean, abs=0.00051)
        assert (mean > 1) == (runs[0] == first)
        assert line[-1] == verdict


def test_a_bank_is_shown_with_moments_and_ends_of_every_column(folder: Path) -> None:
    lines = printed("bank", "show", str(folder / "bank"))
    assert lines[0] == f"{folder / 'bank'}: 24 images to fit on, 24 to edit"
    assert lines[2:4] == [f"generator g ({'f' * 12})", f"labeller l ({'e' * 12})"]
    values = fit_attributes().double().numpy()
    assert cells_of(lines[5]) == ["attribute", "mean", "sd", "low", "high"]
    for i, (line, name) in enumerate(zip(lines[6:], SCHEMA.names, strict=True)):
        column = values[:, i]
        moments = (column.mean(), column.std(ddof=1), column.min(), column.max())
        assert cells_of(line) == [name, *(f"{value:.3g}" for value in moments)]
    shown = json.loads("\n".join(printed("bank", "show", str(folder / "bank"), "--json")))
    assert lines[1] == f"hash {shown['hash']}"
    assert [row["attribute"] for row in shown["attributes"]] == list(SCHEMA.names)
    for i, row in enumerate(shown["attributes"]):
        column = values[:, i]
        found = [row[key] for key in ("mean", "sd", "low", "high")]
        expected = [column.mean(), column.std(ddof=1), column.min(), column.max()]
        assert found == pytest.approx(expected, rel=1e-5)
