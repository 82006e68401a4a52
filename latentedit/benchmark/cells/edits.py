"""The edits of one editor and task, and what is observed on them."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch
from torch import Tensor

from latentedit.benchmark.cells.bench import Bench, Observation
from latentedit.benchmark.cells.distances import distances
from latentedit.benchmark.cells.suite_metrics import suite_metrics
from latentedit.benchmark.suite import Task
from latentedit.data.attributes import AttributeSchema
from latentedit.data.bank import LatentBank
from latentedit.data.images import images_to_bytes
from latentedit.editing.fitted import FittedEditor, codes_for
from latentedit.editing.layers import space_after
from latentedit.errors import InputError
from latentedit.interfaces.editor import Edited
from latentedit.interfaces.metric import EditsSeen, Seen
from latentedit.interfaces.runtime import Progress
from latentedit.measures.metrics import (
    achieved_change,
    identity_drift,
    identity_similarity,
    match_effect,
    round_trip_error,
)


def requested(
    task: Task, labels: Tensor, fit_labels: Tensor, schema: AttributeSchema
) -> tuple[Tensor, Tensor]:
    """Which faces a task edits, and by how much.

    Args:
        labels: (N, A) of the test faces.
        fit_labels: (M, A) of the fit split, for its median.

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
    if isinstance(task.change, str) or task.change > attribute.high - attribute.low:
        raise InputError(
            f"task {task.name!r} changes {task.attribute} by {task.change}, but its range is "
            f"{attribute.low:g} to {attribute.high:g} {attribute.unit}"
        )
    median = fit_labels[:, schema.columns(task.attribute).start].median()
    return faces, torch.where(values < median, task.change, -task.change)


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
    effects = torch.stack([found["effect"] for found in grid])
    for i, wanted in enumerate(suite.effects):
        matched.append(edits.matching(wanted, effects))
        progress((len(suite.strengths) + i + 1) / steps, f"effect {wanted:g}")
    arrays = edits.unedited() | edits.undone()
    for name in (name for name in grid[0] if name != "images"):
        arrays[name] = torch.stack([found[name] for found in grid])
    for name in matched[0]:
        arrays[f"matched_{name}"] = torch.stack([found[name] for found in matched])
    return arrays, edits.cost


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


