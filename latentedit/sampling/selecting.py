"""Codes whose images show what a labeller reads."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from latentedit.errors import InputError
from latentedit.interfaces.estimators import AttributeEstimator
from latentedit.interfaces.generator import Generator

BATCH = 64
ROUND_SEED_OFFSET, ROUNDS = 1_000_003, 12
"""Codes whose images the labeller cannot read are replaced by codes of other seeds, so often at
most."""


@torch.no_grad()
def found_codes(
    draw: Callable[[int, int], Tensor],
    n: int,
    seed: int,
    space: str,
    generator: Generator,
    estimator: AttributeEstimator,
) -> tuple[Tensor, int]:
    """`n` codes whose images show what the estimator reads, and how many others were left out.

    Args:
        draw: (n, \\*shape) codes by number and seed.

    Raises:
        InputError: hardly any image shows it.
    """
    if not estimator.selective:
        return draw(n, seed), 0
    kept, tried, left_out = draw(0, seed), 0, 0
    while len(kept) < n:
        if tried == ROUNDS:
            raise InputError(
                f"the labeller finds what it reads in {len(kept)} of {len(kept) + left_out} images "
                "of the generator; use another labeller, or other options of it"
            )
        codes = draw(n - len(kept), (seed + tried * ROUND_SEED_OFFSET) % 2**63)
        found = [
            estimator.found(generator.synthesize(part, space)).cpu() for part in codes.split(BATCH)
        ]
        chosen = torch.cat(found)
        kept, tried = torch.cat([kept, codes[chosen]]), tried + 1
        left_out += int((~chosen).sum())
    return kept, left_out
