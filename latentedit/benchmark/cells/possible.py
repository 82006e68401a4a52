"""Which images a task can be asked of: those that no edit at all could do are left out."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from latentedit.benchmark.cells.asked import requested
from latentedit.benchmark.cells.bench import Bench
from latentedit.benchmark.cells.extending import extended
from latentedit.benchmark.task import Task
from latentedit.errors import InputError, Unsupported
from latentedit.measures.metrics import achieved_change

POSSIBLE = "possible"
"""Of the images' cell: which images each task may be asked of."""


def images_asked(bench: Bench, task: Task, before: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The images that a task edits, (K,) rows of the test split, and (K,) by how much.

    Args:
        before: what was observed on the unedited test images, by name.

    Raises:
        InputError: too few images are left.
    """
    test, labels = bench.bank.split("test"), bench.bank.split("fit").attributes
    faces, change = requested(task, test.attributes, labels, test.schema, bench.fewest)
    if POSSIBLE not in before:
        return faces, change
    done = before[POSSIBLE][bench.suite.tasks.index(task), faces]
    if int(done.sum()) < bench.fewest:
        raise InputError(
            f"task {task.name!r}: {int(done.sum())} of {len(done)} images can show the "
            "largest effect at all, with only this attribute changed; ask for less"
        )
    return faces[done], change[done]


def possible_images(bench: Bench, judged: Tensor) -> dict[str, Tensor]:
    """The images that each task may be asked of, before any editor is fitted.

    An image counts where the judge sees the suite's largest effect, at some strength s up to the
    limit, on the same image with only the task's attribute changed: the generator's own
    counterfactual with the attribute's true value raised by s Δ.

    Args:
        judged: (N, A) what the judge says of the unedited test images.

    Returns:
        ``possible`` (T, N), False too for images that a task does not ask; nothing where the suite
        does not ask for it, or the generator has no counterfactuals of these images.
    """
    if not bench.suite.only_possible:
        return {}
    try:
        return {POSSIBLE: torch.stack([_of_task(bench, t, judged) for t in bench.suite.tasks])}
    except Unsupported:
        return {}


def _of_task(bench: Bench, task: Task, judged: Tensor) -> Tensor:
    """(N,) of one task."""
    suite, test = bench.suite, bench.bank.split("test")
    fit_labels = bench.bank.split("fit").attributes
    faces, change = requested(task, test.attributes, fit_labels, test.schema, bench.fewest)
    found = torch.zeros(len(judged), dtype=torch.bool)
    if not len(faces):
        return found
    codes = test.rows(faces)[0]
    truth = bench.generator.truth(codes, test.space)
    known, column = truth.schema.columns(task.attribute), test.schema.columns(task.attribute).start

    def effect_at(strengths: Tensor, rows: Tensor) -> Tensor:
        wanted = truth.attributes[rows].clone()
        wanted[:, known.start] += strengths * change[rows]
        changed = bench.generator.counterfactual(codes[rows], wanted, test.space)
        seen = bench.judged(changed, test.space)[:, column]
        return achieved_change(judged[faces[rows], column], seen, change[rows])

    every = torch.arange(len(faces))
    strengths, wanted = torch.tensor(suite.strengths), max(suite.effects)
    limit = suite.strength_limit or suite.strengths[-1]
    effects = torch.stack([effect_at(s.expand(len(faces)), every) for s in strengths])
    _, effects = extended(effect_at, strengths, effects, wanted, limit)
    found[faces] = (effects >= wanted).any(0)
    return found
