"""The figures of a run, as ``results.json`` and ``costs.json`` hold them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import ConfigDict, RootModel

from latentedit.benchmark.provenance import Provenance
from latentedit.benchmark.results.comparison import Comparison
from latentedit.benchmark.results.frames import METRIC_COLUMNS, frame, metric_parts
from latentedit.benchmark.results.keys import ALL_TASKS, MetricKey, RecordedMetric, in_order
from latentedit.benchmark.results.reading_errors import ReadingError
from latentedit.benchmark.suite import Suite
from latentedit.errors import CorruptArtefact
from latentedit.files.artefacts import Digest, canonical_json, read_json, write_json
from latentedit.files.records import parsed_record
from latentedit.files.tables import html_table
from latentedit.interfaces.generator import Subject
from latentedit.measures.headline import brief

if TYPE_CHECKING:
    import pandas as pd

RESULTS = "results.json"
DIGEST = "sha256"
"""In ``results.json``: the digest of everything else that it says."""


@dataclass(frozen=True)
class Measure:
    """A mean over images, with its interval.

    Args:
        editor: an editor or control, by its name in the suite.
        task: a task, a sequence, or `ALL_TASKS`.
        effect: the matched share of the requested change; 0 where effects are not matched.
        low, high: None where there are too few images for an interval.
        faces, seeds: how many have a number.
        seed_sd: standard deviation of the means of each fit seed; None below two.
    """

    editor: str
    task: str
    metric: MetricKey
    effect: float
    mean: float
    low: float | None
    high: float | None
    faces: int
    seeds: int
    seed_sd: float | None


@dataclass(frozen=True)
class Curve:
    """A metric along the achieved effect: the mean over images ± 1.96 standard errors.

    Args:
        effect: (R,) achieved shares of the requested change.
        mean, low, high: (R,) None where no image, or too few, came so far.
        reach: (R,) share of images that came so far.
    """

    editor: str
    task: str
    metric: MetricKey
    effect: tuple[float, ...]
    mean: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    reach: tuple[float | None, ...]


Source = Literal["judged", "truth"]
"""Who says what changed: the judge, or the generator itself."""


@dataclass(frozen=True)
class Leakage:
    """How much every attribute changed when one was edited, at the first matched effect.

    Args:
        edited: the attribute that the task edits.
        change: (K,) mean |change| of `attributes`, in σ.
    """

    editor: str
    task: str
    edited: str
    by: Source
    attributes: tuple[str, ...]
    change: tuple[float, ...]


Role = Literal["judge", "labeller"]
"""What an estimator of attributes does in a run."""


@dataclass(frozen=True)
class EstimatorErrors:
    """A judge or labeller and its errors against the truth, by attribute."""

    name: str
    attributes: dict[str, ReadingError]


@dataclass(frozen=True)
class RecogniserFigures:
    """What is known of a recogniser.

    Args:
        threshold: similarity above which two images count as one individual.
        card: its own figures on held-out images.
        agreement: rank correlation with true identities; None where they are not known.
    """

    name: str
    threshold: float
    card: dict[str, Any]
    agreement: float | None


@dataclass(frozen=True)
class Noise:
    """The error of what a metric is read off: in the metric's unit where there is one, in words."""

    metric: MetricKey
    value: float | None
    text: str


@dataclass(frozen=True)
class SetDistance:
    """Distances between the edited and the unedited images as sets, at one matched effect.

    Args:
        faces: how many reached the effect, in the fit seed with the fewest.
        features: how many features of the judge vary.
        frechet, kernel: None where they were refused, for too few images.
    """

    editor: str
    task: str
    effect: float
    faces: int
    features: int
    frechet: float | None
    kernel: float | None


@dataclass(frozen=True)
class Realism:
    """Distances of edited to unedited images, and how they were measured."""

    features: str
    implementation: dict[str, str]
    minimum_faces: int
    distances: tuple[SetDistance, ...]


@dataclass(frozen=True)
class PhotoIdentity:
    """On unedited reconstructions: mean similarity to the photos, share of the same individual."""

    name: str
    similarity: float
    same_person: float


@dataclass(frozen=True)
class Photographs:
    """How far the unedited reconstructions are from the photographs.

    Args:
        pixel_error: mean difference in levels of 0 to 255.
        tuned: whether the generator was tuned to the photographs.
    """

    pixel_error: float
    identity: tuple[PhotoIdentity, ...]
    tuned: bool


@dataclass(frozen=True)
class Tuning:
    """What was tried for one editor and fit seed: scores by options, as JSON, and the choice."""

    editor: str
    seed: int
    chosen: str
    scores: dict[str, float]


@dataclass(frozen=True)
class FailedCell:
    """A cell without a result: its status, ``"missing"`` where it was never finished."""

    id: str
    status: str
    error: str


@dataclass(frozen=True)
class CellCounts:
    """How many cells finished, and which did not."""

    ok: int
    failed: tuple[FailedCell, ...]


@dataclass(frozen=True)
class LeftOut:
    """Images that a task asks, and that no edit could bring to the largest effect.

    Args:
        faces: how many the task asks.
        left_out: how many of them are left out of every figure.
    """

    task: str
    faces: int
    left_out: int


@dataclass(frozen=True)
class Way:
    """A figure as a share of the way from the floor to the ceiling, all tasks together."""

    editor: str
    metric: MetricKey
    share: float


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
    path = folder / RESULTS
    found = read_json(path)
    recorded = found.pop(DIGEST, None) if isinstance(found, dict) else None
    results = parsed_record(found, ResultsRecord, path).root
    if recorded != _digest(found):
        raise CorruptArtefact(
            f"{path} is not as it was written. "
            f"Write it again with: latentedit bench report {folder}"
        )
    return results


def write_results(folder: Path, results: Results) -> None:
    written = ResultsRecord(results).model_dump(mode="json")
    write_json(folder / RESULTS, written | {DIGEST: _digest(written)})


def _digest(record: Any) -> Digest:
    return hashlib.sha256(canonical_json(record)).hexdigest()
