"""A paired comparison of two editors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from latentedit.benchmark.results.keys import MetricKey
from latentedit.interfaces.generator import IMAGES, Subject

Verdict = Literal["better", "worse", "ahead", "behind", "equivalent", "undecided", "exploratory"]
"""What is said of the first editor against the second.

- *better*, *worse*: a difference that other images and other fits would confirm.
- *ahead*, *behind*: the same of fewer than `ENOUGH_FITS` fits, so of these fits alone.
- *equivalent*: no difference that matters.
- *undecided*: none of these can be said.
- *exploratory*: the row is no primary endpoint, and has an interval only.
"""

ENOUGH_IMAGES = 20
"""Smallest number of images for a verdict."""
ENOUGH_FITS = 5
"""Smallest number of fits of both editors for "better"."""

OPPOSITE: dict[Verdict, Verdict] = {
    "better": "worse",
    "worse": "better",
    "ahead": "behind",
    "behind": "ahead",
}


@dataclass(frozen=True)
class Comparison:
    """`first` less `second` on the images that both have a number for.

    Args:
        task: a task, or `ALL_TASKS`.
        effect: the matched share of the requested change; 0 where effects are not matched.
        low, high: interval over images, and from `ENOUGH_FITS` fits on over fits too; None where
            there are too few images.
        fits: fit seeds of the editor with fewer.
        p: against a difference of 0.
        holm: the same, adjusted for all comparisons of primary endpoints; None for another row.
    """

    first: str
    second: str
    task: str
    metric: MetricKey
    effect: float
    difference: float
    low: float | None
    high: float | None
    faces: int
    fits: int
    p: float
    holm: float | None
    verdict: Verdict

    @property
    def pair(self) -> tuple[str, str]:
        return self.first, self.second

    @property
    def leader(self) -> str | None:
        """The editor that is better or ahead, if one is."""
        if self.verdict in ("better", "ahead"):
            return self.first
        return self.second if self.verdict in ("worse", "behind") else None

    @property
    def better(self) -> str | None:
        """The editor that is better, if one is; being ahead with few fits is not enough."""
        return self.leader if self.verdict in ("better", "worse") else None

    def decided(self, holm: float, error_rate: float) -> Comparison:
        """With a verdict from Holm's adjusted p-value."""
        return replace(self, holm=holm, verdict=self._verdict(holm, error_rate))

    def _verdict(self, holm: float, error_rate: float) -> Verdict:
        margin = self.metric.metric.margin
        if self.low is None or self.high is None or margin is None or self.faces < ENOUGH_IMAGES:
            return "undecided"
        if -margin < self.low and self.high < margin:
            return "equivalent"
        if holm > error_rate or abs(self.difference) < margin:
            return "undecided"
        first_leads = (self.difference > 0) == self.metric.metric.higher_is_better
        if self.fits < ENOUGH_FITS:
            return "ahead" if first_leads else "behind"
        return "better" if first_leads else "worse"

    def turned(self) -> Comparison:
        """The same as second − first."""
        return replace(
            self,
            first=self.second,
            second=self.first,
            difference=-self.difference,
            low=_negative(self.high),
            high=_negative(self.low),
            verdict=OPPOSITE.get(self.verdict, self.verdict),
        )

    def in_words(self, shown: Subject = IMAGES) -> str:
        """The difference with its bounds, or with the number of images where there are none.

        >>> over = ("a", "b", "age", MetricKey("reach"), 0.8)
        >>> Comparison(*over, 0.2, 0.1, 0.3, 20, 5, 0.01, 0.01, "better").in_words()
        '+0.200 (+0.100 to +0.300)'
        >>> Comparison(*over, 0.2, None, None, 1, 1, 1.0, None, "undecided").in_words()
        '+0.200 (of 1 image)'
        """
        few = self.low is None or self.high is None
        bounds = (
            f"of {shown.counted(self.faces)}" if few else f"{self.low:+.3f} to {self.high:+.3f}"
        )
        return f"{self.difference:+.3f} ({bounds})"

    def basis(self, shown: Subject = IMAGES) -> str:
        """What the difference rests on.

        >>> over = ("a", "b", "age", MetricKey("reach"), 0.8)
        >>> Comparison(*over, 0.2, 0.1, 0.3, 20, 1, 0.01, 0.01, "ahead").basis()
        '20 images, one fit'
        """
        return (
            f"{shown.counted(self.faces)}, {'one fit' if self.fits == 1 else f'{self.fits} fits'}"
        )


def winner(comparisons: Iterable[Comparison], editors: Iterable[str]) -> str | None:
    """The one of `editors` that is better than or ahead of every other by `comparisons` of one
    metric and task, if there is one."""
    names = set(editors)
    between = [row for row in comparisons if set(row.pair) <= names]
    for name in names:
        own = [row.leader for row in between if name in row.pair]
        if own and len(own) == len(names) - 1 and set(own) == {name}:
            return name
    return None


def _negative(value: float | None) -> float | None:
    return None if value is None else -value
