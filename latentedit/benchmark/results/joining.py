"""The arrays of the cells of all shards, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import add

import numpy as np
import torch
from torch import Tensor

from latentedit.benchmark.cells.distances import distances
from latentedit.benchmark.cells.observing import SEEN, SPACE
from latentedit.measures.realism import Gaussian

MATCHED_SEEN = f"matched_{SEEN}"
KERNEL_IMAGES = 2_048
"""A kernel distance is over sets of so many images at most, and the mean over these sets."""
BY_RECOGNISER = ("similarity", "identity")
"""Ends of the names of arrays whose last axis is the face."""
ONCE = ("faces", "change", "source", "images", "consistency", "round_trip")
"""Beginnings of the names of arrays whose first axis is the face."""
OF_UNEDITED = frozenset(
    ("judged", "embeddings", "truth", "identity", "features", "images", "labels", "possible")
)
"""Names of arrays of unedited images."""
OF_FACES = {"embeddings": 1, "possible": 1}
"""The axis of the face in arrays of unedited faces, where it is not the first."""


def feature_spread(parts: Iterable[Tensor]) -> Tensor:
    """(F,) standard deviation of features (N, F) that come in parts."""
    whole = reduce(add, (Gaussian.of(part.double().numpy()) for part in parts))
    return torch.from_numpy(np.sqrt(whole.covariance.diagonal())).float()


def joined_faces(shards: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Of the unedited faces of shards, in order."""
    if len(shards) == 1:
        return dict(shards[0])
    return {
        name: torch.cat([shard[name] for shard in shards], OF_FACES.get(name, 0))
        for name in shards[0]
    }


def joined_edits(
    shards: Sequence[Mapping[str, Tensor]], starts: Sequence[int], show: int
) -> dict[str, Tensor]:
    """Of the edits of one editor and task; empty where no shard has a face of the task.

    Args:
        starts: the number of each shard's first face.
        show: how many images are kept.
    """
    moved = [
        {**arrays, "faces": arrays["faces"] + start}
        for arrays, start in zip(shards, starts, strict=True)
        if len(arrays["faces"])
    ]
    edits = {
        name: torch.cat([arrays[name] for arrays in moved], _axis(name))
        for name in (moved[0] if moved else {})
        if name != SPACE
    }
    if "images" in edits:
        edits["images"] = edits["images"][:show]
        edits["matched_images"] = edits["matched_images"][:, :show]
    return edits


def _axis(name: str) -> int:
    """Of the face, in an array of edits."""
    if name.endswith(BY_RECOGNISER):
        return -1
    return 0 if name.startswith(ONCE) else 1


def joined_distances(
    edits: dict[str, Tensor], features: Tensor, spread: Tensor
) -> dict[str, Tensor]:
    """Of the edits of shards, the distances that cells without shards have themselves.

    Args:
        features: (N, F) of the unedited faces, by the judge.
        spread: (F,) their standard deviations.
    """
    reached = ~edits["matched_strength"].isnan()
    found = [
        distances(features[edits["faces"]], seen, here, spread, KERNEL_IMAGES)
        for seen, here in zip(edits[MATCHED_SEEN], reached, strict=True)
    ]
    return {f"matched_{name}": torch.stack([f[name] for f in found]) for name in found[0]}
