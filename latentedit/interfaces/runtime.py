"""Randomness and progress, as runtimes of every kind hand them to plugins."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SEEDS = 2**31
"""Seeds are integers from 0 to SEEDS − 1."""

Progress = Callable[[float, str], None]
"""Takes the share that is done, in [0, 1], and a short message."""


def silent(fraction: float, message: str) -> None:
    """A `Progress` that says nothing."""


Log = Callable[[int, Mapping[str, float]], None]
"""Takes a step, from 0 on, and figures by name."""


def unlogged(step: int, figures: Mapping[str, float]) -> None:
    """A `Log` that keeps nothing."""


def seeded_rng(seed: int, stream: int | str) -> torch.Generator:
    """A CPU random generator; equal seeds and streams give equal numbers.

    A stream is a number from 0 on, or a name, of which the digest is taken.
    """
    import torch  # here, since the command line reads SEEDS and must stay light

    if isinstance(stream, str):
        # seed and name together, so that no name of one seed is the number of another
        digest = hashlib.sha256(f"{seed} {stream}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))
    return torch.Generator().manual_seed(seed * 1_000_003 + stream)
