"""Edited faces against the same faces with nothing else changed."""

from __future__ import annotations

import torch
from torch import Tensor

from latentedit.benchmark.cells.bench import BATCH, Bench
from latentedit.errors import Unsupported
from latentedit.measures.metrics import identity_similarity, pixel_error
from latentedit.measures.structure import structural_similarity


@torch.no_grad()
def against_counterfactual(
    bench: Bench, attribute: str, originals: Tensor, space: str, codes: Tensor, edited_space: str
) -> dict[str, Tensor]:
    """Distances of the edited faces to their counterfactuals.

    The counterfactual of a face has the edited face's true value of the attribute, and everything
    else of the unedited face. It shows what an edit by as much costs when it costs nothing.

    Args:
        originals: (N, \\*shape) unedited codes of `space`.
        codes: (N, \\*shape) edited codes of `edited_space`.

    Returns:
        ``counterfactual_pixels`` (N,), ``counterfactual_structure`` (N,) and
        ``counterfactual_similarity`` (E, N); nothing where the generator has no counterfactuals of
        these codes.
    """
    try:
        before = bench.generator.truth(originals, space)
        after = bench.generator.truth(codes, edited_space).attributes
        columns = before.schema.columns(attribute)
        wanted = before.attributes.clone()
        wanted[:, columns] = after[:, columns]
        imagined = bench.generator.counterfactual(originals, wanted, space)
    except Unsupported:
        return {}
    pixels, structure, similarity = [], [], []
    for batch, other in zip(codes.split(BATCH), imagined.split(BATCH), strict=True):
        images, edited = bench.images(batch, edited_space), bench.embedded(batch, edited_space)
        others, unedited = bench.images(other, space), bench.embedded(other, space)
        pixels.append(pixel_error(others, images))
        structure.append(structural_similarity(others, images))
        similarity.append(identity_similarity(unedited, edited))
    return {
        "counterfactual_pixels": torch.cat(pixels),
        "counterfactual_structure": torch.cat(structure),
        "counterfactual_similarity": torch.cat(similarity, 1),
    }
