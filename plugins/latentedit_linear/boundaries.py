"""Semantic boundaries: published files of them, and conditional manipulation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentedit import InertTensor, InputError, mapped_array, read_network
from latentedit_linear.directions import unit

UNIT_TOLERANCE = 1e-3
_DEPENDENT = 1e-6


def read_boundary(path: str | Path, size: int | None = None) -> Tensor:
    """The unit normal in a ``.npy`` or ``.pt`` file.

    Args:
        path: a file holding floats of shape (1, D), as InterFaceGAN publishes them, or (D,), or
            (L, D). Its norm is 1, or that of each row.
        size: numbers of a code. Where they are L · D, rows are directions of the rows of W+ codes,
            which may differ, and a row of zeros stays as it is. Otherwise rows must be equal.

    Returns:
        (D,) float64; or (L · D,), for W+ codes as vectors.

    Raises:
        InputError: there is no such file, or it holds something else.
        CorruptArtefact: see `latentedit.mapped_array`.
        RefusedFile: see `latentedit.read_network`.
    """
    array = _array(Path(path))
    if array.ndim not in (1, 2) or not array.size or array.dtype.kind != "f":
        raise InputError(
            f"{path} holds {array.dtype} of shape {array.shape}; a boundary is floats of shape "
            "(1, D), (D,), or (L, D)"
        )
    rows = torch.from_numpy(np.array(np.atleast_2d(array), dtype=np.float64))
    if len(rows) > 1 and rows.numel() == size:
        return _of_rows(path, rows)
    different = (rows - rows[0]).abs().amax(1) > UNIT_TOLERANCE
    if different.any():
        raise InputError(
            f"{path} holds a direction for each of {len(rows)} rows of W+, and row "
            f"{int(different.int().argmax())} differs from row 0. It needs a bank of such codes: "
            "latentedit bank make --space w_plus"
        )
    return _checked(path, rows[0], rows[0].norm())


def _of_rows(path: str | Path, rows: Tensor) -> Tensor:
    """(L, D) directions of rows as one unit vector (L · D,)."""
    lengths = rows.norm(dim=1)
    moving = lengths > 0
    if not bool(moving.any()) or not _is_unit(lengths[moving]):
        return _checked(path, rows.flatten(), rows.norm())
    return unit(rows.flatten())


def _checked(path: str | Path, boundary: Tensor, norm: Tensor) -> Tensor:
    if not _is_unit(norm):
        raise InputError(
            f"{path} holds a vector of norm {float(norm):g}; a boundary is its unit normal. Divide "
            "by the norm if this is a direction"
        )
    return boundary


def _is_unit(norms: Tensor) -> bool:
    return bool(((norms - 1).abs() <= UNIT_TOLERANCE).all())


def _array(path: Path) -> NDArray[Any]:
    if path.suffix.lower() not in (".pt", ".pth"):
        return mapped_array(path)
    tensor = read_network(path).tree
    if not isinstance(tensor, InertTensor):
        raise InputError(
            f"{path} holds {type(tensor).__name__}; a boundary is one tensor of floats"
        )
    found: NDArray[Any] = tensor.array()
    return found


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
