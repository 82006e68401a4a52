"""Figures as shares of the way from the floor of a run to its ceiling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from latentedit.benchmark.results.keys import ALL_TASKS
from latentedit.benchmark.results.rows import Measure, Way

_SAME = 1e-6
"""Distance of floor and ceiling below which there is no way between them."""


def ways(measures: Iterable[Measure], bounds: Mapping[str, str], effect: float) -> tuple[Way, ...]:
    """(m − floor) / (ceiling − floor) of every mean over all tasks, at the effect or at none.

    0 is as bad as the floor, 1 as good as the ceiling. A share may lie outside of [0, 1].

    Args:
        bounds: the controls that are ``"floor"`` and ``"ceiling"``.
    """
    rows = [row for row in measures if row.task == ALL_TASKS and row.effect in (0.0, effect)]
    floors, ceilings = (
        {row.metric: row.mean for row in rows if row.editor == bounds.get(end)}
        for end in ("floor", "ceiling")
    )
    found = []
    for row in rows:
        judged = row.metric.metric.higher_is_better is not None
        if judged and row.metric in floors and row.metric in ceilings:
            floor, ceiling = floors[row.metric], ceilings[row.metric]
            if abs(ceiling - floor) > _SAME:
                share = (row.mean - floor) / (ceiling - floor)
                found.append(Way(row.editor, row.metric, share))
    return tuple(found)
