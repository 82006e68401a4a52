"""An export has every number of its run, figures of column width, and the methods' references."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
import yaml
from made_cells import edit_arrays
from made_runs import comparisons, measures, write_run
from made_world import CONTROLS, EDITORS, FACES, RECOGNISERS, TASKS, N
from test_report_drawings import leak

from latentedit import InputError, PluginSpec, Registry, hookimpl
from latentedit.report.export import COLUMN, KINDS, export

ENTRANTS = [*EDITORS, *CONTROLS]
BIBTEX = "@article{{{0}2021, title = {{On {0}}} }}"


class _Cited:
    """Editors alpha and beta of one paper, gamma of none; a generator of another."""

    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [
            *(
                PluginSpec("editor", name, "toy:Nothing", "for tests", citation=cited)
                for name, cited in (
                    ("alpha", BIBTEX.format("alpha")),
                    ("beta", BIBTEX.format("alpha")),
                    ("gamma", ""),
                    ("unused", BIBTEX.format("unused")),
                )
            ),
            PluginSpec("generator", "g", "toy:Nothing", "", citation=BIBTEX.format("g")),
        ]


@pytest.fixture(scope="module")
def registry() -> Registry:
    found = Registry()
    found.add(_Cited(), "cited")
    return found


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Path:
    folder = tmp_path_factory.mktemp("made")
    export(write_run(folder / "run"), folder / "out", KINDS, registry)
    return folder / "out"


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))


def test_figures_have_the_width_of_a_column_and_a_line_an_editor(out: Path) -> None:
    names = {f"identity-similarity-{name}" for name in RECOGNISERS} | {"attribute-leakage"}
    for kind in ("pdf", "svg"):
        assert {path.stem for path in out.glob(f"*.{kind}")} == names
    for name in names:
        (width,) = re.findall(rb"/MediaBox \[ 0 0 ([\d.]+)", (out / f"{name}.pdf").read_bytes())
        assert float(width) == pytest.approx(72 * COLUMN, abs=0.5)
        svg = (out / f"{name}.svg").read_text()
        assert all(f">{editor}<" in svg for editor in EDITORS)
        assert not any(f">{control}<" in svg for control in CONTROLS)


def test_the_table_has_means_intervals_and_marks(out: Path) -> None:
    text = (out / "table.tex").read_text("utf-8")
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    lines = [line for line in text.splitlines() if " & " in line and "Editor" not in line]
    assert sorted(line.split(" & ")[0] for line in lines) == sorted(EDITORS)
    signs = {"ahead": "(-)", "behind": "(+)", "undecided": "?"}
    for line in lines:
        name, *cells = line.removesuffix(r" \\").split(" & ")
        reach = cells[4]
        (m,) = [
            m
            for m in measures()
            if (m["editor"], m["metric"], m["effect"]) == (name, "reach", 0.8)
            and m["task"] == "all tasks"
        ]
        sign = ""
        if name != "alpha":
            (row,) = [
                row
                for row in comparisons()
                if (row["first"], row["second"], row["metric"]) == ("alpha", name, "reach")
                and (row["task"], row["effect"]) == ("all tasks", 0.8)
            ]
            sign = f"$^{{{signs[row['verdict']]}}}$"
        bounds = rf"{{\scriptsize [{m['low']:.3f}, {m['high']:.3f}]}}"
        assert reach == f"{m['mean']:.3f}{sign} {bounds}"


def test_every_edited_face_has_its_row(out: Path) -> None:
    found = table(out / "images.csv")
    assert len(found) == len(ENTRANTS) * sum(len(FACES[task]) for task in TASKS)
    for row in found[::7]:
        task, i = row["task"], FACES[row["task"]].index(int(row["image"]))
        arrays = edit_arrays(row["entrant"], task)
        identity = float(arrays["matched_similarity"][0, 0, i])
        assert float(row["identity"]) == pytest.approx(identity)
        assert float(row["leakage"]) == pytest.approx(leak(task, arrays, i), rel=1e-4)
        assert float(row["achieved"]) == pytest.approx(float(arrays["matched_effect"][0, i]))
        assert row["reached"] == str(not bool(arrays["matched_strength"][0, i].isnan()))


def test_the_frame_has_a_row_for_every_metric_of_every_face(out: Path) -> None:
    found = table(out / "frame.csv")
    ages = [
        row
        for row in found
        if (row["entrant"], row["task"], row["metric"]) == ("beta", "age", "identity similarity")
        and (row["recogniser"], row["effect"]) == ("rec-eta", "0.8")
    ]
    assert [int(row["image"]) for row in ages] == FACES["age"]
    assert len(ages) == N
    assert {"reach", "target error", "attribute leakage"} <= {row["metric"] for row in found}


def test_references_are_those_of_the_methods_of_the_run_each_once(out: Path) -> None:
    text = (out / "references.bib").read_text("utf-8")
    assert re.findall(r"@article{(\w+),", text) == ["g2021", "alpha2021"]
    citation = yaml.safe_load((out / "CITATION.cff").read_text("utf-8"))
    assert citation["title"] == "latentedit: made"
    assert citation["cff-version"] == "1.2.0"


def test_an_export_of_nothing_is_refused(tmp_path: Path, registry: Registry) -> None:
    with pytest.raises(InputError, match="--pdf, --svg, --latex, --csv, --frame"):
        export(tmp_path, tmp_path / "out", [], registry)


def test_a_citation_that_is_no_bibtex_is_refused() -> None:
    class Wrong:
        @hookimpl
        def latentedit_plugins(self) -> list[PluginSpec]:
            return [PluginSpec("editor", "x", "toy:Nothing", "s", citation="see the paper")]

    found = Registry()
    found.add(Wrong(), "wrong")
    (origin,) = [origin for origin in found.origins if origin.name == "wrong"]
    assert origin.status == "broken"
    assert "write a BibTeX entry" in origin.detail


def test_the_bundled_methods_that_were_published_are_cited() -> None:
    registry = Registry.discover({})
    for name in ("styleflow", "interfacegan", "ganspace", "sefa", "stylespace"):
        ((_, spec),) = registry.specs("editor")[name]
        assert spec.citation.startswith("@")
        assert spec.citation.count("{") == spec.citation.count("}")
