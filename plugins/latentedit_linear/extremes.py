"""The faces with the lowest and the highest values of an attribute."""

from __future__ import annotations

from torch import Tensor


def extremes(values: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """The faces with the lowest and with the highest values.

    Args:
        values: (N,) one attribute.
        share: of all faces that each end holds, at most 0.5.

    Returns:
        (n,) and (m,) face indices, lowest and highest first. Highest values that are no higher
        than the lowest end's are left out, so both are proper ends where values tie; m is 0 where
        all are equal.
    """
    order = values.argsort(stable=True)
    count = max(1, int(share * len(values)))
    low, high = order[:count], order[len(order) - count :].flip(0)
    return low, high[values[high] > values[low[-1]]]
