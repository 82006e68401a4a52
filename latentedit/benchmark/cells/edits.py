"""The edits of one editor and task, and what is observed on them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor

from latentedit.benchmark.cells.bench import Bench
from latentedit.benchmark.cells.extending import extended
from latentedit.benchmark.cells.observing import TaskObserver, stacked
from latentedit.benchmark.task import QuantileChange, SigmaChange, Task
from latentedit.data.attributes import AttributeSchema
from latentedit.data.bank import LatentBank
from latentedit.editing.fitted import FittedEditor
from latentedit.editing.generators import codes_for
from latentedit.editing.layers import space_after
from latentedit.errors import InputError
from latentedit.interfaces.editor import Edited
from latentedit.interfaces.runtime import Progress
from latentedit.measures.metrics import match_effect


def requested(
    task: Task, labels: Tensor, fit_labels: Tensor, schema: AttributeSchema
) -> tuple[Tensor, Tensor]:
    """Which faces a task edits, and by how much.

    Args:
        labels: (N, A) of the test faces.
        fit_labels: (M, A) of the fit split, for its median, standard deviation and quantiles.

    Returns:
        (K,) face indices and (K,) changes Δ in natural units.
    """
    attribute = schema[task.attribute]
    if attribute.kind == "vector":
        raise InputError(f"a task changes one number; {task.attribute!r} is a vector")
    keep = torch.ones(len(labels), dtype=torch.bool)
    for name, (low, high) in task.among.items():
        column = labels[:, schema.columns(name)][:, 0]
        keep &= (column >= low) & (column <= high)
    faces = keep.nonzero()[:, 0]
    if len(faces) < 2:
        raise InputError(
            f"task {task.name!r}: its `among` leaves {len(faces)} of {len(labels)} faces"
        )
    values = labels[faces, schema.columns(task.attribute).start]
    if task.change == "flip":
        middle = (attribute.low + attribute.high) / 2
        ends = torch.where(values < middle, attribute.high, attribute.low)
        return faces, ends - values
    fitted = fit_labels[:, schema.columns(task.attribute).start]
    below = values < fitted.median()
    if isinstance(task.change, QuantileChange):
        q = task.change.quantile
        return faces, torch.where(below, fitted.quantile(q), fitted.quantile(1 - q)) - values
    amount = _amount(task, fitted)
    if amount > attribute.high - attribute.low:
        raise InputError(
            f"task {task.name!r} changes {task.attribute} by {amount:g}, but its range is "
            f"{attribute.low:g} to {attribute.high:g} {attribute.unit}"
        )
    return faces, torch.where(below, amount, -amount)


def _amount(task: Task, fitted: Tensor) -> float:
    """The change in natural units, given the fit split's labels (M,)."""
    if isinstance(task.change, SigmaChange):
        return task.change.sigma * float(fitted.std())
    return float(cast("float", task.change))


def measure_edits(
    bench: Bench,
    editor: FittedEditor,
    task: Task,
    before: Mapping[str, Tensor],
    progress: Progress,
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Edit the test faces at every strength, then at the strengths that match each effect.

    Args:
        before: what was observed on the unedited test faces, by name; rows are test faces.

    Returns:
        Arrays over strengths S, effects R, faces N, columns A, recognisers E, and what it cost.
    """
    suite, edits = bench.suite, TaskEdits(bench, editor, task, before)
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


class TimedEditor:
    """An editor that records what its edits cost.

    Attributes:
        cost: seconds, faces, calls and function evaluations of all edits so far, by name.
    """

    def __init__(self, editor: FittedEditor) -> None:
        self.editor = editor
        self.cost = {"edit_seconds": 0.0, "edits": 0.0, "nfe": 0.0, "edit_calls": 0.0}

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
    """What one editor makes of the faces that a task is asked of, N of the test split.

    Args:
        before: see `measure_edits`.
    """

    def __init__(
        self, bench: Bench, editor: FittedEditor, task: Task, before: Mapping[str, Tensor]
    ) -> None:
        test, labels = bench.bank.split("test"), bench.bank.split("fit").attributes
        faces, change = requested(task, test.attributes, labels, test.schema)
        if "possible" in before:
            done = before["possible"][bench.suite.tasks.index(task), faces]
            if int(done.sum()) < 2:
                raise InputError(
                    f"task {task.name!r}: {int(done.sum())} of {len(done)} faces can show the "
                    "largest effect at all, with only this attribute changed; ask for less"
                )
            faces, change = faces[done], change[done]
        self._codes, home = codes_for(
            editor.space, test.rows(faces)[0], test.space, bench.generator
        )
        space = space_after(bench.generator, home, task.layers)
        super().__init__(bench, task, before, faces, change, space, editor.seed)
        self.editor = editor
        self._timed = TimedEditor(editor)

    @property
    def cost(self) -> dict[str, float]:
        """Of all edits so far but those of `undone`."""
        return self._timed.cost

    def at(self, strength: float) -> dict[str, Tensor]:
        """Observed when `strength` times the change is asked for; arrays of N faces."""
        return self.seen(self._edit(torch.full((len(self.faces),), strength), self.every).codes)

    def extended(self, effects: Tensor) -> tuple[Tensor, Tensor]:
        """The suite's strengths and `effects` (S, N), and as many larger ones as it takes."""
        suite = self.bench.suite
        return extended(
            self._tried,
            torch.tensor(suite.strengths),
            effects,
            max(suite.effects),
            suite.strength_limit or suite.strengths[-1],
        )

    def matching(self, wanted: float, strengths: Tensor, effects: Tensor) -> dict[str, Tensor]:
        """The same at the strength, face by face, at which the effect is `wanted`.

        A face that the editor refuses at this strength does not reach the effect.

        Args:
            strengths: (S,) at which
            effects: (S, N) were measured.
        """
        at = match_effect(self._tried, strengths, effects, wanted)
        found = self._edit(at.nan_to_num(self.bench.suite.strengths[-1]), self.every)
        at = torch.where(found.served, at, float("nan"))
        return self.seen_matched(found.codes, at, wanted)

    def undone(self) -> dict[str, Tensor]:
        """How far an edit at strength 1, and the same edit undone, ends from where it began.

        NaN for faces that the editor refuses on either way: they have not come back.
        """
        target = self.target(self.change, self.every)
        layers, editor = self.task.layers, self.editor
        there = editor.edit(self._codes, self.source, target, layers=layers, extrapolate=True)
        back = editor.edit(there.codes, target, self.source, layers=layers, extrapolate=True)
        return self.seen_back(back.codes, there.served & back.served)

    def _edit(self, strengths: Tensor, rows: Tensor) -> Edited:
        codes, source = self._codes[rows], self.source[rows]
        target = self.target(strengths * self.change[rows], rows)
        return self._timed.edit(codes, source, target, self.task.layers)

    def _tried(self, strengths: Tensor, rows: Tensor) -> Tensor:
        edited = self._edit(strengths, rows)
        return self.effect(self.bench.judged(edited.codes, self.space), rows)


def edit_milliseconds(
    editor: FittedEditor, bank: LatentBank, batch: int, repeats: int = 5
) -> float:
    """Median wall milliseconds of one face in an edit of `batch` faces."""
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
