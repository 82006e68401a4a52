"""Edits one after the other: in other orders, and undone again."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from functools import reduce

import torch
from torch import Tensor

from latentedit.benchmark.measure import Bench, Progress, requested
from latentedit.benchmark.suite import Sequence, Task
from latentedit.editing import FittedEditor, codes_for
from latentedit.metrics import edit_consistency, identity_similarity, inversion_error

Requests = list[tuple[Tensor, int]]
"""By edit the change (N,) of each face and the column that changes."""


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
    cost = {"edit_seconds": 0.0, "edits": 0.0, "nfe": 0.0, "edit_calls": 0.0}

    def edit(codes: Tensor, now: Tensor, change: Tensor, column: int) -> tuple[Tensor, Tensor]:
        target = now.clone()
        target[:, column] += change
        started = time.perf_counter()
        edited = editor.edit(codes, now, target, extrapolate=True)
        cost["edit_seconds"] += time.perf_counter() - started
        cost["edits"] += len(codes)
        cost["edit_calls"] += 1
        cost["nfe"] += edited.nfe
        return edited.codes, target

    orders = list(itertools.permutations(requests))
    judged = []
    for i, order in enumerate(orders):
        final, _ = reduce(lambda state, request: edit(*state, *request), order, (codes, source))
        judged.append(bench.look(final, space).judged)
        progress((i + 1) / (len(orders) + len(requests)), f"order {i + 1}")
    drift, identity = [], []
    for n in range(1, len(requests) + 1):
        undone = [(-change, column) for change, column in reversed(requests[:n])]
        path = [*requests[:n], *undone]
        back, _ = reduce(lambda state, request: edit(*state, *request), path, (codes, source))
        embeddings = bench.look(back, space).embeddings
        drift.append(inversion_error(codes, back))
        identity.append(1 - identity_similarity(before["embeddings"][:, faces], embeddings))
        progress((len(orders) + n) / (len(orders) + len(requests)), f"{n} edits undone")
    arrays = {
        "faces": faces,
        "consistency": edit_consistency(torch.stack(judged), bench.sigma, test.schema),
        "drift": torch.stack(drift),
        "drift_identity": torch.stack(identity),
    }
    return arrays, cost


def _requests(bench: Bench, sequence: Sequence) -> tuple[Tensor, Requests]:
    """The faces that every edit takes, and what each edit asks of them."""
    tasks = [_task(bench, name) for name in sequence.edits]
    schema, labels = bench.bank.schema, bench.bank.split("test").attributes
    fit_labels = bench.bank.split("fit").attributes
    asked = [requested(task, labels, fit_labels, schema) for task in tasks]
    common = sorted(set.intersection(*(set(faces.tolist()) for faces, _ in asked)))
    faces = torch.tensor(common, dtype=torch.long)
    return faces, [
        (change[torch.isin(chosen, faces)], schema.columns(task.attribute).start)
        for task, (chosen, change) in zip(tasks, asked, strict=True)
    ]


def _task(bench: Bench, name: str) -> Task:
    return next(task for task in bench.suite.tasks if task.name == name)
