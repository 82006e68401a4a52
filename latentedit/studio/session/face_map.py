"""Maps of codes in two dimensions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from sklearn.manifold import TSNE
from torch import Tensor

MOST_FACES = {"pca": 5_000, "tsne": 2_000}
"""Codes on a map; it shows the first ones of a larger bank."""
PERPLEXITY = 30.0
"""Of t-SNE: about how many neighbours a code keeps; a third of the codes where these are few."""
COMPONENTS = 50
"""Principal components that t-SNE starts from, as its authors advise."""


def principal_map(codes: Tensor) -> Tensor:
    """(N, \\*shape) codes → (N, 2) coordinates in [0, 1], by principal component analysis.

    x = V₂ᵀ (w − w̄), V₂ the two right singular vectors with the largest singular values of the
    centred codes. Each vector has the sign that makes its largest entry positive.

    >>> square = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 1.0], [4.0, 1.0]])
    >>> principal_map(square).round(decimals=3).tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    """
    return _scaled(_components(codes, 2))


def neighbour_map(codes: Tensor) -> Tensor:
    """(N, \\*shape) codes → (N, 2) coordinates in [0, 1], by t-SNE.

    Codes that are neighbours stay neighbours; distances between far ones mean little. It starts
    from `principal_map`, and the same codes give the same map. Three codes or fewer are too few
    for it, and get the map of principal components.

    van der Maaten and Hinton, "Visualizing Data using t-SNE", JMLR 2008.
    """
    if len(codes) < 4:
        return principal_map(codes)
    perplexity = min(PERPLEXITY, (len(codes) - 1) / 3)
    tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=0)
    placed = tsne.fit_transform(_components(codes, COMPONENTS).float().numpy())
    return _scaled(torch.from_numpy(placed).double())


MAPS: dict[str, Callable[[Tensor], Tensor]] = {"pca": principal_map, "tsne": neighbour_map}


def _components(codes: Tensor, count: int) -> Tensor:
    """(N, min(count, D), at least 2) principal components, in double precision."""
    flat = codes.flatten(1).double()
    centred = flat - flat.mean(0)
    axes = torch.linalg.svd(centred, full_matrices=False).Vh[:count]
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    placed = centred @ (axes * largest.sign()).T
    return torch.nn.functional.pad(placed, (0, max(0, 2 - placed.shape[1])))


def _scaled(placed: Tensor) -> Tensor:
    """(N, 2), each axis from 0 to 1."""
    low, high = placed.aminmax(dim=0)
    return ((placed - low) / (high - low).clamp_min(1e-12)).float()
