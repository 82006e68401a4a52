"""Selection of a different number of points in each row of a batch."""

from __future__ import annotations

import torch
from torch import Tensor


def places_of(keep: Tensor) -> Tensor:
    """Where `keep` holds, row by row, padded to the longest row.

    Args:
        keep: (N, K) booleans.

    Returns:
        (N, M) indices into each row, in order; rows that keep fewer repeat their first place.

    >>> places_of(torch.tensor([[False, True, True], [False, False, True]]))
    tensor([[1, 2],
            [2, 2]])
    """
    row, place = keep.nonzero(as_tuple=True)
    counts = keep.sum(dim=1)
    starts = counts.cumsum(0) - counts
    rank = torch.arange(len(row), device=keep.device) - starts[row]
    places = keep.to(torch.uint8).argmax(dim=1, keepdim=True).repeat(1, int(counts.max()))
    places[row, rank] = place
    return places
