"""A map of images in two dimensions."""

from __future__ import annotations

import torch
from torch import Tensor

MOST_FACES = 5_000
"""Images on a map; it shows the first ones of a larger bank."""


def face_map(codes: Tensor) -> Tensor:
    """(N, \\*shape) codes → (N, 2) coordinates in [0, 1], by principal component analysis.

    x = V₂ᵀ (w − w̄), V₂ the two right singular vectors with the largest singular values of the
    centred codes. Each vector has the sign that makes its largest entry positive.

    >>> square = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 1.0], [4.0, 1.0]])
    >>> face_map(square).round(decimals=3).tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    """
    flat = codes[:MOST_FACES].flatten(1).double()
    centred = flat - flat.mean(0)
    axes = torch.linalg.svd(centred, full_matrices=False).Vh[:2]
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    placed = centred @ (axes * largest.sign()).T
    if placed.shape[1] < 2:
        placed = torch.cat([placed, torch.zeros(len(placed), 2 - placed.shape[1])], 1)
    span = (placed.amax(0) - placed.amin(0)).clamp_min(1e-12)
    scaled: Tensor = (placed - placed.amin(0)) / span
    return scaled.float()
