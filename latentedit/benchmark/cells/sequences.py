"""Edits one after the other: in other orders, and undone again."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from latentedit.benchmark.cells.asked import requested
from latentedit.benchmark.cells.bench import Bench
from latentedit.benchmark.cells.edits import NOTHING, TimedEditor
from latentedit.benchmark.cells.observing import where_served
from latentedit.benchmark.suite_parts import Sequence
from latentedit.benchmark.task import Task
from latentedit.editing.fitted import FittedEditor
from latentedit.editing.generators import codes_for
from latentedit.interfaces.runtime import Progress
from latentedit.measures.metrics import edit_consistency, identity_similarity, round_trip_error


class Request(NamedTuple):
    """One edit of N images.

    Args:
        change: (N,) how much is asked of each image.
        column: the column that changes.
        layers: the W+ rows that take the edit; None for all.
    """

    change: Tensor
    column: int
    layers: tuple[int, ...] | str | None

    @property
    def undone(self) -> Request:
        return self._replace(change=-self.change)


def measure_sequence(
    bench: Bench,
    editor: FittedEditor,
    sequence: Sequence,
    before: Mapping[str, Tensor],
    progress: Progress,
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Do the edits of `sequence` at strength 1 in every order; and do and undo the first 1..N.

    Returns:
        Arrays over images N, orders O and recognisers E, and what it cost. NaN for images that the
        editor refused in one of the edits.
    """
    test = bench.bank.split("test")
    faces, requests = _requests(bench, sequence)
    if not len(faces) and bench.suite.shard is not None:
        return {"faces": faces}, dict(NOTHING)
    codes, source = test.rows(faces)
    codes, space = codes_for(editor.space, codes, test.space, bench.generator)
    by_rows = any(request.layers is not None for request in requests)
    if by_rows and space != "s" and space not in bench.generator.row_spaces:
        rows = bench.generator.row_space
        codes, space = bench.generator.convert(codes, space, rows), rows
    timed = TimedEditor(editor)
    orders = list(itertools.permutations(requests))
    steps = len(orders) + len(requests)
    judged, drift, identity = [], [], []
    in_every_order = torch.ones(len(faces), dtype=torch.bool)
    for i, order in enumerate(orders):
        edited, served = _edit_all(timed, codes, source, order)
        in_every_order &= served
        judged.append(bench.judged(edited, space))
        progress((i + 1) / steps, f"order {i + 1}")
    for n in range(1, len(requests) + 1):
        undone = [request.undone for request in reversed(requests[:n])]
        back, served = _edit_all(timed, codes, source, [*requests[:n], *undone])
        embeddings = bench.look(back, space).embeddings
        drift.append(where_served(served, round_trip_error(codes, back)))
        lost = 1 - identity_similarity(before["embeddings"][:, faces], embeddings)
        identity.append(where_served(served, lost))
        progress((len(orders) + n) / steps, f"{n} edits undone")
    arrays = {
        "faces": faces,
        "consistency": where_served(
            in_every_order, edit_consistency(torch.stack(judged), bench.sigma, test.schema)
        ),
        "drift": torch.stack(drift),
        "drift_identity": torch.stack(identity),
    }
    return arrays, timed.cost


def _edit_all(
    editor: TimedEditor, codes: Tensor, attributes: Tensor, requests: Iterable[Request]
) -> tuple[Tensor, Tensor]:
    """Codes (N, \\*shape) after one request after the other, and (N,) which images were served by
    all. Attributes (N, A) follow along where an image was served."""
    all_served = torch.ones(len(codes), dtype=torch.bool)
    for request in requests:
        target = attributes.clone()
        target[:, request.column] += request.change
        edited = editor.edit(codes, attributes, target, request.layers)
        codes, all_served = edited.codes, all_served & edited.served
        attributes = torch.where(edited.served[:, None], target, attributes)
    return codes, all_served


def _requests(bench: Bench, sequence: Sequence) -> tuple[Tensor, list[Request]]:
    """The images that every edit takes, and what each edit asks of them."""
    tasks = [_task(bench, name) for name in sequence.edits]
    schema, labels = bench.bank.schema, bench.bank.split("test").attributes
    fit_labels = bench.bank.split("fit").attributes
    asked = [requested(task, labels, fit_labels, schema, bench.fewest) for task in tasks]
    common = sorted(set.intersection(*(set(faces.tolist()) for faces, _ in asked)))
    faces = torch.tensor(common, dtype=torch.long)
    return faces, [
        Request(
            change[torch.isin(chosen, faces)], schema.columns(task.attribute).start, task.layers
        )
        for task, (chosen, change) in zip(tasks, asked, strict=True)
    ]


def _task(bench: Bench, name: str) -> Task:
    return next(task for task in bench.suite.tasks if task.name == name)
