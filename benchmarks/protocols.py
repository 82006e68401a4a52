"""How far other papers' protocols rank editors as the truth does.

    python benchmarks/protocols.py figures --out runs/study   # docs/protocols/*.csv from a study
    python benchmarks/figures.py write                        # docs/protocols.md from the figures

The settings of `benchmarks/study.py` are replayed: the same edits, scored by each protocol, rank
the editors of every setting. Kendall's τ compares each ranking with that of the true scores.
Intervals are of a bootstrap of settings, and of the faces within them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from protocol_scores import PROTOCOLS, TRUTHS, Protocol, path_of
from study import ROOT, finished
from study_figures import Finished, rounded, write_rows
from study_measure import fits
from study_page import table
from study_settings import settings

from latentedit.benchmark.results.tally import mean_known
from latentedit.benchmark.suite import load_suite
from latentedit.measures.definitions import METRICS

SCORES, TAUS = "scores.csv", "taus.csv"
OURS = "styleflow"
"""The plugin whose editors a paper would treat as its own, with a more lenient threshold."""
MARGINS = {
    "drift": METRICS["true identity drift"].margin or 0.0,
    "leakage": METRICS["true leakage"].margin or 0.0,
}
DRAWS = 1000
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """An editor's mean score in one setting under one protocol, or in truth."""

    world: str
    world_seed: int
    bank_seed: int
    recogniser: str
    protocol: str
    editor: str
    score: float


@dataclass(frozen=True)
class Tau:
    """Agreement of a protocol's ranking of editors with the true one, over settings.

    Args:
        tau: mean of Kendall's τ over the pairs that the truth tells apart.
        low, high: 95 % of bootstrap draws.
        every: the same over all pairs.
        best: share of settings in which the protocol's first editor is truly within the margin of
            the best.
        settings, pairs: how many there are, and how many pairs the truth tells apart in each.
    """

    protocol: str
    truth: str
    recogniser: str
    world: str
    tau: float
    low: float
    high: float
    every: float
    best: float
    settings: int
    pairs: float


@dataclass(frozen=True)
class Replayed:
    """One setting under every protocol.

    Args:
        scores: (K, N) by protocol: higher is better; NaN where a face does not count.
        truths: (K, N) by name: lower is better.
    """

    place: tuple[str, int, int]
    recogniser: str
    editors: tuple[str, ...]
    scores: dict[str, Array]
    truths: dict[str, Array]


def replayed(setting: Finished, recogniser: int) -> Replayed:
    """Scores of every editor, over fits and tasks; controls take no part."""
    suite, editors = setting.suite, tuple(setting.suite.editors)
    count = len(setting.reference.faces["judged"])
    names = {p.name: p.score for p in PROTOCOLS} | TRUTHS
    found = {name: np.full((len(editors), count), np.nan) for name in names}
    for k, editor in enumerate(editors):
        lenient = suite.editors[editor].plugin == OURS
        tables: dict[str, list[Array]] = {name: [] for name in names}
        for fit in (fit for fit in fits(suite) if fit[0] == editor):
            for task in suite.tasks:
                edits = setting.edits(fit, task)
                path = path_of(edits, setting.reference, recogniser)
                for name, score in names.items():
                    faces = np.full(count, np.nan)
                    faces[edits.arrays["faces"].numpy()] = score(path, lenient).double().numpy()
                    tables[name].append(faces)
        for name, parts in tables.items():
            found[name][k] = mean_known(np.stack(parts))
    for protocol in PROTOCOLS:
        scores = found[protocol.name]
        if not protocol.higher_is_better:
            scores *= -1
        if protocol.common:
            scores[:, np.isnan(scores).any(0)] = np.nan
    name = str(suite.identity[recogniser])
    truths = {truth: found.pop(truth) for truth in TRUTHS}
    return Replayed(setting.place, name, editors, found, truths)


def agreement(score: Array, cost: Array, margin: float) -> float:
    """Kendall's τ of scores (K,), higher is better, and costs (K,), lower is better.

    Only pairs count whose costs differ by more than `margin`; NaN where there are none.
    """
    first, second = np.triu_indices(len(score), 1)
    truly = cost[second] - cost[first]
    apart = np.abs(truly) > margin
    signs = np.sign(score[first] - score[second]) * np.sign(truly)
    return float(signs[apart].mean()) if apart.any() else float("nan")


def best_is_best(score: Array, cost: Array, margin: float) -> bool:
    """Whether the editor with the highest score costs at most `margin` more than the least."""
    return bool(cost[score.argmax()] <= cost.min() + margin)


