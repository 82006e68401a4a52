"""The images that a page shows: unedited, then under each editor at the matched effect."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.values import FinishedEdits
from latentedit.benchmark.task import Task
from latentedit.data.images import data_uri, pictures
from latentedit.measures.metrics import TOLERANCE, attribute_leakage

MOST = 2_000_000
"""Characters that the pictures of one page may take. Above it they are compressed with loss; then
fewer of them are shown."""
WIDEST = 192
"""Pixels of a side of a picture that is compressed with loss."""

Encoder = Callable[[Tensor], str]
"""A picture (3, H, W) uint8 → an address that holds it."""


@dataclass(frozen=True)
class Shown:
    """An editor of a run, and the name that its row has."""

    name: str
    editor: str
    run: Run


@dataclass(frozen=True)
class UneditedFace:
    """A picture, and what is asked of the image.

    Args:
        row: of the test split.
    """

    uri: str
    caption: str
    row: int


@dataclass(frozen=True)
class EditedFace:
    """A picture with its numbers, at the first matched effect.

    Args:
        off: whether the achieved change is further from the wanted one than the tolerance.
        similarities: to the unedited image, by recogniser.
        leakage: mean |change| of the other attributes by the judge, in σ.
        effect: the achieved share of the requested change.
    """

    uri: str
    reached: bool
    off: bool
    similarities: dict[str, float]
    leakage: float
    effect: float
    strength: float

    @property
    def identity(self) -> float:
        """Similarity by the first recogniser."""
        return next(iter(self.similarities.values()))


@dataclass(frozen=True)
class FaceBlock:
    """The first images of one task: unedited, then a row an editor.

    Args:
        missing: entrants without a result.
        kept: how many images the run has pictures of; fewer may be shown.
    """

    task: str
    originals: list[UneditedFace]
    rows: dict[str, list[EditedFace]]
    missing: list[str]
    kept: int


def face_blocks(shown: Sequence[Shown], most: int = MOST) -> list[FaceBlock]:
    """Per task, its first images; a row for each of `shown` that has a result.

    Args:
        shown: all of runs that share bank and tasks.
        most: characters that all pictures together may take.
    """
    blocks = _blocks(shown, _lossless)
    if _size(blocks) <= most:
        return blocks
    blocks = _blocks(shown, _lossy)
    kept = max((len(block.originals) for block in blocks), default=0)
    while (size := _size(blocks)) > most and kept > 1:
        kept = max(1, min(kept - 1, kept * most // size))
        blocks = [_first(block, kept) for block in blocks]
    return blocks


def _size(blocks: Sequence[FaceBlock]) -> int:
    unedited = [face.uri for block in blocks for face in block.originals]
    edited = [face.uri for block in blocks for row in block.rows.values() for face in row]
    return sum(map(len, unedited + edited))


def _first(block: FaceBlock, count: int) -> FaceBlock:
    rows = {name: faces[:count] for name, faces in block.rows.items()}
    return FaceBlock(block.task, block.originals[:count], rows, block.missing, block.kept)


def _blocks(shown: Sequence[Shown], encoder: Encoder) -> list[FaceBlock]:
    first = shown[0].run
    blocks = []
    for task in first.suite.tasks:
        rows = []
        for one in shown:
            finished = one.run.finished(one.editor, task.name)
            if finished:
                rows.append((one, finished[0]))
        if rows:
            names = {one.name for one, _ in rows}
            missing = [one.name for one in shown if one.name not in names]
            unit = first.bank.schema[task.attribute].unit
            blocks.append(_block(task, rows, unit, missing, encoder))
    return blocks


def _block(
    task: Task,
    rows: list[tuple[Shown, FinishedEdits]],
    unit: str,
    missing: list[str],
    encoder: Encoder,
) -> FaceBlock:
    unedited = rows[0][1].arrays
    count = min(len(edits.arrays["images"]) for _, edits in rows)
    return FaceBlock(
        task.name,
        originals=[
            UneditedFace(
                encoder(unedited["images"][i]),
                _request(unedited, i, unit),
                int(unedited["faces"][i]),
            )
            for i in range(count)
        ],
        rows={shown.name: _faces(edits, shown.run, encoder, count) for shown, edits in rows},
        missing=missing,
        kept=count,
    )


def _request(arrays: dict[str, Tensor], i: int, unit: str) -> str:
    source = float(arrays["source"][i])
    return f"{source:.2g} → {source + float(arrays['change'][i]):.2g} {unit}".strip()


def _faces(edits: FinishedEdits, run: Run, encoder: Encoder, count: int) -> list[EditedFace]:
    """The first `count` images at the first matched effect."""
    arrays, reference = edits.arrays, run.reference
    leakage = attribute_leakage(
        reference.faces["judged"][arrays["faces"]],
        arrays["matched_judged"][0],
        reference.sigma,
        reference.schema,
        edits.attribute,
    )
    similarity = dict(zip(reference.thresholds, arrays["matched_similarity"][0], strict=True))
    wanted, effects = run.suite.effects[0], arrays["matched_effect"][0]
    return [
        EditedFace(
            uri=encoder(image),
            reached=not bool(torch.isnan(arrays["matched_strength"][0, i])),
            off=abs(float(effects[i]) - wanted) > TOLERANCE,
            similarities={name: float(values[i]) for name, values in similarity.items()},
            leakage=float(leakage[i]),
            effect=float(effects[i]),
            strength=float(arrays["matched_strength"][0, i]),
        )
        for i, image in enumerate(arrays["matched_images"][0][:count])
    ]


def _lossless(image: Tensor) -> str:
    return data_uri(pictures(image[None])[0])


def _lossy(image: Tensor) -> str:
    (picture,), buffer = pictures(image[None]), io.BytesIO()
    picture.thumbnail((WIDEST, WIDEST), Image.Resampling.LANCZOS)
    picture.save(buffer, "WEBP", quality=80)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
