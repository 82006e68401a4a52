"""The same image with only the requested attributes changed, where the generator knows it."""

from __future__ import annotations

import torch
from torch import Tensor

from latentedit.errors import Unsupported
from latentedit.studio.session.faces import Face
from latentedit.studio.session.workbench import Workbench


def counterfactual(bench: Workbench, face: Face, change: Tensor) -> Tensor | None:
    """Codes (1, \\*shape) of counterfactual(w, a + change), a the true attributes of w.

    Args:
        change: (1, A) in natural units, columns as in the bank.

    Returns:
        None if the generator does not know its world, or not in the space of this image.
    """
    if not bench.generator.has_counterfactuals:
        return None
    try:
        truth = bench.generator.truth(face.codes, face.space)
        known = truth.schema.column_names
        columns = torch.tensor([known.index(name) for name in bench.bank.schema.column_names])
        wanted = truth.attributes.clone()
        wanted[:, columns] += change
        return bench.generator.counterfactual(face.codes, wanted, face.space)
    except Unsupported:
        return None
