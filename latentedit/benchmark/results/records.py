"""The figures of a run, as ``results.json`` and ``costs.json`` hold them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict, RootModel

from latentedit.benchmark.provenance import Provenance
from latentedit.benchmark.results.comparison import Comparison
from latentedit.benchmark.results.frames import METRIC_COLUMNS, frame, metric_parts
from latentedit.benchmark.results.keys import ALL_TASKS, RecordedMetric, in_order
from latentedit.benchmark.results.rows import (
    CellCounts,
    Curve,
    EstimatorErrors,
    Leakage,
    LeftOut,
    Measure,
    Noise,
    Photographs,
    Realism,
    RecogniserFigures,
    Role,
    Tuning,
    Way,
)
from latentedit.benchmark.results.signed import read_signed, write_signed
from latentedit.benchmark.suite import Suite
from latentedit.files.tables import html_table
from latentedit.interfaces.generator import Subject
from latentedit.measures.headline import brief

if TYPE_CHECKING:
    import pandas as pd

RESULTS = "results.json"


@dataclass(frozen=True, repr=False)
class Results:
    """Every figure of a run. Equal suites on equal machines give equal results.

    Args:
        faces: number of test images.
        estimators: errors of judge and labeller by role; empty where the truth is not known.
        photographs: None where the test images were sampled.
        metrics: the definitions, by name.
        left_out: by task, images that no edit could do; empty where none were looked for.
        ways: empty where the run has no floor or no ceiling.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    suite: Suite
    bank_hash: str
    provenance: Provenance
    faces: int
    controls: tuple[str, ...]
    cells: CellCounts
    estimators: dict[Role, EstimatorErrors]
    recognisers: tuple[RecogniserFigures, ...]
    noise: tuple[Noise, ...]
    realism: Realism
    photographs: Photographs | None
    tuning: tuple[Tuning, ...]
    measures: tuple[Measure, ...]
    comparisons: tuple[Comparison, ...]
    curves: tuple[Curve, ...]
    leakage: tuple[Leakage, ...]
    metrics: dict[str, RecordedMetric]
    left_out: tuple[LeftOut, ...] = ()
    ways: tuple[Way, ...] = ()

    @property
    def effect(self) -> float:
        """The first matched effect, at which editors are compared."""
        return self.suite.effects[0]

    @property
    def subject(self) -> Subject:
        """What the images show."""
        return self.provenance.bank.shown

    @property
    def entrants(self) -> tuple[str, ...]:
        """Editors, then controls."""
        return (*self.suite.editors, *self.controls)

    def at_effect(self, row: Measure | Comparison) -> bool:
        """Whether `row` belongs to the first effect, or to none."""
        return row.effect in (0.0, self.effect)

    def to_frame(self) -> pd.DataFrame:
        """All means with their intervals, one row each.

        Raises:
            EnvironmentFault: pandas is not installed.
        """
        after = ("effect", "mean", "low", "high", "faces", "seeds", "seed_sd")
        rows = [
            (m.editor, m.task, *metric_parts(m.metric), *(getattr(m, name) for name in after))
            for m in self.measures
        ]
        columns = ("editor", "task", *METRIC_COLUMNS, *after)
        return frame(rows, columns).rename(columns={"faces": "images"})

    def __repr__(self) -> str:
        failed = f", {len(self.cells.failed)} cells failed" if self.cells.failed else ""
        return (
            f"<{type(self).__name__} of {self.suite.name}: {', '.join(self.suite.editors)}; "
            f"{len(self.suite.tasks)} tasks, {self.faces} test {self.subject.many}{failed}>"
        )

    def _repr_html_(self) -> str:
        """The headline table, all tasks together."""
        rows = [m for m in self.measures if m.task == ALL_TASKS and self.at_effect(m)]
        keys = in_order((m.metric for m in rows), brief(self.metrics))
        found = {(m.editor, m.metric): f"{m.mean:.3f}" for m in rows}
        lines = [[name, *(found.get((name, key), "–") for key in keys)] for name in self.entrants]
        caption = f"{self!r} at {self.effect:.0%} of the requested change"
        return html_table(["editor", *map(str, keys)], lines, caption)


class ResultsRecord(RootModel[Any]):
    """``results.json``."""

    root: Results


def read_results(folder: Path) -> Results:
    """Of the run in `folder`; raises as `read_record` does, and if the figures were changed."""
    remedy = f"Write it again with: latentedit bench report {folder}"
    return read_signed(folder / RESULTS, ResultsRecord, remedy).root


def write_results(folder: Path, results: Results) -> None:
    write_signed(folder / RESULTS, ResultsRecord(results).model_dump(mode="json"))
