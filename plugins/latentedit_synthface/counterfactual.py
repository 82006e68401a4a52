"""Scores of the same face with other attributes: the inverse of `factors_from_scores`."""

from __future__ import annotations

import torch
from torch import Tensor

from latentedit_synthface.factors import (
    ATTRIBUTES,
    BEARD,
    FACTORS,
    GENDER,
    attribute_quantile,
    attributes_from_correlated,
    beard_gate,
    factors_from_scores,
    score_correlations,
)

REACH = 4.0
"""Largest correlated score that a changed attribute is given, in standard deviations: one face in
30,000 lies beyond it."""
_HALVINGS = 45
_SAME = 1e-5
"""Difference of two values, as a share of the range, below which they count as equal."""


def scores_with(scores: Tensor, attributes: Tensor) -> Tensor:
    """Scores (N, 41) of the same faces with `attributes` (N, 17) in natural units.

    The correlated score of each changed attribute is found by bisection within ±`REACH`, and
    s = L⁻¹ s' keeps the correlated scores of all the others. A value that is out of reach becomes
    the nearest in reach. Beard comes last: its value depends on gender too, and is held when gender
    changes, as far as gender lets a beard show.
    """
    cholesky = torch.linalg.cholesky(score_correlations()).to(scores.device)
    before, wanted = scores[:, :17].double(), attributes.double()
    correlated = before @ cholesky.T
    held = factors_from_scores(scores)[:, :17] == attributes
    wanted = torch.where(held, attributes_from_correlated(correlated), wanted)
    for column in [*(i for i in range(len(ATTRIBUTES)) if i != BEARD), BEARD]:
        values = attributes_from_correlated(correlated)
        apart = values[:, column] - wanted[:, column]
        rows = apart.abs() > _SAME * (FACTORS[column].high - FACTORS[column].low)
        if not bool(rows.any()):
            continue
        shown = beard_gate(values[:, GENDER]) if column == BEARD else torch.ones_like(apart)
        solved = _solved(ATTRIBUTES[column], wanted[:, column] / shown)
        correlated[:, column] = torch.where(rows, solved, correlated[:, column])
    change = torch.linalg.solve_triangular(
        cholesky, (correlated - before @ cholesky.T).T, upper=False
    ).T
    return torch.cat([(before + change).to(scores), scores[:, 17:]], dim=1)


def _solved(name: str, wanted: Tensor) -> Tensor:
    """(N,) correlated scores at which the attribute's quantile function is `wanted` (N,)."""
    low, high = (torch.full_like(wanted, end) for end in (-REACH, REACH))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = attribute_quantile(name, middle) < wanted
        low, high = middle.where(below, low), high.where(below, middle)
    return (low + high) / 2
