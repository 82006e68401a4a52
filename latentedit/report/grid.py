"""Labelled grids of small images, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib as mpl
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from latentedit.data.images import pictures, png
from latentedit.files.artefacts import write_bytes

MARGIN, GAP, TEXT = 12, 4, 15
TITLE, CAPTION = 13, 11
"""Sizes of letters."""
PAPER, INK, QUIET = (255, 255, 255), (30, 32, 36), (120, 124, 130)
REFUSED = (200, 30, 30)
"""The colour of the mark on images that were not edited."""


def save_grid(
    path: Path,
    rows: Sequence[Sequence[Tensor | None]],
    column_titles: Sequence[str],
    row_titles: Sequence[str],
    captions: Sequence[Sequence[str]] | None = None,
    scale: int = 2,
) -> None:
    """Draw images in rows and columns as a PNG file.

    Args:
        rows: images (3, H, W) uint8, or None for an empty place.
        column_titles, row_titles: drawn above and at the left.
        captions: a line under each image.
        scale: how many times larger each image is drawn.
    """
    write_bytes(path, png(draw_grid(rows, column_titles, row_titles, captions, scale)))


def refused(image: Tensor) -> Tensor:
    """The image (3, H, W) uint8 where it was not edited: crossed out, in a frame."""
    marked = image.clone()
    colour = torch.tensor(REFUSED, dtype=torch.uint8, device=image.device)[:, None]
    height, width = image.shape[1:]
    rows = torch.arange(height, device=image.device)
    columns = (rows * width) // height
    marked[:, rows, columns] = marked[:, rows, width - 1 - columns] = colour
    for edge in (marked[:, :1], marked[:, -1:], marked[..., :1], marked[..., -1:]):
        edge[:] = colour[..., None]
    return marked


def draw_grid(
    rows: Sequence[Sequence[Tensor | None]],
    column_titles: Sequence[str],
    row_titles: Sequence[str],
    captions: Sequence[Sequence[str]] | None = None,
    scale: int = 2,
) -> Image.Image:
    """The grid as a picture; see `save_grid`."""
    large, small = font(TITLE), font(CAPTION)
    shape = next(image.shape for row in rows for image in row if image is not None)
    size = (shape[2] * scale, shape[1] * scale)
    left = MARGIN + max((int(large.getlength(title)) for title in row_titles), default=0) + 8
    cell = (size[0] + GAP, size[1] + GAP + (TEXT + 4 if captions else 0))
    head = MARGIN + 2 * (TEXT + 4)
    page = Image.new(
        "RGB",
        (left + cell[0] * len(column_titles) + MARGIN, head + cell[1] * len(rows) + MARGIN),
        PAPER,
    )
    draw = ImageDraw.Draw(page)
    for c, title in enumerate(column_titles):
        centre = left + c * cell[0] + size[0] // 2
        lines = _wrapped(title, large, size[0])
        for i, line in enumerate(lines):
            top = head - (len(lines) - i) * (TEXT + 2) - 4
            draw.text((centre, top), line, INK, large, anchor="mt")
    for r, row in enumerate(rows):
        top = head + r * cell[1]
        draw.text((left - 8, top + size[1] // 2), row_titles[r], QUIET, large, anchor="rm")
        for c, image in enumerate(row):
            at = (left + c * cell[0], top)
            if image is not None:
                page.paste(to_picture(image).resize(size, Image.Resampling.BICUBIC), at)
            if captions:
                under = (at[0] + size[0] // 2, top + size[1] + 3)
                draw.text(under, captions[r][c], QUIET, small, anchor="mt")
    return page


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib: Pillow's own font has no σ."""
    return ImageFont.truetype(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


def _wrapped(text: str, of: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """At most two lines of at most `width` pixels, broken at hyphens and spaces."""
    if of.getlength(text) <= width:
        return [text]
    for i in range(len(text) - 1, 0, -1):
        if text[i - 1] in "- " and of.getlength(text[:i]) <= width:
            return [text[:i].strip(), text[i:].strip()]
    return [text]


def to_picture(image: Tensor) -> Image.Image:
    """(3, H, W) uint8 → a picture."""
    return pictures(image[None])[0]
