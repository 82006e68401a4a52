"""New images that a judge accepts: drawn until it sees the wanted attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

ROUNDS = 8
"""How many times an image is drawn anew before its place stays empty."""


@dataclass(frozen=True)
class Accepted:
    """N samples, each the first one of its place that was accepted, or the last one drawn.

    Args:
        images: (N, 3, H, W).
        judged: (N, A) by the judge.
        ok: (N,) whether it was accepted.
        drawn: how many were drawn in all.
    """

    images: Tensor
    judged: Tensor
    ok: Tensor
    drawn: int


def sample_accepted(
    draw: Callable[[Tensor, int], Tensor],
    judge: Callable[[Tensor], Tensor],
    wanted: Tensor,
    columns: Sequence[int],
    within: Tensor | None,
    seed: int,
) -> Accepted:
    """Images with attributes `wanted` (N, A) of which the judge reads

        |A(x)_k − wanted_k| ≤ within_k   for every k in `columns`.

    Args:
        draw: attributes (M, A) and a seed → images (M, 3, H, W).
        judge: images → attributes (M, A).
        columns: that have to agree.
        within: (A,) how far; None accepts every image.
        seed: of the first round; each further one adds 1.
    """
    images = draw(wanted, seed)
    judged, drawn = judge(images), len(wanted)
    ok = _agree(judged, wanted, columns, within)
    for again in range(1, ROUNDS + 1):
        places = (~ok).nonzero()[:, 0]
        if not len(places):
            break
        images, judged = images.clone(), judged.clone()
        images[places] = draw(wanted[places], seed + again)
        judged[places] = judge(images[places])
        ok[places] = _agree(judged[places], wanted[places], columns, within)
        drawn += len(places)
    return Accepted(images, judged, ok, drawn)


def _agree(judged: Tensor, wanted: Tensor, columns: Sequence[int], within: Tensor | None) -> Tensor:
    if within is None:
        return torch.ones(len(judged), dtype=torch.bool)
    at = list(columns)
    return ((judged - wanted)[:, at].abs() <= within[at]).all(1)
