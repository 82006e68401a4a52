"""How far the edited images of one cell lie from the unedited ones as a whole."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import torch
from torch import Tensor

from latentedit.errors import InputError
from latentedit.measures.realism import frechet_distance, kernel_distance_by_image


def distances(
    unedited: Tensor, edited: Tensor, reached: Tensor, spread: Tensor, at_once: int | None = None
) -> dict[str, Tensor]:
    """Kernel and Fréchet distance between the images that reached an effect and themselves before.

    Args:
        unedited, edited: (N, F) features by the judge, the same image at the same place.
        reached: (N,) which images count.
        spread: (F,) standard deviation of each feature over all unedited images. Features are
            measured in it; those that never change are left out.
        at_once: images in one kernel distance; all if None. More are parted into equal sets.

    Returns:
        ``kernel`` (N,) pseudo-values, NaN for images that do not count and everywhere where there
        are too few; ``frechet`` (), NaN where there are too few; ``features`` (), their number.
    """
    alive = spread > 1e-6
    before, after = (
        (part[reached][:, alive] / spread[alive]).double().numpy() for part in (unedited, edited)
    )
    kernel, frechet = torch.full((len(reached),), float("nan")), float("nan")
    with suppress(InputError):
        sets = 1 if at_once is None else max(1, -(-len(before) // at_once))
        pairs = zip(np.array_split(before, sets), np.array_split(after, sets), strict=True)
        found = [kernel_distance_by_image(*pair) for pair in pairs]
        kernel[reached] = torch.from_numpy(np.concatenate(found)).float()
    with suppress(InputError):
        frechet = frechet_distance(before, after)
    return {
        "kernel": kernel,
        "frechet": torch.tensor(frechet),
        "features": alive.sum(),
    }
