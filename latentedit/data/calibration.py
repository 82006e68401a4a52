"""Calibration of directions: natural units per unit of strength."""

from __future__ import annotations

import torch
from torch import Tensor


def slopes(codes: Tensor, attributes: Tensor, directions: Tensor) -> Tensor:
    """Change of each attribute per unit of strength along its own direction.

    Least squares of attribute k on the projection p_k = w·d_k over the fit split:
    slope_k = cov(a_k, p_k) / var(p_k). To first order, a move by (target − source) / slope_k along
    d_k reaches the target.

    Args:
        codes: (N, D).
        attributes: (N, A), natural units.
        directions: (A, D), unit norm.

    Returns:
        (A,) natural units per unit of strength; 0 if the codes do not vary along the direction.
    """
    projected = (codes - codes.mean(0)) @ directions.T
    centred = attributes - attributes.mean(0)
    spread = projected.square().sum(0)
    return torch.where(spread > 0, (projected * centred).sum(0) / spread, 0.0)
