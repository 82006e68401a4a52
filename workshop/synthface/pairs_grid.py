"""Grids of renders and generated images, in pairs of the same code."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

_COLUMNS, _SCALE = 8, 2


def pairs_grid(renders: Tensor, images: Tensor, resampling: Image.Resampling) -> Image.Image:
    """Rows of eight renders, each above a row of images of the same codes, at twice their size.

    Args:
        renders, images: (N, 3, H, W) uint8, N a multiple of eight.
    """
    rows = []
    for part in torch.arange(len(renders)).split(_COLUMNS):
        rows += [renders[part], images[part]]
    grid = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
    picture = Image.fromarray(grid.permute(1, 2, 0).numpy())
    return picture.resize((picture.width * _SCALE, picture.height * _SCALE), resampling)
