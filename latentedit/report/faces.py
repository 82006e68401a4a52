"""The faces that a page shows: unedited, then under each editor at the matched effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.values import FinishedEdits
from latentedit.benchmark.task import Task
from latentedit.data.images import data_uri, pictures
from latentedit.measures.metrics import attribute_leakage


@dataclass(frozen=True)
class Shown:
    """An editor of a run, and the name that its row has."""

    name: str
    editor: str
    run: Run


@dataclass(frozen=True)
class UneditedFace:
    """A picture, and what is asked of the face."""

    uri: str
    caption: str


@dataclass(frozen=True)
class EditedFace:
    """A picture with its numbers, at the first matched effect.

    Args:
        similarities: to the unedited face, by recogniser.
        leakage: mean |change| of the other attributes by the judge, in σ.
        effect: the achieved share of the requested change.
    """

    uri: str
    reached: bool
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
    """The first faces of one task: unedited, then a row an editor."""

    task: str
    originals: list[UneditedFace]
    rows: dict[str, list[EditedFace]]


def face_blocks(shown: Sequence[Shown]) -> list[FaceBlock]:
    """Per task, its first faces; a row for each of `shown` that has a result.

    Args:
        shown: all of runs that share bank and tasks.
    """
    first = shown[0].run
    blocks = []
    for task in first.suite.tasks:
        rows = []
        for one in shown:
            finished = one.run.finished(one.editor, task.name)
            if finished:
                rows.append((one, finished[0]))
        if rows:
            blocks.append(_block(task, rows, first.bank.schema[task.attribute].unit))
    return blocks


def _block(task: Task, rows: list[tuple[Shown, FinishedEdits]], unit: str) -> FaceBlock:
    unedited = rows[0][1].arrays
    count = min(len(edits.arrays["images"]) for _, edits in rows)
    return FaceBlock(
        task.name,
        originals=[
            UneditedFace(_uri(unedited["images"][i]), _request(unedited, i, unit))
            for i in range(count)
        ],
        rows={shown.name: _faces(edits, shown.run)[:count] for shown, edits in rows},
    )


def _request(arrays: dict[str, Tensor], i: int, unit: str) -> str:
    source = float(arrays["source"][i])
    return f"{source:.2g} → {source + float(arrays['change'][i]):.2g} {unit}".strip()


def _faces(edits: FinishedEdits, run: Run) -> list[EditedFace]:
    """The shown faces at the first matched effect."""
    arrays, reference = edits.arrays, run.reference
    leakage = attribute_leakage(
        reference.faces["judged"][arrays["faces"]],
        arrays["matched_judged"][0],
        reference.sigma,
        reference.schema,
        edits.attribute,
    )
    similarity = dict(zip(reference.thresholds, arrays["matched_similarity"][0], strict=True))
    return [
        EditedFace(
            uri=_uri(image),
            reached=not bool(torch.isnan(arrays["matched_strength"][0, i])),
            similarities={name: float(values[i]) for name, values in similarity.items()},
            leakage=float(leakage[i]),
            effect=float(arrays["matched_effect"][0, i]),
            strength=float(arrays["matched_strength"][0, i]),
        )
        for i, image in enumerate(arrays["matched_images"][0])
    ]


def _uri(image: Tensor) -> str:
    return data_uri(pictures(image[None])[0])
