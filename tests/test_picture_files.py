"""The one reader of picture files: depth, transparency, orientation, limits and damage."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from latentedit import CorruptArtefact, InputError, LatentEditError, open_picture
from latentedit.photos.align import read_photograph
from latentedit_faces.pictures import read_picture

Pixels = NDArray[np.uint8]


def scene(height: int = 48, width: int = 48) -> Pixels:
    """A picture whose pixels all differ."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 5, y * 5, (x + 3 * y) % 256], 2).astype(np.uint8)


def written(folder: Path, picture: Image.Image, name: str = "a.png", **options: Any) -> Path:
    picture.save(folder / name, **options)
    return folder / name


def pixels(path: Path) -> Pixels:
    return np.asarray(open_picture(path))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_scaled_by_their_range(tmp_path: Path, suffix: str) -> None:
    ramp = np.arange(256, dtype=np.uint16).reshape(16, 16)
    deep = written(tmp_path, Image.fromarray(ramp * 257), f"deep{suffix}")
    assert np.array_equal(pixels(deep), np.repeat(ramp[..., None], 3, 2))
    near = written(tmp_path, Image.fromarray(np.array([[128, 129, 65_407]], np.uint16)), "n.png")
    assert pixels(near)[0, :, 0].tolist() == [0, 1, 255]  # 128/257 < 0.5 < 129/257


def test_floats_are_scaled_from_zero_to_one(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    path = written(tmp_path, Image.fromarray(values), "f.tif")
    assert pixels(path)[..., 1].ravel().tolist() == list(range(256))


@pytest.mark.parametrize(
    "values",
    [
        np.array([[0.0, 255.0]], np.float32),
        np.array([[-0.1, 1.0]], np.float32),
        np.array([[0.0, np.nan]], np.float32),
        np.array([[0, 70_000]], np.int32),
        np.array([[-1, 7]], np.int32),
    ],
)
def test_levels_of_an_unknown_range_are_refused(tmp_path: Path, values: NDArray[Any]) -> None:
    path = written(tmp_path, Image.fromarray(values), "f.tif")
    with pytest.raises(InputError, match=r"f\.tif has (floats|levels) from"):
        open_picture(path)


def test_transparency_is_composited_on_white(tmp_path: Path) -> None:
    colours = np.full((4, 4, 4), (200, 100, 0, 255), np.uint8)
    colours[0, 0, 3], colours[1, 1, 3] = 0, 128
    expected = np.full((4, 4, 3), (200, 100, 0), np.uint8)
    expected[0, 0] = 255
    share = 128 / 255
    for name in ("a.png", "a.webp", "a.tif"):
        options = {"lossless": True, "exact": True} if name == "a.webp" else {}
        found = pixels(written(tmp_path, Image.fromarray(colours), name, **options)).astype(int)
        blended = share * np.array([200, 100, 0]) + (1 - share) * 255
        assert np.abs(found[1, 1] - blended).max() <= 1
        found[1, 1] = expected[1, 1]
        assert np.array_equal(found, expected)


def test_every_kind_of_transparent_picture_hides_its_hidden_colour(tmp_path: Path) -> None:
    flat = np.zeros((2, 2), np.uint8)
    flat[0, 0] = 1
    palette = Image.fromarray(flat).convert("P")
    palette.putpalette([255, 0, 255, 10, 20, 30])
    grey_alpha = Image.merge("LA", [Image.fromarray(flat * 40), Image.fromarray(flat * 255)])
    deep = Image.fromarray(flat.astype(np.uint16) * 10_280)
    for picture, options, kept in (
        (palette, {"transparency": 0}, (10, 20, 30)),
        (palette, {"transparency": b"\x00\xff"}, (10, 20, 30)),
        (grey_alpha, {}, (40, 40, 40)),
        (Image.fromarray(flat * 40), {"transparency": 0}, (40, 40, 40)),
        (deep, {"transparency": 0}, (40, 40, 40)),
    ):
        found = pixels(written(tmp_path, picture, **options))
        assert found[0, 0].tolist() == list(kept)
        assert found[1, 1].tolist() == [255, 255, 255]


def test_grey_black_and_white_palette_and_cmyk_become_rgb(tmp_path: Path) -> None:
    grey = np.array([[0, 128, 255]], np.uint8)
    assert pixels(written(tmp_path, Image.fromarray(grey)))[0].tolist() == [
        [v, v, v] for v in (0, 128, 255)
    ]
    two = written(tmp_path, Image.fromarray(grey).convert("1", dither=Image.Dither.NONE))
    assert set(pixels(two).ravel().tolist()) == {0, 255}
    palette = Image.fromarray(grey).convert("P")
    assert pixels(written(tmp_path, palette))[0, :, 0].tolist() == [0, 128, 255]
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    red = pixels(written(tmp_path, cmyk, "c.jpg", quality=95))[4, 4].tolist()
    assert red[0] > 200
    assert max(red[1:]) < 60


STORED = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, 1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: np.rot90(p, -1),
}
"""How a camera stores an upright picture, by its orientation in EXIF (TIFF 6.0, tag 274)."""


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif", "a.jpg"])
@pytest.mark.parametrize("orientation", sorted(STORED))
def test_every_orientation_is_turned_upright(tmp_path: Path, orientation: int, name: str) -> None:
    upright = scene(32, 48)
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if name == "a.webp" else {}
    options = {"quality": 100, "subsampling": 0} if name == "a.jpg" else lossless
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    found = pixels(written(tmp_path, stored, name, exif=exif, **options)).astype(int)
    assert found.shape == upright.shape
    assert np.abs(found - upright).max() <= (8 if name == "a.jpg" else 0)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif"])
