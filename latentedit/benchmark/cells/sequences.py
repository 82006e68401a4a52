"""Edits one after the other: in other orders, and undone again."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from latentedit.benchmark.cells.measure import Bench, Progress, requested
from latentedit.benchmark.suite import Sequence, Task
from latentedit.editing.fitted import FittedEditor, codes_for
from latentedit.measures.metrics import edit_consistency, identity_similarity, round_trip_error


class Request(NamedTuple):
    """One edit of N faces.

    Args:
        change: (N,) how much is asked of each face.
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
        Arrays over faces N, orders O and recognisers E, and what it cost.
    """
    test = bench.bank.split("test")
    faces, requests = _requests(bench, sequence)
    codes, source = test.rows(faces)
    codes, space = codes_for(editor.space, codes, test.space, bench.generator)
    if space == "w" and any(request.layers is not None for request in requests):
        codes, space = bench.generator.convert(codes, "w", "w+"), "w+"
    cost = {"edit_seconds": 0.0, "edits": 0.0, "nfe": 0.0, "edit_calls": 0.0}

    def edit(codes: Tensor, now: Tensor, request: Request) -> tuple[Tensor, Tensor]:
        target = now.clone()
        target[:, request.column] += request.change
        started = time.perf_counter()
        edited = editor.edit(codes, now, target, layers=request.layers, extrapolate=True)
        cost["edit_seconds"] += time.perf_counter() - started
        cost["edits"] += len(codes)
        cost["edit_calls"] += 1
        cost["nfe"] += edited.nfe
        return edited.codes, target

    def edit_all(path: Iterable[Request]) -> Tensor:
        final, now = codes, source
        for request in path:
            final, now = edit(final, now, request)
        return final

    orders = list(itertools.permutations(requests))
    judged = []
    for i, order in enumerate(orders):
        judged.append(bench.look(edit_all(order), space).judged)
        progress((i + 1) / (len(orders) + len(requests)), f"order {i + 1}")
    drift, identity = [], []
    for n in range(1, len(requests) + 1):
        undone = [request.undone for request in reversed(requests[:n])]
        back = edit_all([*requests[:n], *undone])
        embeddings = bench.look(back, space).embeddings
        drift.append(round_trip_error(codes, back))
        identity.append(1 - identity_similarity(before["embeddings"][:, faces], embeddings))
        progress((len(orders) + n) / (len(orders) + len(requests)), f"{n} edits undone")
    arrays = {
        "faces": faces,
        "consistency": edit_consistency(torch.stack(judged), bench.sigma, test.schema),
        "drift": torch.stack(drift),
        "drift_identity": torch.stack(identity),
    }
    return arrays, cost


def _requests(bench: Bench, sequence: Sequence) -> tuple[Tensor, list[Request]]:
    """The faces that every edit takes, and what each edit asks of them."""
    tasks = [_task(bench, name) for name in sequence.edits]
    schema, labels = bench.bank.schema, bench.bank.split("test").attributes
    fit_labels = bench.bank.split("fit").attributes
    asked = [requested(task, labels, fit_labels, schema) for task in tasks]
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
