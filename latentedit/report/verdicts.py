"""The verdicts of a run: every editor against the one in focus, endpoint by endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from latentedit.benchmark.results.comparison import ENOUGH_IMAGES, Comparison, Verdict
from latentedit.benchmark.results.keys import ALL_TASKS, MetricKey, in_order
from latentedit.benchmark.results.records import Results
from latentedit.benchmark.results.rows import Measure
from latentedit.benchmark.statistics_plan import ENDPOINTS
from latentedit.measures.definitions import Metric
from latentedit.report.findings import primary
from latentedit.report.tables import Column, columns

ORDER = ("identity similarity", "true leakage", "attribute leakage", "reach", "target error")
"""Columns of the grid come in this order, then other endpoints."""
SHORT = {
    "identity similarity": "identity",
    "true leakage": "leakage",
    "attribute leakage": "leakage",
}
"""Names in the grid, where they differ from those of the metrics."""
LEADS = {
    "identity similarity": "Keeps identity best",
    "true leakage": "Leaks least",
    "attribute leakage": "Leaks least",
    "reach": "Reaches the change most often",
    "target error": "Closest to what was asked",
}
FEW_REACH = 0.5
"""Below this share of images, means over the images that reached the change are of few of them."""
MARKS: dict[Verdict, str] = {
    "better": "▲",
    "ahead": "△",
    "worse": "▼",
    "behind": "▽",
    "equivalent": "=",
    "undecided": "?",
}
LEGEND = (
    "▲ better, ▼ worse than {focus}; △ ahead, ▽ behind: so in fewer than five fits; "
    "= equivalent, ? undecided"
)
LISTED = 3
"""Up to this many editors are named one by one."""


@dataclass(frozen=True)
class VerdictCell:
    """An editor in one endpoint.

    Args:
        measure: its mean over all tasks; None where it has none.
        against: the editor less the one in focus; None for the focus itself.
    """

    measure: Measure | None
    against: Comparison | None
    definition: Metric

    @property
    def mark(self) -> str:
        return MARKS.get(self.against.verdict, "") if self.against else ""

    @property
    def difference(self) -> str:
        """Signed; empty if it is below the smallest one that matters."""
        if self.against is None or abs(self.against.difference) < (self.definition.margin or 0.0):
            return ""
        return f"{self.against.difference:+.2f}".replace("-", "−")


@dataclass(frozen=True)
class VerdictRow:
    """An editor in every endpoint.

    Args:
        failed: how many of its cells have no result.
        few: the share of images that it brings to the effect, where that is small.
    """

    name: str
    cells: list[VerdictCell]
    failed: int
    few: float | None


@dataclass(frozen=True)
class ControlBand:
    """The controls with the lowest and the highest mean in one endpoint."""

    low: Measure
    high: Measure


@dataclass(frozen=True)
class Front:
    """The editors that no other one leads in an endpoint.

    Args:
        by: the recogniser or metric, where they disagree.
        names: empty where no editor leads another.
    """

    by: str
    names: list[str]

    @property
    def text(self) -> str:
        if len(self.names) > LISTED + 1:
            return _listed([*self.names[:LISTED], f"{len(self.names) - LISTED} more"])
        return _listed(self.names) if self.names else "undecided"


@dataclass(frozen=True)
class Lead:
    """Who leads in an endpoint: one front, or one a recogniser where they disagree."""

    title: str
    fronts: list[Front]

    @property
    def decided(self) -> bool:
        return any(front.names for front in self.fronts)


@dataclass(frozen=True)
class Verdicts:
    """What the first screen says.

    Args:
        bands: one a column; None where no control has a mean.
        losses, wins: by endpoint, the editors that the focus is behind or ahead of.
        too_few: whether there are too few images for any verdict.
    """

    focus: str
    columns: list[Column]
    rows: list[VerdictRow]
    bands: list[ControlBand | None]
    leads: list[Lead]
    losses: dict[str, str]
    wins: dict[str, str]
    too_few: bool

    @property
    def titles(self) -> list[str]:
        """Of the columns, short."""
        return _titles(self.columns)

    @property
    def of_few_fits(self) -> bool:
        """Whether some editor is ahead, and none is better: five fits are needed for that."""
        said = {c.against.verdict for row in self.rows for c in row.cells if c.against}
        return bool(said & {"ahead", "behind"}) and not said & {"better", "worse"}


def verdicts(results: Results) -> Verdicts:
    """Every entrant against the suite's first editor, and who leads in each endpoint."""
    focus = next(iter(results.suite.editors))
    compared = [row for row in primary(results.comparisons) if results.at_effect(row)]
    keys = endpoints(results, compared)
    own = [row if row.first == focus else row.turned() for row in compared if focus in row.pair]
    heads = columns(keys, results.metrics)
    return Verdicts(
        focus,
        heads,
        _rows(results, focus, keys, own),
        [_band(results, key) for key in keys],
        _leads(results, heads, compared),
        _said(own, heads, won=False),
        _said(own, heads, won=True),
        bool(compared) and all(row.faces < ENOUGH_IMAGES for row in compared),
    )


