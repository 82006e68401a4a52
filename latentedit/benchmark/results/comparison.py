"""A paired comparison of two editors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from latentedit.benchmark.results.keys import MetricKey


@dataclass(frozen=True)
class Comparison:
    """`first` less `second` on the faces that both have a number for.

    Args:
        task: a task, or `ALL_TASKS`.
        effect: the matched share of the requested change; 0 where effects are not matched.
        low, high: interval over faces; None where there are too few.
        p: of the sign-flip test.
        seeds: fit seeds of the editor with fewer.
        seed_low, seed_high: interval over fit seeds; None below two.
        q: false-discovery rate at which the difference is accepted; 1 without an interval.
        better: the better editor; None if no winner is declared.
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
    p: float
    seeds: int
    seed_low: float | None
    seed_high: float | None
    q: float
    better: str | None

    @property
    def pair(self) -> tuple[str, str]:
        return self.first, self.second

    @property
    def apart(self) -> bool:
        """Whether there is an interval over faces, and no interval holds zero."""
        return (
            self.low is not None
            and not _holds_zero(self.low, self.high)
            and not _holds_zero(self.seed_low, self.seed_high)
        )

    def decided(self, false_discovery_rate: float) -> Comparison:
        """With the better editor, if the two are apart and q is low enough."""
        higher_is_better = self.metric.metric.higher_is_better
        if not self.apart or self.q > false_discovery_rate or higher_is_better is None:
            return replace(self, better=None)
        first_is_better = (self.difference > 0) == higher_is_better
        return replace(self, better=self.first if first_is_better else self.second)

    def turned(self) -> Comparison:
        """The same as second − first."""
        return replace(
            self,
            first=self.second,
            second=self.first,
            difference=-self.difference,
            low=_negative(self.high),
            high=_negative(self.low),
            seed_low=_negative(self.seed_high),
            seed_high=_negative(self.seed_low),
        )

    def in_words(self) -> str:
        """The difference with its bounds, or with the number of faces where there are none.

        >>> over = ("a", "b", "age", MetricKey("reach"), 0.8)
        >>> Comparison(*over, 0.2, 0.1, 0.3, 20, 0.01, 1, None, None, 0.01, "a").in_words()
        '+0.200 (+0.100 to +0.300)'
        >>> Comparison(*over, 0.2, None, None, 1, 1.0, 1, None, None, 1.0, None).in_words()
        '+0.200 (of 1 faces)'
        """
        few = self.low is None or self.high is None
        bounds = f"of {self.faces} faces" if few else f"{self.low:+.3f} to {self.high:+.3f}"
        return f"{self.difference:+.3f} ({bounds})"


def winner(comparisons: Iterable[Comparison], editors: Iterable[str]) -> str | None:
    """The one of `editors` that is better than every other by `comparisons` of one metric and
    task, if there is one."""
    names = set(editors)
    between = [row for row in comparisons if set(row.pair) <= names]
    for name in names:
        own = [row.better for row in between if name in row.pair]
        if own and len(own) == len(names) - 1 and set(own) == {name}:
            return name
    return None


def _holds_zero(low: float | None, high: float | None) -> bool:
    return low is not None and high is not None and low <= 0 <= high


def _negative(value: float | None) -> float | None:
    return None if value is None else -value
