"""The one reader of picture files, for every command and plugin."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from latentedit.errors import CorruptArtefact, InputError
from latentedit.files.regular import file_size, open_regular

PICTURE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
MAX_PIXELS = 16_000_000
MAX_BYTES = 256 << 20
PIXELS_PER_BYTE = 4_096
"""More pixels than any byte of a PNG, JPEG, BMP or TIFF file can stand for: deflate packs at most
1,032 bytes into one, and TIFF's LZW about 2,500. Lossless WebP has no such limit."""
BACKGROUND = (255, 255, 255)
"""White: transparent parts are composited on it, as most viewers show them."""
_DEEP = ("I;16", "I;16L", "I;16B", "I;16N")
_TO_BYTES = ((np.arange(65_536) + 128) // 257).astype(np.uint8)
"""Nearest 8-bit level of each 16-bit level: 65,535 = 257 × 255."""


def open_picture(path: Path) -> Image.Image:
    """An upright RGB picture with 8 bits per channel.

    - Depth: 16-bit levels are scaled by 255 / 65,535, and floats from 0 to 1 by 255.
    - Transparency is composited on white. Palettes and CMYK are converted to RGB.
    - All eight orientations of EXIF are applied.
    - Of an animated or multi-page picture, the first frame is read.

    Raises:
        InputError: there is no such regular file, it has more than 16 million pixels, or its
            levels have an unknown range.
        CorruptArtefact: it is not a PNG, JPEG, WebP, BMP or TIFF file, or is damaged.
    """
    with open_regular(path) as file:
        if (size := file_size(file)) > MAX_BYTES:
            raise InputError(f"{path} has {size:,} bytes, more than {MAX_BYTES:,}; make it smaller")
        try:
            return _decoded(path, file, size)
        except InputError:
            raise
        except UnidentifiedImageError:
            raise CorruptArtefact(f"{path} is none of {', '.join(PICTURE_FORMATS)}") from None
        except Exception as error:  # decoders raise errors of any kind on damaged files
            raise CorruptArtefact(f"{path} cannot be decoded: {error}") from None


def picture_files(folder: Path, *, recursive: bool = False) -> list[Path]:
    """The pictures in `folder`, sorted; with `recursive`, also those in its folders.

    Raises:
        InputError: there is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}")
    found: Iterable[Path] = folder.rglob("*") if recursive else folder.iterdir()
    files = sorted(path for path in found if path.suffix.lower() in PICTURE_SUFFIXES)
    if not files:
        raise InputError(f"{folder} holds no picture; supported: {', '.join(PICTURE_SUFFIXES)}")
    return files


def _decoded(path: Path, file: BinaryIO, size: int) -> Image.Image:
    # WebP's decoder allocates the canvas when it is opened, so its size is read from the header
    # first. For the other formats, Pillow reads the size before it decodes any pixel.
    _check_pixels(path, *_webp_size(file.read(30)))
    file.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of sizes and damaged tags
        try:
            # A fixed list of formats keeps rarely tested decoders out of reach.
            picture = Image.open(file, formats=PICTURE_FORMATS)
        except Image.DecompressionBombError:
            raise InputError(
                f"{path} has more than {MAX_PIXELS:,} pixels; make it smaller"
            ) from None
        with picture:
            _check_pixels(path, *picture.size)
            # Pillow fills in missing rows if the compressed data ends in good order.
            if picture.format != "WEBP" and math.prod(picture.size) > PIXELS_PER_BYTE * size:
                raise CorruptArtefact(
                    f"{path} has {size:,} bytes, too few for its {picture.width} × "
                    f"{picture.height} pixels: it is cut or damaged"
                )
            # Phones store photos unrotated, with the orientation in an EXIF tag.
            return _as_rgb(path, ImageOps.exif_transpose(picture))


def _check_pixels(path: Path, width: int, height: int) -> None:
    if math.prod((width, height)) > MAX_PIXELS:
        raise InputError(
            f"{path} has {width} × {height} pixels, more than {MAX_PIXELS:,}; make it smaller"
        )


def _webp_size(head: bytes) -> tuple[int, int]:
    """Width and height from the first 30 bytes of a WebP file; (0, 0) for another file.

    See the WebP container specification: VP8X, VP8L (lossless) and VP8 (lossy) headers.
    """
    if len(head) < 30 or head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return 0, 0
    if head[12:16] == b"VP8X":
        width, height = (int.from_bytes(head[i : i + 3], "little") + 1 for i in (24, 27))
    elif head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (int.from_bytes(head[i : i + 2], "little") & 0x3FFF for i in (26, 28))
    return width, height


def _as_rgb(path: Path, picture: Image.Image) -> Image.Image:
    if picture.mode in (*_DEEP, "I", "F"):
        return _shallow(path, picture).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    seen = picture.convert("RGBA")
    below = Image.new("RGBA", seen.size, (*BACKGROUND, 255))
    return Image.alpha_composite(below, seen).convert("RGB")


def _shallow(path: Path, picture: Image.Image) -> Image.Image:
    """A grey picture of 16 bits, 32 bits or floats as one of 8 bits."""
    values: NDArray[np.number] = np.asarray(picture)
    low, high = float(values.min()), float(values.max())
    if picture.mode == "F":
        if not (low >= 0 and high <= 1):  # also true for NaN
            raise InputError(
                f"{path} has floats from {low:g} to {high:g}; scale them to 0 to 1, or save 8 bits"
            )
        levels = (values * 255).round().astype(np.uint8)
    else:
        if not 0 <= low <= high < len(_TO_BYTES):
            raise InputError(
                f"{path} has levels from {low:g} to {high:g}; save it with 8 or 16 bits"
            )
        levels = _TO_BYTES[values]
    clear = picture.info.get("transparency")
    if isinstance(clear, int):  # one level of a 16-bit PNG may be transparent
        levels = np.where(values == clear, np.uint8(BACKGROUND[0]), levels)
    return Image.fromarray(levels)
