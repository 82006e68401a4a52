"""Sweeps as pictures that move, and as a strip."""

from __future__ import annotations

import io
import math
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor

from latentedit.benchmark.sweep import SweepFrames
from latentedit.data.images import png
from latentedit.errors import EnvironmentFault
from latentedit.files.artefacts import write_bytes
from latentedit.report.grid import draw_grid, refused

KINDS = (".gif", ".png", ".mp4")
"""Endings of the files that can be written."""
MILLISECONDS = 120
"""Of one frame."""
STRIP = 8
"""Most frames in a strip."""


def write_film(
    path: Path,
    sweeps: Mapping[str, SweepFrames],
    unedited: Sequence[Tensor],
    titles: Sequence[str],
    subjects: Sequence[str],
) -> None:
    """Write a sweep as a GIF or MP4 that moves, or as a PNG strip, by the ending of `path`.

    Under each picture stand the attribute as the judge sees it, and the identity similarity. An
    image that the editor did not bring to the value is crossed out.

    Args:
        sweeps: frames by editor; each is a column of the film, and a row an image of the strip.
        unedited: a picture (3, H, W) uint8 for each image.
        titles: one a frame.
        subjects: one an image.

    Raises:
        EnvironmentFault: the ending is ``.mp4`` and there is no ffmpeg.
    """
    if path.suffix.lower() == ".png":
        write_bytes(path, png(_strip(sweeps, unedited, titles, subjects)))
        return
    pictures = [_frame(sweeps, unedited, f, title, subjects) for f, title in enumerate(titles)]
    if path.suffix.lower() == ".gif":
        write_bytes(path, _gif(pictures))
    else:
        write_bytes(path, _mp4(pictures))


def _frame(
    sweeps: Mapping[str, SweepFrames],
    unedited: Sequence[Tensor],
    frame: int,
    title: str,
    subjects: Sequence[str],
) -> Image.Image:
    rows = [
        [unedited[n], *(_shown(one, frame, n) for one in sweeps.values())]
        for n in range(len(subjects))
    ]
    captions = [
        [title if n == 0 else "", *(_caption(one, frame, n) for one in sweeps.values())]
        for n in range(len(subjects))
    ]
    return draw_grid(rows, ["unedited", *sweeps], subjects, captions)


def _strip(
    sweeps: Mapping[str, SweepFrames],
    unedited: Sequence[Tensor],
    titles: Sequence[str],
    subjects: Sequence[str],
) -> Image.Image:
    count = min(STRIP, len(titles))
    shown = [round(i * (len(titles) - 1) / max(1, count - 1)) for i in range(count)]
    rows, captions, names = [], [], []
    for n, subject in enumerate(subjects):
        for editor, one in sweeps.items():
            rows.append([unedited[n], *(_shown(one, f, n) for f in shown)])
            captions.append(["", *(_caption(one, f, n) for f in shown)])
            names.append(f"{subject}, {editor}" if len(subjects) > 1 else editor)
    return draw_grid(rows, ["unedited", *(titles[f] for f in shown)], names, captions)


def _shown(one: SweepFrames, frame: int, row: int) -> Tensor:
    image = one.images[frame, row]
    return image if one.served[frame, row] else refused(image)


def _caption(one: SweepFrames, frame: int, row: int) -> str:
    value, identity = float(one.judged[frame, row]), float(one.identity[frame, row])
    known = "" if math.isnan(identity) else f" · {identity:.2f}"
    return f"{value:.3g}{known}"


def _gif(pictures: Sequence[Image.Image]) -> bytes:
    buffer = io.BytesIO()
    palette = [picture.quantize(256, Image.Quantize.FASTOCTREE) for picture in pictures]
    palette[0].save(
        buffer,
        "GIF",
        save_all=True,
        append_images=palette[1:],
        duration=MILLISECONDS,
        loop=0,
        disposal=1,
    )
    return buffer.getvalue()


def ffmpeg() -> str:
    """Where ffmpeg is.

    Raises:
        EnvironmentFault: it is not installed.
    """
    found = shutil.which("ffmpeg")
    if found is None:
        raise EnvironmentFault(
            "an .mp4 file takes ffmpeg, which is not installed; install it, or write a .gif"
        )
    return found


def _mp4(pictures: Sequence[Image.Image]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        for i, picture in enumerate(pictures):
            even = picture.crop((0, 0, picture.width // 2 * 2, picture.height // 2 * 2))
            (Path(folder) / f"{i:05}.png").write_bytes(png(even))
        out = Path(folder) / "film.mp4"
        rate = f"{1000 / MILLISECONDS:.3f}"
        frames = ["-framerate", rate, "-i", str(Path(folder) / "%05d.png")]
        done = subprocess.run(  # noqa: S603
            [ffmpeg(), "-loglevel", "error", *frames, "-pix_fmt", "yuv420p", str(out)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or not out.is_file():
            raise EnvironmentFault(f"ffmpeg failed: {done.stderr.strip()[-300:] or 'no output'}")
        return out.read_bytes()
