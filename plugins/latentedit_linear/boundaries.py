"""Semantic boundaries: published files of them, and conditional manipulation."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latentedit import InputError, mapped_array
from latentedit_linear.directions import unit

UNIT_TOLERANCE = 1e-3
_DEPENDENT = 1e-6


def read_boundary(path: str | Path) -> Tensor:
    """The unit normal in a ``.npy`` file as InterFaceGAN publishes them.

    Args:
        path: a file holding floats of shape (1, D) and norm 1.

    Returns:
        (D,) float64.

    Raises:
        InputError: there is no such file, or it holds something else.
        CorruptArtefact: see `latentedit.mapped_array`.
    """
    try:
        array = mapped_array(Path(path))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    if array.ndim != 2 or array.shape[0] != 1 or array.dtype.kind != "f":
        raise InputError(
            f"{path} holds {array.dtype} of shape {array.shape}; a boundary is floats of shape "
            "(1, D)"
        )
    boundary = torch.from_numpy(np.array(array[0], dtype=np.float64))
    norm = float(boundary.norm())
    if not abs(norm - 1) <= UNIT_TOLERANCE:
        raise InputError(
            f"{path} holds a vector of norm {norm:g}; a boundary is its unit normal. Divide by "
            "the norm if this is a direction"
        )
    return boundary


def write_boundary(path: str | Path, boundary: Tensor) -> None:
    """Write a (D,) unit normal as the published files are: ``.npy``, (1, D), float64."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.partial")
    with temporary.open("wb") as file:
        np.save(file, boundary.detach().cpu().double().numpy()[None], allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def project(boundary: Tensor, others: Tensor) -> Tensor:
    """Conditional manipulation: the part of a boundary orthogonal to other boundaries.

        n' = (n − B⁺ B n) / ‖n − B⁺ B n‖,    rows of B: the other boundaries

    For one other boundary this is n₁ − (n₁·n₂) n₂, normalised, of Shen et al., "Interpreting the
    latent space of GANs for semantic face editing", CVPR 2020. A move along n' keeps the distance
    from every boundary in B.

    Args:
        boundary: (D,) n.
        others: (K, D) B, of any norm; they may be linearly dependent.

    Returns:
        (D,) unit norm, or zero where `boundary` lies within the span of `others`.
    """
    # An SVD instead of the pseudo-inverse: nearly equal boundaries have tiny singular values, whose
    # directions are noise and are dropped.
    _, size, rows = torch.linalg.svd(unit(others.double()), full_matrices=False)
    basis = rows[size > _DEPENDENT * size.amax().clamp_min(_DEPENDENT)]
    primal = boundary.double()
    rest = primal - (primal @ basis.T) @ basis
    if rest.norm() <= _DEPENDENT * primal.norm():
        return torch.zeros_like(boundary)
    return unit(rest).to(boundary.dtype)
