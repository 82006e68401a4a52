"""Tables and picture of docs/field.md, from finished runs.

    latentedit bench run field --out runs/field
    latentedit bench run field-optimization --out runs/field-optimization
    python benchmarks/field.py runs/field runs/field-optimization --page docs/field.md

A table stands in the page between two comments, ``<!-- NAME of SUITE -->`` and ``<!-- end -->``;
what is there is replaced, the rest of the page stays. Tables of suites that no run is given for
stay as they are.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path

from latentedit.benchmark.results.audit import cell_states
from latentedit.benchmark.results.costs import read_costs
from latentedit.benchmark.results.keys import MetricKey, in_order
from latentedit.benchmark.results.paired import ALL_TASKS
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.records import Measure, Tuning
from latentedit.files.artefacts import write_bytes
from latentedit.report.findings import best_editor
from latentedit.report.grid import save_grid

BLOCK = re.compile(r"(<!-- ([a-z ]+) of ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
SHOWN = ("reach", "identity similarity", "true leakage", "target error")
FACE = 1
PICTURED = (
    "styleflow",
    "surrogate-gradient",
    "latent-transformer",
    "stylespace",
    "interfacegan",
    "mean-difference",
    "ganspace",
    "sefa",
)


class Field:
    """A finished run, as tables in Markdown, and one editor that is compared with the others."""

    def __init__(self, folder: Path, ours: str = "styleflow") -> None:
        self.run, self.ours = Run(folder), ours
        self.results = self.run.results
        self.costs = {row.editor: row for row in read_costs(folder)}
        self.editors = list(self.results.suite.editors)
        self.controls = list(self.results.controls)
        self.tasks = [task.name for task in self.results.suite.tasks]

    def measure(self, editor: str, metric: MetricKey, task: str = ALL_TASKS) -> Measure | None:
        wanted = (editor, metric, task)
        rows = self.results.measures
        return next((m for m in rows if (m.editor, m.metric, m.task) == wanted), None)

    def metrics(self) -> list[MetricKey]:
        """Those of `SHOWN`, recognisers apart, in its order."""
        return in_order((m.metric for m in self.results.measures), SHOWN)

    def similarity(self) -> MetricKey:
        """Identity similarity to the first recogniser."""
        return next(key for key in self.metrics() if key.name == "identity similarity")

    def ranked(self) -> list[str]:
        """Editors with the highest identity similarity to the first recogniser first."""
        metric = self.similarity()
        return sorted(self.editors, key=lambda name: -_mean(self.measure(name, metric)))

    def facts(self) -> str:
        suite, seconds = self.results.suite, sum(s.seconds for s in cell_states(self.run))
        judge = self.results.estimators["judge"].attributes
        noise = ", ".join(
            f"{task.attribute} {judge[task.attribute].mae_sigma:.2f}" for task in suite.tasks
        )
        return (
            f"{len(self.editors)} editors and {len(self.controls)} controls, {len(self.tasks)} "
            f"tasks, {self.results.faces} faces to edit, {suite.bank.n_fit} to fit on, "
            f"{len(suite.seeds)} fit of each; bank `{self.results.bank_hash[:12]}`; "
            f"{seconds / 60:.0f} minutes of computing. The judge's own mean error, in σ: {noise}."
        )

    def measures(self) -> str:
        metrics = self.metrics()
        best = {metric: best_editor(self.results, metric) for metric in metrics}
        rows = [
            [name, *(_interval(self.measure(name, m), best[m] == name) for m in metrics)]
            for name in [*self.ranked(), *(f"*{name}*" for name in self.controls)]
        ]
        for row, name in zip(rows[len(self.editors) :], self.controls, strict=True):
            row[1:] = [_interval(self.measure(name, m), False) for m in metrics]
        return _table(["editor", *map(self._heading, metrics)], rows)

    def paired(self) -> str:
        """Our editor less each other editor."""
        metrics, others = self.metrics(), [name for name in self.ranked() if name != self.ours]
        rows = [[name, *(self._comparison(name, metric) for metric in metrics)] for name in others]
        return _table([f"{self.ours} −", *map(self._heading, metrics)], rows)

    def _comparison(self, other: str, metric: MetricKey) -> str:
        rows = (
            row
            for row in self.results.comparisons
            if set(row.pair) == {self.ours, other}
            and (row.metric, row.task) == (metric, ALL_TASKS)
            and self.results.at_effect(row)
        )
        total = next(rows, None)
        if total is None:
            return "–"
        total = total if total.first == self.ours else total.turned()
        words = f"{total.in_words()}, {total.verdict}"
        return f"**{words}**" if total.leader == self.ours else words

    def reach(self) -> str:
        return self._by_task(MetricKey("reach"), "{:.0%}")

    def leakage(self) -> str:
        return self._by_task(MetricKey("true leakage"), "{:.2f}")

    def identity(self) -> str:
        return self._by_task(self.similarity(), "{:.3f}")

    def asked(self) -> str:
        """Median effect, as a share of the requested change, where it is asked for once."""
        once = self.results.suite.strengths.index(1.0)
        fits = [[self.run.finished(name, t) for t in self.tasks] for name in self.ranked()]
        rows = [
            [name, *(f"{float(c[0].arrays['effect'][once].median()):.2f}" for c in found)]
            for name, found in zip(self.ranked(), fits, strict=True)
        ]
        return _table(["effect", *self.tasks], rows)

    def _by_task(self, metric: MetricKey, form: str) -> str:
        rows = []
        for name in [*self.ranked(), *self.controls]:
            found = [self.measure(name, metric, task) for task in self.tasks]
            if any(found):
                rows.append([name, *(form.format(m.mean) if m else "–" for m in found)])
        faces = [self.measure(self.editors[0], MetricKey("reach"), task) for task in self.tasks]
        heads = [
            f"{task} ({m.faces})" if m else task for task, m in zip(self.tasks, faces, strict=True)
        ]
        return _table([metric.name, *heads], rows)

    def cost(self) -> str:
        rows = [
            [
                name,
                f"{cost.tuning_seconds:.1f}" if cost.tuning_seconds else "–",
                f"{cost.fit_seconds:.2f}",
                f"{cost.edit_ms_batch_1:.2f}",
                f"{cost.edit_ms_batch_64:.3f}",
                f"{cost.nfe:.0f}",
            ]
            for name, cost in ((name, self.costs[name]) for name in self.ranked())
        ]
        heads = ["editor", "tuning, s", "fit, s", "edit alone, ms", "in 64, ms a face"]
        return _table([*heads, "evaluations"], rows)

    def tuning(self) -> str:
        rows = [
            [row.editor, *(_trial(options, row) for options in row.scores)]
            for row in self.results.tuning
        ]
        widest = max(map(len, rows))
        heads = ["editor", "defaults", *(f"trial {i}" for i in range(2, widest))]
        return _table(heads, [row + ["–"] * (widest - len(row)) for row in rows])

    def _heading(self, metric: MetricKey) -> str:
        unit = ", σ" if metric.name in ("true leakage", "target error") else ""
        arrow = "↑" if self.results.metrics[metric.name].higher_is_better else "↓"
        recogniser = metric.recogniser.rpartition("-")[2]
        return f"{metric.name}{unit} {arrow}" + (f" ({recogniser})" if recogniser else "")

    def picture(self, path: Path) -> None:
        """The same face in every task, unedited and under the editors of `PICTURED`."""
        rows, captions = [], []
        for task in self.tasks:
            cases = [self.run.finished(name, task)[0].arrays for name in PICTURED]
            i = cases[0]["faces"].tolist().index(FACE)
            rows.append([cases[0]["images"][i], *(c["matched_images"][0, i] for c in cases)])
            seen = [float(c["matched_similarity"][0, 0, i]) for c in cases]
            missed = [bool(c["matched_strength"][0, i].isnan()) for c in cases]
            marks = ["not reached" if m else f"{s:.2f}" for m, s in zip(missed, seen, strict=True)]
            captions.append(["", *marks])
        save_grid(path, rows, ["unedited", *PICTURED], self.tasks, captions)


def _mean(found: Measure | None) -> float:
    return float("-inf") if found is None else found.mean


def _interval(found: Measure | None, bold: bool) -> str:
    if found is None:
        return "–"
    mark = "**" if bold else ""
    bounds = "" if found.low is None else f" ({found.low:.3f} to {found.high:.3f})"
    return f"{mark}{found.mean:.3f}{mark}{bounds}"


def _trial(options: str, row: Tuning) -> str:
    """Options but for those that all trials share, and the score they had; bold where chosen."""
    trials = [json.loads(trial) for trial in row.scores]
    shared = [name for name in trials[0] if all(t.get(name) == trials[0][name] for t in trials)]
    own = {name: value for name, value in json.loads(options).items() if name not in shared}
    words = ", ".join(f"{name} {value}" for name, value in own.items())
    score = f"{row.scores[options]:.3f}"
    return " ".join(filter(None, [words, f"**{score}**" if row.chosen == options else score]))


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


TABLES: dict[str, Callable[[Field], str]] = {
    "facts": Field.facts,
    "measures": Field.measures,
    "paired": Field.paired,
    "reach": Field.reach,
    "leakage": Field.leakage,
    "identity": Field.identity,
    "asked": Field.asked,
    "cost": Field.cost,
    "tuning": Field.tuning,
}


def filled(page: str, fields: dict[str, Field]) -> str:
    """The page with its tables as the runs have them, which are given by the names of suites."""

    def block(match: re.Match[str]) -> str:
        start, table, suite, end = match.groups()
        if table not in TABLES:
            raise SystemExit(f"the page asks for {table!r}; there are {', '.join(TABLES)}")
        return f"{start}{TABLES[table](fields[suite])}\n{end}" if suite in fields else match[0]

    return BLOCK.sub(block, page)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", help="run folders")
    parser.add_argument("--page", type=Path, default=Path("docs/field.md"))
    given = parser.parse_args()
    fields = {field.results.suite.name: field for field in map(Field, given.runs)}
    page = filled(given.page.read_text(encoding="utf-8"), fields)
    write_bytes(given.page, page.encode())
    if "field" in fields:
        fields["field"].picture(given.page.with_suffix(".png"))


if __name__ == "__main__":
    main()
