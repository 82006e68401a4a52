"""Tables of labels: what a CSV holds by mistake is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentedit import InputError
from latentedit.files.tables import csv_text
from latentedit_faces.declarations import DeclaredAttribute
from latentedit_faces.labels import read_table


def table(folder: Path, text: str) -> Path:
    (folder / "labels.csv").write_text(text, "utf-8")
    return folder / "labels.csv"


def column(values: list[object], name: str = "mood") -> str:
    rows = [f"fit,{i},{value}" for i, value in enumerate(values)]
    return "\n".join([f"split,index,{name}", *rows]) + "\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (column([3, "1e39", 1]), "line 3: mood does not fit into float32, received '1e39'"),
        (column([3, "1e400", 1]), "line 3: mood does not fit into float32"),
        (column([3, "1_0", 1]), "line 3: mood is a number or empty, received '1_0'"),
        (column([3, "nan", 1]), "line 3: mood is a number"),
        (column([3, "٤", 1]), "line 3: mood is a number"),
        (column([3, "9" * 5_000, 1]), "line 3: mood does not fit"),
        (column([2, 2, 2]), "every value of 'mood' is 2; drop the column"),
        (column([-1, 1, 1]), "coded as -1 and 1; write 0 and 1"),
        (column([-1, 20, 35]), "has -1 beside values from 20, which probably marks missing"),
        (column([-999, 20, 35]), "has -999 beside values from 20"),
        (column([-1, 0, 1]), "has -1 beside values from 0"),
        (column(list(range(20))), "'mood' numbers the rows"),
        (column(list(range(1, 31))), "'mood' numbers the rows"),
        ("split;index;age\nfit;0;1,5\n", "has semicolons between its columns"),
        ("file\tage\na.png\t1\n", "has tabs between its columns"),
        ("file|age\na.png|1\n", "has bars between its columns"),
        ("file,a\nfit-12.png,1\nfit-00012.png,2\n", "two rows for fit-12.png, once as fit-00012"),
        ("file,a\n./a.png,1\na.png,2\n", "two rows for ./a.png, once as a.png"),
        ("file,a\na.png,1\na.png,2\n", "two rows for a.png"),
        ("split,index,a\nfit,1,1\nfit,01,2\n", "two rows for fit-00001.png"),
        ("file,a\n,1\nb.png,2\n", "file is the name of a picture"),
    ],
)
def test_what_a_table_holds_by_mistake_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError, match=told.replace("|", r"\|")):
        read_table(table(tmp_path, text))


@pytest.mark.parametrize(
    "values", [[-1, 20, 35], [-1, 1, 1], list(range(20))], ids=["sentinel", "signs", "numbers"]
)
def test_what_is_declared_is_taken_as_meant(tmp_path: Path, values: list[object]) -> None:
    declared = (DeclaredAttribute(name="mood", low=-1, high=100),)
    assert read_table(table(tmp_path, column(values)), declared).values[:, 0].tolist() == values


@pytest.mark.parametrize(
    "values",
    [[0, 1, 1], [-5, 0, 7], [-1.5, -1, 3], list(range(19)), [-30, -1, 20], ["1e2", ".5", "-0.25"]],
)
def test_plain_columns_are_read(tmp_path: Path, values: list[object]) -> None:
    found = read_table(table(tmp_path, column(values))).values[:, 0].tolist()
    assert found == [float(str(value)) for value in values]


def test_a_table_is_a_regular_file() -> None:
    with pytest.raises(InputError, match="a pipe, a socket or a device"):
        read_table(Path("/dev/zero"))


@pytest.mark.parametrize("cell", ["=cmd|' /C calc'!A0", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1"])
def test_formulas_are_escaped_and_numbers_are_not(cell: str) -> None:
    text = csv_text([("name", "mean"), (cell, -1.5)])
    assert text.splitlines()[1].lstrip('"').startswith("'")
    assert text.rstrip().endswith(",-1.5")
