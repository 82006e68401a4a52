"""Short names for narrow places."""

from __future__ import annotations

from collections.abc import Iterable

LONG = 14
"""Names of up to this many characters stay as they are."""


def short_names(names: Iterable[str]) -> dict[str, str]:
    """By name, what tells it from the others: the leading parts that all share are left out.

    Parts end in hyphens. Short names, and names that would become equal, stay whole.

    >>> short_names(["world-identity-contrastive", "world-identity-metric"])
    {'world-identity-contrastive': 'contrastive', 'world-identity-metric': 'metric'}
    >>> short_names(["world-identity-contrastive"])
    {'world-identity-contrastive': 'contrastive'}
    >>> short_names(["rec-one", "rec-two"])
    {'rec-one': 'rec-one', 'rec-two': 'rec-two'}
    """
    whole = list(dict.fromkeys(names))
    if not whole or all(len(name) <= LONG for name in whole):
        return {name: name for name in whole}
    parts = [name.split("-") for name in whole]
    most = min(map(len, parts)) - 1
    shared = 0
    while shared < most and len({tuple(part[: shared + 1]) for part in parts}) == 1:
        shared += 1
    return {name: "-".join(part[shared:]) for name, part in zip(whole, parts, strict=True)}
