"""What a paper takes from a run: figures, a table, numbers and references."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from latentedit import __version__
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.records import Results
from latentedit.benchmark.results.rows import Curve, Measure
from latentedit.benchmark.results.tally import mean_known
from latentedit.benchmark.results.values import face_values
from latentedit.errors import InputError
from latentedit.files.artefacts import new_folder, write_bytes
from latentedit.files.tables import csv_text
from latentedit.registry import Registry
from latentedit.report.figures import ENOUGH, STYLE, colours
from latentedit.report.scores import edit_scores
from latentedit.report.verdicts import VerdictCell, Verdicts, verdicts

KINDS = ("pdf", "svg", "latex", "csv", "frame")
COLUMN = 3.25
"""Width of a figure in inches: one column of a page with two."""
PAPER: dict[Any, Any] = STYLE | {"font.size": 7, "pdf.fonttype": 42, "axes.linewidth": 0.6}
SIGNS = {
    **{"better": "+", "ahead": "(+)", "worse": "-", "behind": "(-)"},
    **{"equivalent": "=", "undecided": "?"},
}
"""Of verdicts, in the table."""
ARROWS = {"↑": r"$\uparrow$", "↓": r"$\downarrow$"}


def export(folder: Path, out: Path, kinds: Collection[str], registry: Registry) -> list[str]:
    """Write what `kinds` name of the run in `folder` into a new folder, with its references.

    Returns:
        The names of the files.

    Raises:
        InputError: `out` exists, or `kinds` is empty.
    """
    if not kinds:
        raise InputError("nothing to export: give one or more of --" + ", --".join(KINDS))
    run = Run(folder)
    results = run.results
    with new_folder(out) as made:
        for kind in sorted({"pdf", "svg"} & set(kinds)):
            for name, figure in _figures(results):
                write_bytes(made / f"{name}.{kind}", _drawn(figure, kind))
        if "latex" in kinds:
            write_bytes(made / "table.tex", latex_table(results).encode())
        if "csv" in kinds:
            write_bytes(made / "images.csv", csv_text(_images(run)).encode())
        if "frame" in kinds:
            write_bytes(made / "frame.csv", csv_text(_frame(run)).encode())
        write_bytes(made / "references.bib", references(run, registry).encode())
        write_bytes(made / "CITATION.cff", _citation(results).encode())
        return sorted(path.name for path in made.iterdir())


def _figures(results: Results) -> Iterator[tuple[str, Figure]]:
    """A figure a metric that has curves: means over tasks along the achieved effect."""
    palette = colours(results.suite.editors, results.controls)
    for metric in dict.fromkeys(curve.metric for curve in results.curves):
        with mpl.rc_context(PAPER):
            figure = Figure(figsize=(COLUMN, 0.72 * COLUMN), layout="constrained")
            axis = figure.subplots()
            for name in results.suite.editors:
                mine = [c for c in results.curves if (c.editor, c.metric) == (name, metric)]
                _line(axis, mine, name, palette[name])
            axis.set(xlim=(0, 1), xlabel="achieved share of the change", ylabel=metric.name)
            axis.legend(frameon=False, fontsize=6)
            yield str(metric).replace(" · ", "-").replace(" ", "-"), figure


def _line(axis: Axes, curves: Sequence[Curve], name: str, colour: str) -> None:
    """The mean over tasks where most images come so far."""
    if not curves:
        return
    mean = mean_known(np.array([curve.mean for curve in curves], dtype=float))
    reach = np.mean([np.array(curve.reach, dtype=float) for curve in curves], 0)
    shown = np.where(reach >= ENOUGH, mean, np.nan)
    axis.plot(curves[0].effect, shown, color=colour, linewidth=1.1, label=name)


def _drawn(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    dates: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with mpl.rc_context(PAPER):
        figure.savefig(buffer, format=kind, metadata=dates[kind])
    return buffer.getvalue()


def latex_table(results: Results) -> str:
    r"""The primary endpoints as a table for the package booktabs: means with intervals, and the
    verdict of each editor against the first as a superscript."""
    grid = verdicts(results)
    heads = " & ".join(
        rf"{_escaped(title)} {ARROWS[c.arrow]}" + (rf" ({_escaped(c.detail)})" if c.detail else "")
        for title, c in zip(grid.titles, grid.columns, strict=True)
    )
    lines = [
        f"% {results.suite.name}: {results.subject.counted(results.faces)}, "
        f"bank {results.bank_hash[:12]}",
        rf"\begin{{tabular}}{{l{'r' * len(grid.columns)}}}",
        r"\toprule",
        rf"Editor & {heads} \\",
        r"\midrule",
        *(rf"{_escaped(row.name)} & {' & '.join(map(_cell, row.cells))} \\" for row in grid.rows),
        r"\bottomrule",
        r"\end{tabular}",
        *_caption(results, grid),
    ]
    return "\n".join(lines) + "\n"


def _caption(results: Results, grid: Verdicts) -> list[str]:
    confidence = f"{100 * results.suite.statistics.confidence:.0f}"
    return [
        f"% Means over {results.subject.counted(results.faces)} with {confidence} % intervals, at "
        f"{100 * results.effect:.0f} % of the requested change.",
        f"% Against {grid.focus}: + better, - worse; in brackets of fewer than five fits;",
        "% = equivalent, ? undecided.",
    ]


def _cell(cell: VerdictCell) -> str:
    if cell.measure is None:
        return "--"
    sign = f"$^{{{SIGNS[cell.against.verdict]}}}$" if cell.against else ""
    return f"{cell.measure.mean:.3f}{sign}{_interval(cell.measure)}"


def _interval(measure: Measure) -> str:
    if measure.low is None or measure.high is None:
        return ""
    return rf" {{\scriptsize [{measure.low:.3f}, {measure.high:.3f}]}}"


def _escaped(text: str) -> str:
    for letter in "&%$#_{}":
        text = text.replace(letter, f"\\{letter}")
    return text


def _images(run: Run) -> Iterator[Sequence[object]]:
    """A row an image, entrant, task and fit seed, at the first effect."""
    yield ("entrant", "task", "fit", "image", "identity", "leakage", "achieved", "reached")
    for name in run.suite.entrants:
        for task in run.suite.tasks:
            for fit, edits in enumerate(run.finished(name, task.name)):
                one = edit_scores(edits, run)
                columns = (one.faces, one.identity, one.leakage, one.effect, one.reached)
                for row in zip(*(column.tolist() for column in columns), strict=True):
                    yield (name, task.name, fit, *row)


def _frame(run: Run) -> Iterator[Sequence[object]]:
    """A row a number: every metric of every image, for data frames."""
    yield ("entrant", "task", "fit", "image", "metric", "recogniser", "effect", "value")
    for name in run.suite.entrants:
        for task in run.suite.tasks:
            for fit, edits in enumerate(run.finished(name, task.name)):
                rows = edits.arrays["faces"].tolist()
                for (key, effect), values in face_values(edits, run.reference).items():
                    for row, value in zip(rows, values.double().tolist(), strict=True):
                        of = (name, task.name, fit, row)
                        yield (*of, key.name, key.recogniser, effect, value)


def references(run: Run, registry: Registry) -> str:
    """BibTeX of every method of the run whose plugin declares it, each once."""
    bank, suite = run.bank, run.suite
    used = [
        ("generator", bank.generator.name),
        ("estimator", bank.labeller.name),
        ("estimator", suite.judge.plugin),
        *(("identity", use.plugin) for use in suite.identity),
        *(("metric", use.plugin) for use in suite.metrics),
        *((registry.editor_kind(use.plugin), use.plugin) for use in suite.entrants.values()),
    ]
    found = [
        spec.citation
        for kind, name in used
        for _, spec in registry.specs(kind).get(name.rpartition("/")[2], [])
    ]
    return "\n\n".join(filter(None, dict.fromkeys(found))) + "\n"


def _citation(results: Results) -> str:
    """How to cite the software and the run, as a Citation File Format record."""
    record = {
        "cff-version": "1.2.0",
        "message": "If you use these results, cite the software and the methods in references.bib.",
        "title": f"latentedit: {results.suite.name}",
        "type": "software",
        "version": __version__,
        "authors": [{"name": "The latentedit developers"}],
        "license": "Apache-2.0",
        "identifiers": [
            {"type": "other", "value": results.bank_hash, "description": "hash of the bank"}
        ],
    }
    return yaml.safe_dump(record, sort_keys=False, allow_unicode=True)