class TaskEdits:
    """What one editor makes of the faces that a task is asked of, N of the test split.

    Args:
        before: see `measure_edits`.
    """

    def __init__(
        self, bench: Bench, editor: FittedEditor, task: Task, before: Mapping[str, Tensor]
    ) -> None:
        self.bench, self.editor, self.task = bench, editor, task
        test, labels = bench.bank.split("test"), bench.bank.split("fit").attributes
        self._faces, self._change = requested(task, test.attributes, labels, test.schema)
        self._originals, self._source = test.rows(self._faces)
        self._originals_space = test.space
        self._codes, self._home = codes_for(
            editor.space, self._originals, test.space, bench.generator
        )
        self._space = space_after(bench.generator, self._home, task.layers)
        self._column = test.schema.columns(task.attribute).start
        self._judged, self._identity, self._features = (
            before[name][self._faces] for name in ("judged", "identity", "features")
        )
        self._spread = before["features"].std(0)
        self._embeddings = before["embeddings"][:, self._faces]
        photos = before.get("photo_embeddings")
        self._photos = None if photos is None else photos[:, self._faces]
        self._every = torch.arange(len(self._faces))
        self._timed = TimedEditor(editor)

    @property
    def cost(self) -> dict[str, float]:
        """Of all edits so far but those of `undone`."""
        return self._timed.cost

    def at(self, strength: float) -> dict[str, Tensor]:
        """Observed when `strength` times the change is asked for; arrays of N faces."""
        edited = self._edit(torch.full((len(self._faces),), strength), self._every)
        return self._described(self.bench.look(edited.codes, self._space))

    def matching(self, wanted: float, effects: Tensor) -> dict[str, Tensor]:
        """The same at the strength, face by face, at which the effect is `wanted`.

        A face that the editor refuses at this strength does not reach the effect.

        Args:
            effects: (S, N) of the suite's strengths.
        """
        suite = self.bench.suite
        at = match_effect(self._tried, torch.tensor(suite.strengths), effects, wanted)
        found = self._edit(at.nan_to_num(suite.strengths[-1]), self._every)
        edited, at = found.codes, torch.where(found.served, at, float("nan"))
        observed = self.bench.look(edited, self._space, suite.show_faces, features=True)
        likelihood, mahalanobis = self.bench.likelihood(
            edited, self._space, self._target(wanted * self._change, self._every)
        )
        return {
            "strength": at,
            "likelihood": likelihood,
            "mahalanobis": mahalanobis,
            **self._described(observed),
            **distances(self._features, observed.features, ~at.isnan(), self._spread),
            **self._suite_metrics(wanted, edited, observed, ~at.isnan()),
        }

    def _suite_metrics(
        self, wanted: float, edited: Tensor, observed: Observation, reached: Tensor
    ) -> dict[str, Tensor]:
        """The metrics that the suite adds, of codes edited to the effect `wanted`."""
        bench, nothing = self.bench, edited[:0]
        if not bench.metrics:
            return {}
        names = [str(use) for use in bench.suite.identity]
        began = bench.converted(self._codes, self._home, self._space)
        before = Seen(nothing, began, self._judged, dict(zip(names, self._embeddings, strict=True)))
        embedded = dict(zip(names, observed.embeddings, strict=True))
        after = Seen(nothing, edited, observed.judged, embedded)
        target = self._target(wanted * self._change, self._every)
        schema, of = bench.bank.schema, self.task.attribute
        edits = EditsSeen(before, after, target, schema, bench.sigma, of, self.editor.seed)
        shown = (self._originals, self._originals_space), (edited, self._space)
        return suite_metrics(bench, edits, reached, shown)

    def unedited(self) -> dict[str, Tensor]:
        """Which faces were asked for which change, and pictures of the first of them."""
        bench = self.bench
        shown = self._originals[: bench.suite.show_faces]
        return {
            "faces": self._faces,
            "change": self._change,
            "source": self._source[:, self._column].clone(),
            "images": images_to_bytes(bench.renderer.synthesize(shown, self._originals_space)),
        }

    def undone(self) -> dict[str, Tensor]:
        """How far an edit at strength 1, and the same edit undone, ends from where it began.

        NaN for faces that the editor refuses on either way: they have not come back.
        """
        target = self._target(self._change, self._every)
        layers, editor = self.task.layers, self.editor
        there = editor.edit(self._codes, self._source, target, layers=layers, extrapolate=True)
        back = editor.edit(there.codes, target, self._source, layers=layers, extrapolate=True)
        embeddings, pixels = self.bench.images_compared(
            back.codes, self._space, self._originals, self._originals_space
        )
        began = self.bench.converted(self._codes, self._home, self._space)
        served = there.served & back.served
        return {
            "round_trip": where_served(served, round_trip_error(began, back.codes)),
            "round_trip_identity": where_served(
                served, 1 - identity_similarity(self._embeddings, embeddings)
            ),
            "round_trip_pixels": where_served(served, pixels),
        }

    def _edit(self, strengths: Tensor, rows: Tensor) -> Edited:
        codes, source = self._codes[rows], self._source[rows]
        target = self._target(strengths * self._change[rows], rows)
        return self._timed.edit(codes, source, target, self.task.layers)

    def _target(self, change: Tensor, rows: Tensor) -> Tensor:
        target = self._source[rows].clone()
        target[:, self._column] += change
        return target

    def _tried(self, strengths: Tensor, rows: Tensor) -> Tensor:
        edited = self._edit(strengths, rows)
        return self._effect(self.bench.judged(edited.codes, self._space), rows)

    def _effect(self, judged: Tensor, rows: Tensor) -> Tensor:
        column = self._column
        return achieved_change(self._judged[rows, column], judged[:, column], self._change[rows])

    def _described(self, observed: Observation) -> dict[str, Tensor]:
        found = {
            "effect": self._effect(observed.judged, self._every),
            "judged": observed.judged,
            "similarity": identity_similarity(self._embeddings, observed.embeddings),
            "truth": observed.truth,
            "drift": identity_drift(self._identity, observed.identity),
            "images": observed.images,
        }
        if self._photos is not None:
            found["photo_similarity"] = identity_similarity(self._photos, observed.embeddings)
        return found


def where_served(served: Tensor, values: Tensor) -> Tensor:
    """Values (…, N), and NaN for faces that the editor refused."""
    return torch.where(served, values, float("nan"))


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
