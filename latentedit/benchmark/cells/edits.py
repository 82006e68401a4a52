"""The edits of one editor and task, and what is observed on them."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch
from torch import Tensor

from latentedit.benchmark.cells.asked import StrengthSearch
from latentedit.benchmark.cells.bench import Bench
from latentedit.benchmark.cells.observing import TaskObserver, stacked
from latentedit.benchmark.cells.possible import images_asked
from latentedit.benchmark.task import Task
from latentedit.data.bank import LatentBank
from latentedit.editing.fitted import FittedEditor
from latentedit.editing.generators import codes_for
from latentedit.editing.layers import space_after
from latentedit.interfaces.editor import Edited
from latentedit.interfaces.runtime import Progress


def measure_edits(
    bench: Bench,
    editor: FittedEditor,
    task: Task,
    before: Mapping[str, Tensor],
    progress: Progress,
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Edit the test images at every strength, then at the strengths that match each effect.

    Args:
        before: what was observed on the unedited test images, by name; rows are test images.

    Returns:
        Arrays over strengths S, effects R, images N, columns A, recognisers E, and what it cost.
    """
    faces, change = images_asked(bench, task, before)
    if not len(faces):  # of a shard
        return {"faces": faces}, dict(NOTHING)
    suite, edits = bench.suite, TaskEdits(bench, editor, task, before, faces, change)
    steps = len(suite.strengths) + len(suite.effects)
    grid, matched = [], []
    for i, strength in enumerate(suite.strengths):
        grid.append(edits.at(strength))
        progress((i + 1) / steps, f"strength {strength:g}")
    tried, effects = edits.extended(torch.stack([found["effect"] for found in grid]))
    for i, wanted in enumerate(suite.effects):
        matched.append(edits.matching(wanted, tried, effects))
        progress((len(suite.strengths) + i + 1) / steps, f"effect {wanted:g}")
    return stacked(edits.unedited() | edits.undone(), grid, matched), edits.cost


NOTHING = {"edit_seconds": 0.0, "edits": 0.0, "nfe": 0.0, "edit_calls": 0.0}
"""What no edit costs: seconds, faces, function evaluations and calls."""


class TimedEditor:
    """An editor that records what its edits cost.

    Attributes:
        cost: seconds, images, calls and function evaluations of all edits so far, by name.
    """

    def __init__(self, editor: FittedEditor) -> None:
        self.editor = editor
        self.cost = dict(NOTHING)

    def edit(
        self, codes: Tensor, source: Tensor, target: Tensor, layers: tuple[int, ...] | str | None
    ) -> Edited:
        """Codes (N, \\*shape) with attributes `source`, edited towards `target`, both (N, A)."""
        started = time.perf_counter()
        edited = self.editor.edit(codes, source, target, layers=layers, extrapolate=True)
        self.cost["edit_seconds"] += time.perf_counter() - started
        self.cost["edits"] += len(codes)
        self.cost["edit_calls"] += 1
        self.cost["nfe"] += edited.nfe
        return edited


class TaskEdits(TaskObserver):
    """What one editor makes of the images that a task is asked of, N of the test split.

    Args:
        before: see `measure_edits`.
        faces, change: of `images_asked`.
    """

    def __init__(
        self,
        bench: Bench,
        editor: FittedEditor,
        task: Task,
        before: Mapping[str, Tensor],
        faces: Tensor,
        change: Tensor,
    ) -> None:
        test = bench.bank.split("test")
        self._codes, home = codes_for(
            editor.space, test.rows(faces)[0], test.space, bench.generator
        )
        space = space_after(bench.generator, home, task.layers)
        super().__init__(bench, task, before, faces, change, space, editor.seed)
        self.editor = editor
        self._timed = TimedEditor(editor)
        suite = bench.suite
        self._search = StrengthSearch(
            self.asked,
            self._edit,
            lambda codes: bench.judged(codes, space),
            suite.strengths,
            suite.strength_limit or suite.strengths[-1],
        )

    @property
    def cost(self) -> dict[str, float]:
        """Of all edits so far but those of `undone`."""
        return self._timed.cost

    def at(self, strength: float) -> dict[str, Tensor]:
        """Observed when `strength` times the change is asked for; arrays of N images."""
        every = self.asked.every
        return self.seen(self._search.at(torch.full((len(every),), strength), every).codes)

    def extended(self, effects: Tensor) -> tuple[Tensor, Tensor]:
        """The suite's strengths and `effects` (S, N), and as many larger ones as it takes."""
        return self._search.extended(effects, max(self.bench.suite.effects))

    def matching(self, wanted: float, strengths: Tensor, effects: Tensor) -> dict[str, Tensor]:
        """Observed at the strengths at which the effect is `wanted`; see `StrengthSearch`."""
        found, at = self._search.matching(wanted, strengths, effects)
        return self.seen_matched(found.codes, at, wanted)

    def undone(self) -> dict[str, Tensor]:
        """How far an edit at strength 1, and the same edit undone, ends from where it began.

        NaN for images that the editor refuses on either way: they have not come back.
        """
        target, source = self.asked.target(self.change, self.asked.every), self.asked.source
        layers, editor = self.task.layers, self.editor
        there = editor.edit(self._codes, source, target, layers=layers, extrapolate=True)
        back = editor.edit(there.codes, target, source, layers=layers, extrapolate=True)
        return self.seen_back(back.codes, there.served & back.served)

    def _edit(self, target: Tensor, rows: Tensor) -> Edited:
        return self._timed.edit(
            self._codes[rows], self.asked.source[rows], target, self.task.layers
        )


def edit_milliseconds(
    editor: FittedEditor, bank: LatentBank, batch: int, repeats: int = 5
) -> float:
    """Median wall milliseconds of one image in an edit of `batch` images."""
    test = bank.split("test")
    rows = torch.arange(batch) % len(test)
    codes, source = test.rows(rows)
    generator = editor.runtime.generator
    if generator is not None:
        codes, _ = codes_for(editor.space, codes, test.space, generator)
    target = source.clone()
    first = test.schema.attributes[0]
    target[:, 0] += 0.25 * (first.high - first.low)
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        editor.edit(codes, source, target, extrapolate=True)
        seconds.append(time.perf_counter() - started)
    return 1000 * sorted(seconds)[repeats // 2] / batch
