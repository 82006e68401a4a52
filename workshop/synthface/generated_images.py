"""Images of ``synthface-net`` with the factors of their codes."""

from __future__ import annotations

import torch

from latentedit_synthface.factors import IDENTITY, factors_from_scores
from latentedit_synthface.trained_generator import SynthFaceNet
from workshop.synthface.renders import Renders, packed

_BROADENED = 1.4
"""How much wider than people the scores of broadened codes are."""
_BATCH = 1_000


@torch.no_grad()
def generated_images(generator: SynthFaceNet, n: int, seed: int, broadened: bool) -> Renders:
    """Images of sampled codes, each of another person.

    Args:
        broadened: move half of the codes so that their scores are 1.4 times as far from the mean,
            as edits need; their factors stay those of the moved codes.
    """
    codes = generator.sample(n, seed)
    if broadened:
        wide = codes[: n // 2]
        codes = torch.cat(
            [generator.codes_with(_BROADENED * generator.scores(wide), wide), codes[n // 2 :]]
        )
    scores = generator.scores(codes)
    images = [packed(generator.synthesize(part)) for part in codes.split(_BATCH)]
    factors = factors_from_scores(scores)
    return Renders(torch.cat(images), factors, scores[:, IDENTITY], torch.arange(n))