def verdict_marks(results: Results) -> dict[tuple[str, MetricKey], str]:
    """By editor and endpoint, the mark of its verdict against the suite's first editor."""
    grid = verdicts(results)
    return {
        (row.name, column.key): cell.mark
        for row in grid.rows
        for column, cell in zip(grid.columns, row.cells, strict=True)
        if cell.mark
    }


def endpoints(results: Results, compared: Sequence[Comparison]) -> list[MetricKey]:
    """The primary endpoints of a run, identity first."""
    found = {row.metric for row in compared} or {
        m.metric
        for m in results.measures
        if m.metric.name in (results.suite.statistics.endpoints or ENDPOINTS)
    }
    names = [*ORDER, *sorted({key.name for key in found} - set(ORDER))]
    return in_order(found, names)


def _means(results: Results) -> dict[tuple[str, MetricKey], Measure]:
    """Over all tasks, by entrant and metric."""
    return {
        (m.editor, m.metric): m
        for m in results.measures
        if m.task == ALL_TASKS and results.at_effect(m)
    }


def _band(results: Results, key: MetricKey) -> ControlBand | None:
    found = _means(results)
    means = [found[name, key] for name in results.controls if (name, key) in found]
    means.sort(key=lambda measure: measure.mean)
    return ControlBand(means[0], means[-1]) if means else None


def _rows(
    results: Results, focus: str, keys: Sequence[MetricKey], own: Sequence[Comparison]
) -> list[VerdictRow]:
    """The focus, then the others with the best mean in the first endpoint first."""
    found = _means(results)
    against = {(row.second, row.metric): row.turned() for row in own}
    others = [name for name in results.suite.editors if name != focus]
    if keys:
        sign = -1 if results.metrics[keys[0].name].higher_is_better else 1
        means = {name: found.get((name, keys[0])) for name in others}
        others.sort(key=lambda name: sign * m.mean if (m := means[name]) else float("inf"))
    return [
        VerdictRow(
            name,
            [
                VerdictCell(
                    found.get((name, key)), against.get((name, key)), results.metrics[key.name]
                )
                for key in keys
            ],
            sum(f"--{name}--" in f"{cell.id}--" for cell in results.cells.failed),
            _few(found.get((name, MetricKey("reach")))),
        )
        for name in (focus, *others)
    ]


def _few(reach: Measure | None) -> float | None:
    return reach.mean if reach is not None and reach.mean < FEW_REACH else None


def _leads(results: Results, heads: Sequence[Column], compared: Sequence[Comparison]) -> list[Lead]:
    """One an endpoint that has a title."""
    leads = []
    for title in dict.fromkeys(LEADS[c.key.name] for c in heads if c.key.name in LEADS):
        fronts = [
            Front(column.detail or column.key.name, _front(results, column.key, compared))
            for column in heads
            if LEADS.get(column.key.name) == title
        ]
        if all(front.names == fronts[0].names for front in fronts):
            fronts = [Front("", fronts[0].names)]
        leads.append(Lead(title, fronts))
    return leads


def _front(results: Results, key: MetricKey, compared: Sequence[Comparison]) -> list[str]:
    rows = [row for row in compared if row.metric == key]
    beaten = {name for row in rows if row.leader for name in row.pair if name != row.leader}
    if not beaten:
        return []
    named = {name for row in rows for name in row.pair} - beaten
    return [name for name in results.suite.editors if name in named]


def _said(own: Sequence[Comparison], heads: Sequence[Column], *, won: bool) -> dict[str, str]:
    """By endpoint the editors that the focus leads, or that lead it; `own` are focus − other."""
    found = {}
    for column, title in zip(heads, _titles(heads), strict=True):
        key = column.key
        rows = [row for row in own if row.metric == key and row.leader is not None]
        names = [row.second for row in rows if (row.leader == row.first) == won]
        if names:
            of = sum(row.metric == key for row in own)
            many = f"all {of}" if len(names) == of else f"{len(names)} of {of}"
            said = _listed(names) if len(names) <= LISTED else f"{many} other editors"
            found[title + (f" by {column.detail}" if column.detail else "")] = said
    return found


def _titles(heads: Sequence[Column]) -> list[str]:
    """Short, unless two metrics would have the same one."""
    names = {column.key.name for column in heads}
    short = {name: SHORT.get(name, name) for name in names}
    taken = list(short.values())
    return [short[c.key.name] if taken.count(short[c.key.name]) == 1 else c.key.name for c in heads]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
