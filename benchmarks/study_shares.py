"""In how many settings of the study a comparison of a kept run holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import study
from shipped import RESULTS, Shipped
from study_figures import Difference
from study_page import EFFECT, Finding, Study, rows_of

from latentedit.benchmark.results.comparison import Comparison

STUDIED = {"styleflow-published": "styleflow-raw", "styleflow-flowedit": "flowedit"}
"""Editors that have another name in the study."""

Place = tuple[str, int, int]
"""A setting: world, its seed, and the bank's."""


@dataclass(frozen=True)
class SettingShare:
    """In how many of the study's settings something holds."""

    holds: int
    settings: int

    def __str__(self) -> str:
        return f"{self.holds} of {self.settings}"


@cache
def shipped_study() -> Study:
    return study.read_figures(RESULTS.parent / "study")


def has_study(run: Shipped) -> bool:
    """Whether the study is about the worlds of a run: it measures by the same recognisers."""
    return set(run.facts.recognisers) <= set(shipped_study().recognisers)


def share_of(row: Comparison, of: Study | None = None) -> SettingShare | None:
    """Of settings where the verdict's leader leads too, or, of an equivalence, where the difference
    is below the margin; None without a verdict, or where the study lacks an editor."""
    places = _places(row, of or shipped_study())
    if places is None:
        return None
    return SettingShare(sum(places.values()), len(places))


def share_of_all(rows: Iterable[Comparison], of: Study | None = None) -> SettingShare | None:
    """Of settings where every verdict of `rows` holds at once."""
    found = [p for row in rows if (p := _places(row, of or shipped_study())) is not None]
    if not found:
        return None
    common = set.intersection(*map(set, found))
    return SettingShare(sum(all(p[place] for p in found) for place in common), len(common))


def _places(row: Comparison, of: Study) -> dict[Place, bool] | None:
    """By setting whether the verdict holds."""
    if row.leader is None and row.verdict != "equivalent":
        return None
    first, second = (STUDIED.get(name, name) for name in row.pair)
    if row.leader == row.second:
        first, second = second, first
    finding = Finding("", first, second, row.metric.name, equal=row.leader is None)
    rows = rows_of(finding, of.differences, recogniser=row.metric.recogniser, effect=EFFECT)
    return {_place(found): finding.holds(found) for found in rows} or None


def _place(row: Difference) -> Place:
    return row.world, row.world_seed, row.bank_seed
