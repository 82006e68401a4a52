"""Strengths beyond those of a suite, for images that these do not bring to an effect."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

GROWING = 0.01
"""Least growth of an effect over a doubling of the strength with which it counts as growing."""


def extended(
    effect_at: Callable[[Tensor, Tensor], Tensor],
    strengths: Tensor,
    effects: Tensor,
    wanted: float,
    limit: float,
) -> tuple[Tensor, Tensor]:
    """Strengths and effects with the largest strength doubled, image by image.

    An image goes on until its effect attains `wanted`, or until a doubling adds less than `GROWING`
    to its largest effect so far. Images that stopped keep their last effect.

    Args:
        effect_at: (strengths (M,), rows (M,)) → measured effects (M,).
        strengths: (S,) ascending.
        effects: (S, N) measured on them.
        limit: the largest strength that is tried.

    Returns:
        (S + K,) strengths and (S + K, N) effects.
    """
    best = effects.amax(0)
    active = (best < wanted).nonzero()[:, 0]
    while len(active) and strengths[-1] < limit:
        strength = (2 * strengths[-1]).clamp(max=limit)
        measured = effect_at(strength.expand(len(active)), active)
        row = effects[-1].clone()
        row[active] = measured
        strengths, effects = torch.cat([strengths, strength[None]]), torch.cat([effects, row[None]])
        going = (measured < wanted) & (measured > best[active] + GROWING)
        best[active] = torch.maximum(best[active], measured)
        active = active[going]
    return strengths, effects
