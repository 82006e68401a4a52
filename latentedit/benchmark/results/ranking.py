"""Mean ranks of editors over the worlds and tasks of several boards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from latentedit.benchmark.results.board import Board
from latentedit.benchmark.results.keys import ALL_TASKS, MetricKey
from latentedit.measures.definitions import Metric
from latentedit.measures.headline import headlines
from latentedit.measures.ranking import (
    Friedman,
    block_ranks,
    critical_difference,
    friedman,
    indistinct,
)

BlockKind = Literal["task", "world"]
"""What a block is: a task of a world, or a world with its tasks averaged."""

Values = NDArray[np.float64]


class Block(NamedTuple):
    """Where editors are ranked: the name of a board's world, and a task or `ALL_TASKS`."""

    world: str
    task: str


@dataclass(frozen=True)
class Ranking:
    """The editors of several worlds, ranked by one metric.

    Args:
        editors: (k,) best mean rank first.
        blocks: (N,) where they are ranked.
        ranks: (N, k) in each block; 1 is best, and equal figures share their mean.
        left_out: editors and blocks that lack figures, with the reason.
        difference: Nemenyi's critical difference of mean ranks at `error_rate`.
        groups: editors that it does not tell apart, largest groups only.
    """

    metric: Metric
    recognisers: int
    editors: tuple[str, ...]
    blocks: tuple[Block, ...]
    ranks: Values
    left_out: tuple[str, ...]
    test: Friedman
    difference: float
    groups: tuple[tuple[str, ...], ...]
    error_rate: float

    @property
    def means(self) -> dict[str, float]:
        """By editor its mean rank."""
        return dict(zip(self.editors, self.ranks.mean(0).tolist(), strict=True))

    @property
    def differ(self) -> bool:
        """Whether Friedman's test rejects that all editors are equal."""
        return self.test.p <= self.error_rate

    def means_in(self, world: str) -> dict[str, float]:
        """By editor its mean rank over the blocks of one world; empty where it has none."""
        inside = [block.world == world for block in self.blocks]
        if not any(inside):
            return {}
        return dict(zip(self.editors, self.ranks[inside].mean(0).tolist(), strict=True))


def world_names(boards: Sequence[Board]) -> list[str]:
    """A name for each board: its generator's, with the bank where two have the same."""
    names = [board.first.provenance.bank.generator for board in boards]
    banks = [f"{name} {board.bank_hash[:8]}" for name, board in zip(names, boards, strict=True)]
    named = [a if names.count(a) == 1 else b for a, b in zip(names, banks, strict=True)]
    return [
        name if named.count(name) == 1 else f"{name} ({', '.join(board.run_names)})"
        for name, board in zip(named, boards, strict=True)
    ]


def rankings(
    boards: Sequence[Board], kind: BlockKind = "task", error_rate: float = 0.05
) -> list[Ranking]:
    """One ranking for each headline metric that at least two editors have in at least two blocks.

    A block is a task of a world: one figure an editor, its mean over faces and fits at the matched
    effect. Recognisers are averaged. Editors count as the same where they have the same name;
    controls are left out. As long as a figure is missing, the editor or block that lacks the
    largest share of its figures is left out.

    Worlds are independent of each other. Tasks of one world share faces, judge and generator, so
    that with blocks of tasks the test is too sure of itself; blocks of worlds are the cautious
    choice.
    """
    worlds = world_names(boards)
    metrics = {name: metric for board in boards for name, metric in board.metrics.items()}
    found: dict[str, dict[tuple[Block, str], list[float]]] = {}
    recognisers: dict[str, set[MetricKey]] = {}
    for world, board in zip(worlds, boards, strict=True):
        controls = {entry.name for entry in board.entries if entry.control}
        for row in board.measures():
            if row.editor not in controls and (row.task == ALL_TASKS) == (kind == "world"):
                place = Block(world, row.task), row.editor
                found.setdefault(row.metric.name, {}).setdefault(place, []).append(row.mean)
                recognisers.setdefault(row.metric.name, set()).add(row.metric)
    ranked = (
        _ranking(metrics[name], len(recognisers[name]), found[name], error_rate)
        for name in headlines(metrics)
        if name in found and metrics[name].higher_is_better is not None
    )
    return [ranking for ranking in ranked if ranking is not None]


def _ranking(
    metric: Metric,
    recognisers: int,
    figures: dict[tuple[Block, str], list[float]],
    error_rate: float,
) -> Ranking | None:
    blocks = list(dict.fromkeys(block for block, _ in figures))
    editors = list(dict.fromkeys(name for _, name in figures))
    values = np.array(
        [[np.mean(figures.get((block, name), [np.nan])) for name in editors] for block in blocks]
    )
    rows, columns, left_out = _complete(values, blocks, editors)
    if len(rows) < 2 or len(columns) < 2:
        return None
    ranks = block_ranks(values[np.ix_(rows, columns)], bool(metric.higher_is_better))
    order = np.argsort(ranks.mean(0), kind="stable")
    ranks, names = ranks[:, order], tuple(editors[columns[i]] for i in order)
    difference = critical_difference(len(names), len(rows), error_rate)
    groups = indistinct(ranks.mean(0), difference)
    return Ranking(
        metric,
        recognisers,
        names,
        tuple(blocks[i] for i in rows),
        ranks,
        tuple(left_out),
        friedman(ranks),
        difference,
        tuple(tuple(names[i] for i in group) for group in groups),
        error_rate,
    )


def _complete(
    values: Values, blocks: Sequence[Block], editors: Sequence[str]
) -> tuple[list[int], list[int], list[str]]:
    """Rows and columns of (N, k) `values` that lack nothing, and in words what was left out."""
    rows, columns = list(range(len(blocks))), list(range(len(editors)))
    left_out: list[str] = []
    while rows and columns:
        missing = np.isnan(values[np.ix_(rows, columns)])
        if not missing.any():
            break
        of_blocks, of_editors = missing.mean(1), missing.mean(0)
        if of_editors.max() > of_blocks.max():
            at = int(of_editors.argmax())
            lacks = f"no figure in {missing[:, at].sum()} of {len(rows)} blocks"
            left_out.append(f"{editors[columns.pop(at)]}: {lacks}")
        else:
            at = int(of_blocks.argmax())
            lacks = f"no figure of {missing[at].sum()} of {len(columns)} editors"
            world, task = blocks[rows.pop(at)]
            left_out.append(f"{world}, {task}: {lacks}")
    return rows, columns, left_out