def test_the_first_frame_of_an_animated_picture_is_read(tmp_path: Path, name: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if name == "a.webp" else {}
    path = written(tmp_path, frames[0], name, save_all=True, append_images=frames[1:], **options)
    assert pixels(path)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif"])
def test_every_path_reads_the_same_formats_alike(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path, Image.fromarray(scene()), f"a{suffix}")
    expected = torch.from_numpy(pixels(path).copy()).permute(2, 0, 1) / 127.5 - 1
    assert torch.equal(read_photograph(path, 48).image, expected)
    assert torch.equal(read_picture(path), expected)


def test_a_gif_is_refused_by_every_path(tmp_path: Path) -> None:
    path = written(tmp_path, Image.fromarray(scene()), "a.gif")
    for read in (open_picture, read_picture, lambda p: read_photograph(p, 8)):
        with pytest.raises(CorruptArtefact, match="is none of PNG, JPEG, WEBP, BMP, TIFF"):
            read(path)


def huge_webp(kind: bytes) -> bytes:
    side = 16_383
    if kind == b"VP8X":
        body = bytes(4) + 2 * (side - 1).to_bytes(3, "little")
    elif kind == b"VP8L":
        body = b"\x2f" + (side - 1 | (side - 1) << 14).to_bytes(4, "little") + bytes(5)
    else:
        body = b"\x30\x01\x00\x9d\x01\x2a" + struct.pack("<HH", side, side)
    chunk = kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


@pytest.mark.parametrize("kind", [b"VP8X", b"VP8L", b"VP8 "])
def test_a_huge_webp_is_refused_by_its_header(tmp_path: Path, kind: bytes) -> None:
    (tmp_path / "a.webp").write_bytes(huge_webp(kind))
    with pytest.raises(InputError, match=r"16383 × 16383 pixels, more than 16,000,000"):
        open_picture(tmp_path / "a.webp")


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.jpg"])
def test_a_huge_picture_is_refused_before_its_pixels_are_decoded(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, Image.new("1" if name != "a.jpg" else "L", (4_001, 4_000)), name)
    tracemalloc.start()
    with pytest.raises(InputError, match="4001 × 4000 pixels, more than 16,000,000"):
        open_picture(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.bmp", "a.tif"])
def test_a_truncated_picture_is_an_error_of_the_projects_own(tmp_path: Path, name: str) -> None:
    whole = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(whole, Image.registered_extensions()[Path(name).suffix])
    data = whole.getvalue()
    for length in np.linspace(0, 0.9 * len(data), 40).astype(int):
        (tmp_path / name).write_bytes(data[:length])
        with pytest.raises(LatentEditError):
            open_picture(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.bmp", "a.tif"])
def test_a_damaged_picture_is_read_or_refused_and_never_a_foreign_error(
    tmp_path: Path, name: str
) -> None:
    whole = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {} if name == "a.bmp" else {"exif": exif}
    Image.fromarray(scene()).save(
        whole, Image.registered_extensions()[Path(name).suffix], **options
    )
    rng = np.random.default_rng(1)
    for _ in range(300):
        data = bytearray(whole.getvalue())
        for at in rng.integers(0, len(data), 3):
            data[at] = rng.integers(0, 256)
        (tmp_path / name).write_bytes(data)
        with suppress(LatentEditError):
            assert open_picture(tmp_path / name).mode == "RGB"


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    for path, told in (
        (tmp_path / "pipe.png", "a pipe, a socket or a device"),
        (Path("/dev/zero"), "a pipe, a socket or a device"),
        (tmp_path / "folder.png", "is a folder"),
        (tmp_path / "nowhere.png", "there is no file"),
        (tmp_path / "a.png" / "b.png", "there is no file"),
        (Path("a\0b.png"), "is not the name of a file"),
    ):
        with pytest.raises(InputError, match=told):
            open_picture(path)


def test_a_small_file_that_claims_many_pixels_is_refused(tmp_path: Path) -> None:
    """Its compressed data ends in good order, after 12 of a million rows."""
    file = tmp_path / "a.png"
    Image.fromarray(np.zeros((12, 9), np.uint16)).save(file)
    data = bytearray(file.read_bytes())
    data[20:24] = (1_000_000).to_bytes(4, "big")
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    file.write_bytes(data)
    with pytest.raises(CorruptArtefact, match="too few for its 9 × 1000000 pixels"):
        open_picture(file)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_a_picture_of_one_colour_is_read_however_small_its_file(tmp_path: Path, form: str) -> None:
    file = tmp_path / f"a.{form.lower()}"
    options = {"compression": "tiff_lzw"} if form == "TIFF" else {"lossless": True}
    Image.new("L", (3_000, 2_000), 255).save(file, form, **options)
    assert open_picture(file).size == (3_000, 2_000)
