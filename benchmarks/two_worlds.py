"""Findings of a run on published networks beside those of the embedded world, in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

from shipped import Shipped
from suite_sentences import listed, paragraph
from suite_tables import OURS, difference, table

from latentedit.benchmark.results.comparison import Comparison

ENDPOINTS = {
    "reach": ("reach",),
    "identity": ("identity similarity",),
    "leakage": ("true leakage", "attribute leakage"),
    "target error": ("target error",),
}
"""Metrics of an endpoint, the best first: only the embedded world knows the true leakage."""
OUTCOMES = (
    "holds in both",
    "the other way round",
    "embedded world alone",
    "published networks alone",
    "told apart in neither",
)


@dataclass(frozen=True)
class Finding:
    """One pair of editors in one endpoint, `first` less `second` in both worlds."""

    endpoint: str
    embedded: Comparison
    published: Comparison

    @property
    def outcome(self) -> str:
        """One of `OUTCOMES`."""
        leaders = self.embedded.leader, self.published.leader
        match leaders:
            case None, None:
                return OUTCOMES[4]
            case _, None:
                return OUTCOMES[2]
            case None, _:
                return OUTCOMES[3]
        return OUTCOMES[0] if leaders[0] == leaders[1] else OUTCOMES[1]

    @property
    def title(self) -> str:
        """The leader, the other editor and the endpoint."""
        pair = self.embedded.pair
        leader = self.embedded.leader or self.published.leader or pair[0]
        (other,) = (name for name in pair if name != leader)
        return f"`{leader}` before `{other}` in {self.endpoint}"


def shared(embedded: Shipped, published: Shipped) -> list[str]:
    """Editors of both runs with the same plugin and options."""
    own = published.facts.editors
    return [name for name, use in embedded.facts.editors.items() if own.get(name) == use]


def findings(embedded: Shipped, published: Shipped, editor: str = "") -> Iterator[Finding]:
    """Every pair of shared editors in every endpoint that both runs compare.

    Args:
        editor: that every pair has; empty for all pairs.
    """
    for first, second in combinations(shared(embedded, published), 2):
        if editor not in ("", first, second):
            continue
        for endpoint, names in ENDPOINTS.items():
            rows = [_row(run, first, second, names) for run in (embedded, published)]
            if rows[0] is not None and rows[1] is not None:
                yield Finding(endpoint, rows[0], rows[1])


def _row(run: Shipped, first: str, second: str, names: tuple[str, ...]) -> Comparison | None:
    """By the first of the metrics that the run has, and by its first recogniser."""
    rows = run.against(first, second)
    for name in names:
        found = {row.metric.recogniser: row for row in rows if row.metric.name == name}
        for recogniser in ("", *run.facts.recognisers):
            if recogniser in found:
                return found[recogniser]
    return None


def compared(embedded: Shipped, published: Shipped, editor: str = "") -> str:
    """A row a finding."""
    rows = []
    for found in findings(embedded, published, editor):
        first, second = found.embedded.pair
        cells = (f"{difference(r)}, {r.verdict}" for r in (found.embedded, found.published))
        rows.append([f"`{first}` − `{second}`", found.endpoint, *cells, found.outcome])
    return table(["editors", "endpoint", "embedded world", "published networks", "finding"], rows)


def counted(embedded: Shipped, published: Shipped) -> str:
    """How many findings have each outcome, a row an endpoint."""
    every = list(findings(embedded, published))
    rows = []
    for endpoint in ENDPOINTS:
        own = [found.outcome for found in every if found.endpoint == endpoint]
        rows.append([endpoint, *(str(own.count(outcome)) for outcome in OUTCOMES), str(len(own))])
    return table(["endpoint", *OUTCOMES, "pairs"], rows)


def said(embedded: Shipped, published: Shipped, editor: str = "") -> str:
    """Which findings hold in both worlds, and which do not: a sentence, and a row an outcome.

    A leader of both worlds, or of the published networks alone, is named first. Where the leaders
    differ, it is that of the embedded world.
    """
    every = list(findings(embedded, published, editor))
    groups = {o: [f.title for f in every if f.outcome == o] for o in OUTCOMES}
    names = listed([f"`{name}`" for name in shared(embedded, published)])
    first = paragraph(
        f"{names} are in both runs with the same options. That makes {len(every)} comparisons of "
        + (f"`{editor}` with another editor" if editor else "a pair")
        + " in an endpoint. Where the leaders differ, that of the embedded world is named."
    )
    rows = [
        [outcome, str(len(found)), "–" if outcome == OUTCOMES[-1] else "; ".join(found) or "–"]
        for outcome, found in groups.items()
    ]
    return f"{first}\n\n{table(['finding', 'comparisons', 'which'], rows)}"


def tables(embedded: Shipped, published: Shipped) -> dict[str, Callable[[], str]]:
    """What writes each block, by the name that a page asks for."""
    return {
        "both worlds": lambda: said(embedded, published),
        "comparison with the embedded world": lambda: compared(embedded, published),
        f"{OURS} in both worlds": lambda: said(embedded, published, OURS),
        f"{OURS} and the embedded world": lambda: compared(embedded, published, OURS),
        "counts in both worlds": lambda: counted(embedded, published),
    }