def tau(rows: Sequence[Replayed], protocol: Protocol, world: str, draws: int = DRAWS) -> Tau:
    """Of one recogniser's rows, of all worlds or one."""
    rows = [row for row in rows if world in ("both", row.place[0])]
    margin, rng = MARGINS[protocol.truth], np.random.default_rng(0)
    pairs = [(row.scores[protocol.name], row.truths[protocol.truth]) for row in rows]
    means = [(_means(score), _means(cost)) for score, cost in pairs]
    found = [agreement(score, cost, margin) for score, cost in means]
    drawn = []
    for _ in range(draws):
        one = []
        for i in rng.integers(len(rows), size=len(rows)):
            faces = rng.integers(pairs[i][0].shape[1], size=pairs[i][0].shape[1])
            score, cost = (_means(part[:, faces]) for part in pairs[i])
            one.append(agreement(score, cost, margin))
        drawn.append(np.nanmean(one))
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    apart = [np.abs(np.subtract.outer(c, c))[np.triu_indices(len(c), 1)] > margin for _, c in means]
    return Tau(
        protocol.name,
        protocol.truth,
        rows[0].recogniser,
        world,
        rounded(float(np.nanmean(found))),
        rounded(float(low)),
        rounded(float(high)),
        rounded(float(np.nanmean([agreement(*both, 0.0) for both in means]))),
        rounded(float(np.mean([best_is_best(*both, margin) for both in means]))),
        len(rows),
        rounded(float(np.mean([part.sum() for part in apart]))),
    )


def _means(faces: Array) -> Array:
    """(K,) over the known faces of each."""
    means: Array = mean_known(faces.T)
    return means


def scores_of(rows: Sequence[Replayed]) -> list[Score]:
    return [
        Score(*row.place, row.recogniser, name, editor, rounded(float(value)))
        for row in rows
        for name, faces in (row.scores | row.truths).items()
        for editor, value in zip(row.editors, _means(faces), strict=True)
    ]


def figures(out: Path, suite_name: str, folder: Path, draws: int) -> None:
    suite = load_suite(suite_name)
    by_recogniser: list[list[Replayed]] = [[] for _ in suite.identity]
    for setting in finished(suite, out, settings()):
        for e, rows in enumerate(by_recogniser):
            rows.append(replayed(setting, e))
    worlds = list(dict.fromkeys(row.place[0] for row in by_recogniser[0]))
    found = [
        tau(rows, protocol, world, draws)
        for protocol in PROTOCOLS
        for rows in by_recogniser
        for world in ("both", *worlds)
    ]
    write_rows(folder / TAUS, found)
    write_rows(folder / SCORES, [row for rows in by_recogniser for row in scores_of(rows)])


def table_of_taus(rows: Sequence[Tau]) -> str:
    """One line a protocol and recogniser, the worlds side by side; protocols that ask the judge
    have one line."""
    worlds = [world for world in dict.fromkeys(row.world for row in rows) if world != "both"]
    lines, seen = [], set()
    for row in (row for row in rows if row.world == "both"):
        by_judge = row.truth == "leakage"
        if by_judge and row.protocol in seen:
            continue
        seen.add(row.protocol)
        of = {
            r.world: r for r in rows if (r.protocol, r.recogniser) == (row.protocol, row.recogniser)
        }
        lines.append(
            [
                row.protocol,
                "judge" if by_judge else row.recogniser.rpartition("-")[2],
                f"true {row.truth}",
                f"{row.tau:.2f} ({row.low:.2f} to {row.high:.2f})",
                *(f"{of[world].tau:.2f}" for world in worlds),
                f"{row.every:.2f}",
                f"{row.best:.0%}",
            ]
        )
    heads = ["protocol", "by", "against", "τ", *(f"`{world}`" for world in worlds)]
    return table([*heads, "all pairs", "names a best"], lines)


def facts(rows: Sequence[Tau], scores: Sequence[Score]) -> str:
    editors = list(dict.fromkeys(row.editor for row in scores))
    pairs = {row.truth: row.pairs for row in rows if row.world == "both"}
    total = len(editors) * (len(editors) - 1) // 2
    return (
        f"{rows[0].settings} settings, {len(editors)} editors: {', '.join(editors)}. Of {total} "
        f"pairs the truth tells {pairs['drift']:.1f} apart by drift and {pairs['leakage']:.1f} by "
        "leakage, on average."
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["figures"])
    parser.add_argument("--out", type=Path, default=Path("runs/study"), help="of the study")
    parser.add_argument("--suite", default="study", help="name or path of its protocol")
    parser.add_argument("--draws", type=int, default=DRAWS, help="of the bootstrap")
    parser.add_argument("--figures", type=Path, default=ROOT / "docs" / "protocols")
    given = parser.parse_args()
    torch.set_num_threads(1)
    figures(given.out, given.suite, given.figures, given.draws)


if __name__ == "__main__":
    main()
