"""Exports of a session: pictures, sweeps, codes, and commands that make the same."""

from __future__ import annotations

import io
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from latentedit.data.images import png
from latentedit.errors import EnvironmentFault, InputError
from latentedit.report.grid import draw_grid, refused
from latentedit.studio.session.edit_session import EditSession
from latentedit.studio.session.faces import BankFace
from latentedit.studio.session.pictures import Picture, View

MOST_FRAMES = 120
"""Frames of a sweep."""
_FRAMES_A_SECOND = 12
_LEAST_WIDTH = 192
"""Smaller images are enlarged to about this width in exported pictures, in pixels."""


def picture_png(session: EditSession) -> bytes:
    """A PNG picture of all columns, titled, with identity and leakage under each."""
    return png(_drawn(session.view()))


def sweep_frames(session: EditSession, attribute: str, frames: int = 24) -> list[Image.Image]:
    """Pictures of all columns while an attribute goes through its range, low to high and back.

    Raises:
        UnknownName: the schema has no such attribute.
        InputError: the attribute is a vector, or another number of frames is asked for.
    """
    swept = session.bench.bank.schema[attribute]
    if swept.size != 1:
        raise InputError(f"a sweep changes one number; {attribute!r} is a vector")
    if not 2 <= frames <= MOST_FRAMES:
        raise InputError(f"a sweep has 2 to {MOST_FRAMES} frames, received {frames}")
    way = [1 - abs(1 - 2 * i / frames) for i in range(frames)]
    values = [swept.low + share * (swept.high - swept.low) for share in way]
    shown = [session.view(session.request({attribute: value})) for value in values]
    unit = f" {swept.unit}" if swept.unit else ""
    return [
        _drawn(view, f"{attribute} {value:.3g}{unit}")
        for view, value in zip(shown, values, strict=True)
    ]


def sweep_gif(session: EditSession, attribute: str, frames: int = 24) -> bytes:
    """A GIF of `sweep_frames` that loops."""
    first, *others = sweep_frames(session, attribute, frames)
    buffer = io.BytesIO()
    first.save(
        buffer,
        "GIF",
        save_all=True,
        append_images=others,
        duration=1000 // _FRAMES_A_SECOND,
        loop=0,
    )
    return buffer.getvalue()


def sweep_mp4(session: EditSession, attribute: str, frames: int = 24) -> bytes:
    """An MP4 video of `sweep_frames`, by the program ffmpeg.

    Raises:
        EnvironmentFault: ffmpeg is not installed, or failed.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise EnvironmentFault("MP4 needs the program ffmpeg; install it, or export a GIF")
    pictures = sweep_frames(session, attribute, frames)
    width, height = (side - side % 2 for side in pictures[0].size)  # H.264 takes even sides only
    raw = b"".join(picture.crop((0, 0, width, height)).tobytes() for picture in pictures)
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "sweep.mp4"
        command = [program, "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
        command += ["-s", f"{width}x{height}", "-r", str(_FRAMES_A_SECOND), "-i", "-"]
        command += ["-pix_fmt", "yuv420p", "-movflags", "+faststart", str(video)]
        done = subprocess.run(  # noqa: S603  (a fixed program and numbers)
            command, input=raw, capture_output=True, check=False, timeout=120
        )
        if done.returncode or not video.is_file():
            told = done.stderr.decode(errors="replace").strip()[-300:]
            raise EnvironmentFault(f"ffmpeg could not make the video: {told}; export a GIF")
        return video.read_bytes()


def codes_npy(picture: Picture) -> bytes:
    """The code of a picture, (1, \\*shape), as a ``.npy`` file."""
    buffer = io.BytesIO()
    np.save(buffer, picture.codes.cpu().numpy(), allow_pickle=False)
    return buffer.getvalue()


def commands(session: EditSession, saved_as: str, opened_with: str) -> list[str]:
    """Command lines that make the same pictures.

    The first one draws a saved session. Where ``latentedit edit`` can ask for the same, one for
    each editor follows.

    Args:
        saved_as: file of the session.
        opened_with: the arguments that open the studio, such as ``runs/quickstart``.
    """
    first = f"latentedit studio {opened_with} --session {shlex.quote(saved_as)} --out picture.png"
    return [first, *_edit_commands(session)]


def _edit_commands(session: EditSession) -> list[str]:
    edits, origin, bench = session.history.now, session.face.origin, session.bench
    layers = {edit.layers for edit in edits}
    plain = all(edit.strength == edits[0].strength <= 1 for edit in edits) and len(layers) == 1
    whole = all(len(edit.values) == 1 for edit in edits)
    if not isinstance(origin, BankFace) or not plain or not whole or session.effect is not None:
        return []
    settings = [
        f"{name}={_written(value)}" for edit in edits for name, value in edit.values.items()
    ]
    options = ["--bank", str(bench.bank.folder), "--index", str(origin.index)]
    options += [part for setting in settings for part in ("--set", setting)]
    if edits[0].strength != 1:
        options += ["--amount", f"{edits[0].strength:.9g}"]
    rows = layers.pop()
    if rows is not None:
        options += ["--layers", rows if isinstance(rows, str) else ",".join(map(str, rows))]
    return [
        shlex.join(
            ["latentedit", "edit", "--editor", str(folder), *options, "--out", f"{name}.png"]
        )
        for name in session.columns
        if (folder := bench.folders.get(name)) is not None
    ]


def _written(value: tuple[float, ...]) -> str:
    numbers = [f"{number:.9g}" for number in value]  # as many digits as float32 needs
    return numbers[0] if len(numbers) == 1 else f"[{', '.join(numbers)}]"


def _drawn(view: View, title: str = "") -> Image.Image:
    """All columns of a view in one row; pictures of refused edits are crossed out.

    Args:
        title: under the unedited image, so that the size of a sweep's frames never changes.
    """
    images = [
        refused(picture.image) if picture.refused else picture.image for picture in view.pictures
    ]
    captions = [_caption(picture) for picture in view.edited]
    last = [] if view.counterfactual is None else [_caption(view.counterfactual)]
    return draw_grid(
        [images],
        [picture.title for picture in view.pictures],
        [""],
        [[title, *captions, *last]],
        scale=max(1, -(-_LEAST_WIDTH // images[0].shape[2])),
    )


def _caption(picture: Picture) -> str:
    """Such as ``identity 0.91, leakage 0.12``."""
    similar = picture.reading.identity.values()
    parts = [f"identity {min(similar):.2f}"] if similar else []
    if picture.reading.changes:
        parts.append(f"leakage {picture.reading.mean_leakage:.2f}")
    return ", ".join(parts)
