"""Same-person thresholds: the cosine at a given false accept rate."""

from __future__ import annotations

import torch
from torch import Tensor

from latentedit import InputError

FALSE_ACCEPTS = 1e-3
PAIRS_A_MISTAKE = 10
"""Smallest number of pairs of different people per accepted pair, for a reliable threshold."""


def same_person_threshold(embeddings: Tensor, false_accepts: float = FALSE_ACCEPTS) -> float:
    """The cosine exceeded by a share `false_accepts` of the pairs of different people.

    Args:
        embeddings: (N, E), unit norm, one row per person; faces of a bank are different people.

    Raises:
        InputError: N (N − 1) / 2 pairs are too few; a share of 1e-3 needs 142 people.

    >>> people = torch.nn.functional.normalize(torch.randn(400, 64, generator=torch.Generator()
    ...     .manual_seed(0)), dim=1)
    >>> 0.3 < same_person_threshold(people) < 0.45
    True
    """
    n = len(embeddings)
    pairs = n * (n - 1) // 2
    if pairs * false_accepts < PAIRS_A_MISTAKE:
        raise InputError(
            f"{n} people make {pairs} pairs; a false accept rate of {false_accepts:g} needs at "
            f"least {PAIRS_A_MISTAKE / false_accepts:.0f}"
        )
    rows, columns = torch.triu_indices(n, n, offset=1)
    cosines = (embeddings @ embeddings.T)[rows, columns]
    return float(cosines.kthvalue(pairs - int(pairs * false_accepts)).values)
