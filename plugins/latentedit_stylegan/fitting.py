"""A check of weights against an architecture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from latentedit import CorruptArtefact
from latentedit_stylegan.architecture import Shape


def check_weights(expected: Mapping[str, Shape], weights: Mapping[str, Tensor], path: Path) -> None:
    """Raise `CorruptArtefact` for the first missing, unknown, misshapen or infinite weight.

    Args:
        path: where they were read, for the message.
    """
    if missing := set(expected) - set(weights):
        raise CorruptArtefact(f"{path} lacks the weights {sorted(missing)[0]}; import it again")
    if unknown := set(weights) - set(expected):
        raise CorruptArtefact(f"{path} has unknown weights {sorted(unknown)[0]}; import it again")
    for name, shape in expected.items():
        if tuple(weights[name].shape) != shape or not weights[name].is_floating_point():
            raise CorruptArtefact(
                f"{path}: {name} is {weights[name].dtype} of {tuple(weights[name].shape)}, not "
                f"floating-point numbers of {shape}; import it again"
            )
        if not bool(weights[name].isfinite().all()):
            raise CorruptArtefact(f"{path}: {name} is not finite; import it again")
