"""Rows of results: means, curves, leakages, distances, and what is known of judges and cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from latentedit.benchmark.results.keys import MetricKey
from latentedit.benchmark.results.reading_errors import ReadingError


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
