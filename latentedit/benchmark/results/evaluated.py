"""Results together with the cells that they are of, for data frames image by image."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from latentedit.benchmark.results.frames import METRIC_COLUMNS, frame, metric_parts
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.records import Results
from latentedit.benchmark.results.summary import results_of
from latentedit.benchmark.results.values import face_values

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Evaluation(Results):
    """The results of a run or an evaluation, and its cells.

    Args:
        run: the cells.
    """

    run: Run = field(kw_only=True, compare=False)

    def to_frame(self, *, per_image: bool = False) -> pd.DataFrame:
        """All means with their intervals, one row each; or all values they are means of.

        Args:
            per_image: a row an editor, fit seed, task, metric, effect and image of the test split.

        Raises:
            EnvironmentFault: pandas is not installed.
        """
        if not per_image:
            return super().to_frame()
        columns = ["editor", "seed", "task", *METRIC_COLUMNS, "effect", "image", "value"]
        rows = []
        for name, task in product(self.run.suite.entrants, self.run.tasks):
            for seed, edits in self.run.finished_by_seed(name, task).items():
                numbers = edits.arrays["faces"].tolist()
                for (metric, effect), values in face_values(edits, self.run.reference).items():
                    of = (name, seed, task, *metric_parts(metric), effect)
                    rows += [
                        (*of, number, value)
                        for number, value in zip(numbers, values.tolist(), strict=True)
                    ]
        return frame(rows, columns)


def evaluation_of(run: Run) -> Evaluation:
    """Every figure of `run`, with its cells."""
    results = results_of(run)
    figures = {entry.name: getattr(results, entry.name) for entry in fields(results)}
    return Evaluation(**figures, run=run)


def load_results(folder: str | Path) -> Evaluation:
    """The results of a run folder, computed from its cells, which stay where they are.

    Raises:
        InputError: `folder` is not a run, or has no finished cell.
    """
    return evaluation_of(Run(Path(folder)))
