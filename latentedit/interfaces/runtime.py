"""Randomness and progress, as runtimes of every kind hand them to plugins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SEEDS = 2**31
"""Seeds are integers from 0 to SEEDS − 1."""

Progress = Callable[[float, str], None]
"""Takes the share that is done, in [0, 1], and a short message."""


def silent(fraction: float, message: str) -> None:
    """A `Progress` that says nothing."""


def seeded_rng(seed: int, stream: int) -> torch.Generator:
    """A CPU random generator; equal seeds and streams give equal numbers."""
    import torch  # here, since the command line reads SEEDS and must stay light

    return torch.Generator().manual_seed(seed * 1_000_003 + stream)
