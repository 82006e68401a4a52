"""The tables of docs/study.md, from the figures of a study."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from study_figures import Difference, Mean

from latentedit.measures.definitions import METRICS

EFFECT = 0.8
"""The effect of tables that show one alone."""


@dataclass(frozen=True)
class Finding:
    """A claim about two editors, which holds in a setting or does not.

    Args:
        equal: the claim is that they differ by less than the metric's smallest difference that
            matters; else it is that `first` is better.
    """

    sentence: str
    first: str
    second: str
    metric: str
    equal: bool = False

    def holds(self, row: Difference) -> bool:
        return _close(row) if self.equal else _advantage(row) > 0


FINDINGS = (
    Finding(
        "The conditional mean keeps the person better than the SVM.",
        "conditional-mean", "interfacegan", "identity similarity",
    ),
    Finding(
        "The conditional mean keeps the person better than the whitened SVM.",
        "conditional-mean", "interfacegan-whitened", "identity similarity",
    ),
    Finding(
        "Whitening helps the SVM keep the person.",
        "interfacegan-whitened", "interfacegan", "identity similarity",
    ),
    Finding(
        "Whitening lowers the SVM's true identity drift.",
        "interfacegan-whitened", "interfacegan", "true identity drift",
    ),
    Finding(
        "The flow on residuals leaks less than the raw flow.",
        "styleflow", "styleflow-raw", "true leakage",
    ),
    Finding(
        "The flow on residuals keeps the person better than the raw flow.",
        "styleflow", "styleflow-raw", "identity similarity",
    ),
    Finding(
        "The conditional mean leaks less than the raw flow.",
        "conditional-mean", "styleflow-raw", "true leakage",
    ),
    Finding(
        "The conditional mean keeps the person better than the raw flow.",
        "conditional-mean", "styleflow-raw", "identity similarity",
    ),
    Finding(
        "The flow on residuals keeps the person as well as the conditional mean does.",
        "conditional-mean", "styleflow", "identity similarity", equal=True,
    ),
    Finding(
        "FlowEdit keeps the person as well as encoding and decoding does.",
        "flowedit", "styleflow", "identity similarity", equal=True,
    ),
    Finding(
        "Min-norm leaks less than the conditional mean.",
        "min-norm", "conditional-mean", "true leakage",
    ),
    Finding(
        "The conditional mean drifts less in true identity than min-norm.",
        "conditional-mean", "min-norm", "true identity drift",
    ),
    Finding(
        "The flow on residuals keeps the person better than the SVM.",
        "styleflow", "interfacegan", "identity similarity",
    ),
    Finding(
        "Min-norm comes nearer to the target than the conditional mean, if simply asked once.",
        "min-norm", "conditional-mean", "target error",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Share:
    """In how many settings a finding holds.

    Args:
        settings: that have a difference.
        holds: of them, where it holds.
        decided, against: where a 95 % interval says so, or the opposite.
    """

    settings: int
    holds: int
    decided: int
    against: int

    def __str__(self) -> str:
        return f"{self.holds} of {self.settings}" if self.settings else "–"


def _turned(row: Difference, first: str) -> Difference:
    """The same comparison, with `first` first."""
    if row.first == first:
        return row
    low, high = (None if end is None else -end for end in (row.high, row.low))
    changed = {"first": row.second, "second": row.first, "low": low, "high": high}
    return Difference(**{**row.__dict__, **changed, "difference": -row.difference})


def _advantage(row: Difference) -> float:
    """By how much the first is better."""
    return row.difference if METRICS[row.metric].higher_is_better else -row.difference


def _close(row: Difference) -> bool:
    margin = METRICS[row.metric].margin
    return margin is not None and abs(row.difference) < margin


def rows_of(
    finding: Finding,
    rows: Iterable[Difference],
    *,
    recogniser: str | None = None,
    effect: float | None = None,
    world: str | None = None,
) -> list[Difference]:
    """The differences that a finding is about."""
    pair = {finding.first, finding.second}
    return [
        _turned(row, finding.first)
        for row in rows
        if {row.first, row.second} == pair
        and row.metric == finding.metric
        and recogniser in (None, row.recogniser)
        and (effect is None or row.effect in (0.0, effect))
        and world in (None, row.world)
    ]


def share(finding: Finding, rows: Sequence[Difference]) -> Share:
    """Of settings; of one metric, recogniser and effect."""
    return Share(
        len(rows),
        sum(finding.holds(row) for row in rows),
        sum(_decided(finding, row) for row in rows),
        sum(_refuted(finding, row) for row in rows),
    )


def _bounds(row: Difference) -> tuple[float, float] | None:
    """Of the advantage of the first."""
    if row.low is None or row.high is None:
        return None
    better = METRICS[row.metric].higher_is_better
    return (row.low, row.high) if better else (-row.high, -row.low)


def _decided(finding: Finding, row: Difference) -> bool:
    bounds, margin = _bounds(row), METRICS[row.metric].margin
    if bounds is None:
        return False
    if finding.equal:
        return margin is not None and max(-bounds[0], bounds[1]) < margin
    return bounds[0] > 0


def _refuted(finding: Finding, row: Difference) -> bool:
    bounds, margin = _bounds(row), METRICS[row.metric].margin
    if bounds is None:
        return False
    if finding.equal:
        return margin is not None and (bounds[0] > margin or bounds[1] < -margin)
    return bounds[1] < 0


@dataclass(frozen=True)
class Components:
    """Standard deviations of a difference by their source.

    Args:
        world, bank: between worlds, and between banks of one world, beyond faces and fits.
        fit: between single fits of one bank; None where it is unknown.
        face: between single faces.
    """

    mean: float
    world: float
    bank: float
    fit: float | None
    face: float


def components(rows: Sequence[Difference]) -> Components:
    """Of the differences of one finding, by the method of moments.

        d = μ + world + bank + fit / √S + face / √n

    with S fits and n faces in a setting. The mean square of banks within worlds is that of bank,
    fit and face; the variance of the worlds' means is that of the world, and of the mean square
    over the banks of each. A negative estimate is 0.
    """
    groups = [list(g) for _, g in itertools.groupby(sorted(rows, key=_world), key=_world)]
    noise = np.mean([r.face_sd**2 / r.faces + (r.fit_variance or 0) / r.fits for r in rows])
    found = [np.array([r.difference for r in group]) for group in groups]
    freedom = sum(len(group) - 1 for group in found)
    within = sum(((g - g.mean()) ** 2).sum() for g in found) / freedom if freedom else 0.0
    between = np.var([g.mean() for g in found], ddof=1) if len(found) > 1 else 0.0
    fits = [row.fit_variance for row in rows if row.fit_variance is not None]
    return Components(
        mean=float(np.mean([g.mean() for g in found])),
        world=float(max(0.0, between - np.mean([within / len(g) for g in found])) ** 0.5),
        bank=float(max(0.0, within - noise) ** 0.5),
        fit=float(np.mean(fits) ** 0.5) if fits else None,
        face=float(np.mean([row.face_sd**2 for row in rows]) ** 0.5),
    )


def _world(row: Difference) -> tuple[str, int]:
    return row.world, row.world_seed


class Study:
    """The figures of all settings."""

    def __init__(self, means: Sequence[Mean], differences: Sequence[Difference]) -> None:
        self.means, self.differences = means, differences
        self.effects = sorted({row.effect for row in differences} - {0.0})
        self.worlds = list(dict.fromkeys(row.world for row in differences))
        self.recognisers = sorted({row.recogniser for row in differences} - {""})

    def facts(self) -> str:
        places = list(self._by_place())
        parts = []
        for world in self.worlds:
            here = [place for place in places if place[0] == world]
            seeds = len({place[1] for place in here})
            parts.append(f"`{world}`: {len(here)} settings in {seeds} world{'s' * (seeds > 1)}")
        fits = sorted({row.fits for row in self.differences if row.fit_variance != 0.0})
        faces = [max(row.faces for row in rows) for rows in self._by_place().values()]
        return (
            f"{len(places)} settings ({'; '.join(parts)}). {sum(faces)} faces in all, "
            f"{min(faces)} to {max(faces)} in a setting. Fits of each editor that a seed changes: "
            f"{' to '.join(map(str, dict.fromkeys((fits[0], fits[-1]))))}."
        )

    def _by_place(self) -> dict[tuple[str, int, int], list[Mean]]:
        found: dict[tuple[str, int, int], list[Mean]] = {}
        for row in self.means:
            found.setdefault((row.world, row.world_seed, row.bank_seed), []).append(row)
        return found

    def shares(self) -> str:
        """Where each finding holds, by recogniser, effect and world."""
        lines = []
        for finding in FINDINGS:
            every = rows_of(finding, self.differences)
            for recogniser in sorted({row.recogniser for row in every}):
                lines.append([*self._counts(finding, recogniser, every)])
        heads = ["finding", "by", *(f"effect {e:g}" for e in self.effects)]
        return table([*heads, *(f"`{w}`" for w in self.worlds), "decided", "refuted"], lines)

    def _counts(self, finding: Finding, recogniser: str, rows: Sequence[Difference]) -> list[str]:
        one = rows_of(finding, rows, recogniser=recogniser)
        by_effect = [share(finding, rows_of(finding, one, effect=e)) for e in self.effects]
        here = [rows_of(finding, one, effect=EFFECT, world=w) for w in self.worlds]
        total = share(finding, rows_of(finding, one, effect=EFFECT))
        unmatched = not any(row.effect for row in one)
        return [
            finding.sentence,
            recogniser.rpartition("-")[2] or _by(finding.metric),
            *((["–"] * len(by_effect)) if unmatched else map(str, by_effect)),
            *(str(share(finding, part)) for part in here),
            str(total.decided),
            str(total.against),
        ]

    def variance(self) -> str:
        """Components of the difference that each finding is about."""
        lines = []
        for finding in FINDINGS:
            every = rows_of(finding, self.differences, effect=EFFECT)
            for recogniser in sorted({row.recogniser for row in every}):
                rows = [row for row in every if row.recogniser == recogniser]
                found = components(rows)
                parts = (found.world, found.bank, found.fit, found.face)
                name = " ".join(filter(None, [finding.metric, recogniser.rpartition("-")[2]]))
                lines.append(
                    [
                        f"{finding.first} − {finding.second}",
                        name,
                        f"{found.mean:+.4f}",
                        *("–" if part is None else f"{part:.4f}" for part in parts),
                    ]
                )
        return table(["pair", "metric", "mean", "world", "bank", "fit", "face"], _once(lines))

    def editors(self) -> str:
        """Mean over settings of every editor, by world."""
        rows = [row for row in self.means if row.effect in (0.0, EFFECT)]
        keys = list(dict.fromkeys((row.metric, row.recogniser) for row in rows))
        lines = []
        for world in self.worlds:
            here = [row for row in rows if row.world == world]
            for editor in dict.fromkeys(row.editor for row in here):
                own = [row for row in here if row.editor == editor]
                lines.append([f"`{world}`", editor, *(_mean(own, key) for key in keys)])
        heads = [" ".join(filter(None, [m, r.rpartition("-")[2]])) for m, r in keys]
        return table(["world", "editor", *heads], lines)


def _once(lines: list[list[str]]) -> list[list[str]]:
    """Without repeated lines, of findings that claim two things of one difference."""
    return [list(line) for line in dict.fromkeys(map(tuple, lines))]


def _by(metric: str) -> str:
    return "judge" if metric in ("attribute leakage", "target error", "reach") else "truth"


def _mean(rows: Sequence[Mean], key: tuple[str, str]) -> str:
    found = [row.mean for row in rows if (row.metric, row.recogniser) == key]
    return f"{np.mean(found):.3f}" if found else "–"


def table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """In Markdown."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [heads, ["---"] * len(heads), *lines])


TABLES: dict[str, Callable[[Study], str]] = {
    "facts": Study.facts,
    "shares": Study.shares,
    "variance": Study.variance,
    "editors": Study.editors,
}
