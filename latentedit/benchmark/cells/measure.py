"""The work of a cell: look at faces, fit an editor, or edit and look again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from latentedit.benchmark.cells.distances import distances
from latentedit.benchmark.suite import Suite, Task
from latentedit.data.attributes import AttributeSchema
from latentedit.data.bank import LatentBank
from latentedit.editing.fitted import FittedEditor, build_generator, build_renderer, codes_for
from latentedit.errors import InputError, Unsupported
from latentedit.interfaces.estimators import AttributeEstimator, IdentityEncoder
from latentedit.interfaces.generator import Generator
from latentedit.measures.likelihood import CodeDensity
from latentedit.measures.metrics import (
    achieved_change,
    identity_drift,
    identity_similarity,
    match_effect,
    pixel_error,
    round_trip_error,
)
from latentedit.registry import Registry

BATCH = 64
"""Faces synthesized and judged together; part of every cell's key."""

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Observation:
    """What judge, recognisers and the world itself say of N faces.

    Args:
        judged: (N, A) by the judge.
        embeddings: (E, N, D) by each recogniser, zero-padded to one width.
        truth: (N, A) exact values, or the judge's where the world does not tell.
        identity: (N, F) exact identity scores; F is 0 where the world does not tell.
        features: (N, F) by the judge, for distances between sets; F is 0 where not asked for.
        images: the first `show` images, (M, 3, H, W) as bytes.
    """

    judged: Tensor
    embeddings: Tensor
    truth: Tensor
    identity: Tensor
    features: Tensor
    images: Tensor


class Bench:
    """The models of a suite and the faces it edits."""

    def __init__(self, suite: Suite, bank: LatentBank, registry: Registry) -> None:
        self.suite, self.bank, self.registry = suite, bank, registry

    @cached_property
    def generator(self) -> Generator:
        return build_generator(self.registry, self.bank.generator)

    @cached_property
    def renderer(self) -> Generator:
        """What makes the images of the test faces: the generator, or what it was tuned to."""
        return build_renderer(self.registry, self.bank, self.generator)

    @cached_property
    def judge(self) -> AttributeEstimator:
        judge = self.registry.estimator(self.suite.judge.plugin, self.suite.judge.options)
        if judge.fingerprint == self.bank.labeller.fingerprint:
            raise InputError(
                f"judge {self.suite.judge} has the labeller's fingerprint: it is the same model"
            )
        if judge.schema != self.bank.schema:
            raise InputError(
                f"judge {self.suite.judge} reads {', '.join(judge.schema.names)}; the bank is "
                f"labelled with {', '.join(self.bank.schema.names)}"
            )
        return judge

    @cached_property
    def recognisers(self) -> list[IdentityEncoder]:
        return [self.registry.identity(use.plugin, use.options) for use in self.suite.identity]

    @cached_property
    def sigma(self) -> Tensor:
        """(A,) standard deviation of the labels over the fit split."""
        return self.bank.split("fit").attributes.std(0).clamp_min(1e-6)

    @cached_property
    def density(self) -> CodeDensity | None:
        """Of the codes of the fit split; None where one code is more than a vector."""
        split = self.bank.split("fit")
        return CodeDensity.fit(split.batches()) if len(split.code_shape) == 1 else None

    @torch.no_grad()
    def look(
        self,
        codes: Tensor,
        space: str,
        show: int = 0,
        progress: Progress | None = None,
        features: bool = False,
    ) -> Observation:
        """Synthesize and judge (N, \\*shape) codes in batches of fixed size.

        Args:
            show: how many images to keep.
            features: whether to take the judge's features too.
        """
        parts = []
        for start in range(0, len(codes), BATCH):
            batch = codes[start : start + BATCH]
            images = self.renderer.synthesize(batch, space)
            judged = self.judge.estimate(images)
            embeddings = self._embeddings(images)
            kept = _bytes(images[: max(0, show - start)])
            truth, identity = self._truth(batch, space, judged)
            seen = self.judge.features(images) if features else judged[:, :0]
            parts.append(Observation(judged, embeddings, truth, identity, seen, kept))
            if progress is not None:
                progress(min(start + BATCH, len(codes)) / len(codes), "looking")
        return Observation(
            torch.cat([part.judged for part in parts]),
            torch.cat([part.embeddings for part in parts], 1),
            torch.cat([part.truth for part in parts]),
            torch.cat([part.identity for part in parts]),
            torch.cat([part.features for part in parts]),
            torch.cat([part.images for part in parts]),
        )

    @torch.no_grad()
    def judged(self, codes: Tensor, space: str) -> Tensor:
        """(N, A) what the judge, and nobody else, makes of (N, \\*shape) codes."""
        images = (self.renderer.synthesize(batch, space) for batch in codes.split(BATCH))
        return torch.cat([self.judge.estimate(shown) for shown in images])

    def _embeddings(self, images: Tensor) -> Tensor:
        """(E, N, D) by each recogniser, zero-padded to one width."""
        return torch.nn.utils.rnn.pad_sequence(
            [encoder.embed(images).T for encoder in self.recognisers], batch_first=True
        ).mT

    @torch.no_grad()
    def photo_embeddings(self) -> Tensor:
        """(E, N, D) of the photographs themselves; N is 0 where the test faces were sampled."""
        parts = self.bank.photographs.split(BATCH)
        found = [self._embeddings(part) for part in parts if len(part)]
        return torch.cat(found, 1) if found else torch.zeros(len(self.recognisers), 0, 1)

    @torch.no_grad()
    def beside(
        self, codes: Tensor, space: str, others: Tensor, other_space: str
    ) -> tuple[Tensor, Tensor]:
        """(E, N, D) embeddings of the faces of `codes`, and (N,) mean difference of their images
        to those of `others`, in levels of 0 to 255."""
        embeddings, errors = [], []
        for batch, other in zip(codes.split(BATCH), others.split(BATCH), strict=True):
            images = self.renderer.synthesize(batch, space)
            embeddings.append(self._embeddings(images))
            errors.append(pixel_error(self.renderer.synthesize(other, other_space), images))
        return torch.cat(embeddings, 1), torch.cat(errors)

    @cached_property
    def _scores(self) -> int:
        """F, how many identity scores the world tells of codes of the bank's space; else 0."""
        codes = self.bank.split("fit").rows(torch.zeros(1, dtype=torch.long))[0]
        return self._truth(codes, self.bank.space, codes)[1].shape[1]

    def likelihood(self, codes: Tensor, space: str, attributes: Tensor) -> tuple[Tensor, Tensor]:
        """Log-likelihood given `attributes` (N, A), and Mahalanobis distance, of codes: 2 × (N,).

        The rows of a W+ code count one by one and are averaged. NaN where the space is another
        one than the bank's, and does not map to it.
        """
        density, home = self.density, self.bank.space
        unknown = codes.new_full((len(codes),), float("nan"))
        if density is None:
            return unknown, unknown
        if space == "w+" and home == "w":
            rows = codes.shape[1]
            flat, asked = codes.flatten(0, 1), attributes.repeat_interleave(rows, 0)
            likely, far = density.log_likelihood(flat, asked), density.mahalanobis(flat)
            return likely.view(-1, rows).mean(1), far.view(-1, rows).mean(1)
        try:
            codes = _in(self.generator, codes, space, home)
        except Unsupported:
            return unknown, unknown
        return density.log_likelihood(codes, attributes), density.mahalanobis(codes)

    def _truth(self, codes: Tensor, space: str, judged: Tensor) -> tuple[Tensor, Tensor]:
        try:
            truth = self.generator.truth(codes, space)
        except Unsupported:
            if space == self.bank.space or self._scores == 0:
                return judged, judged.new_empty(len(codes), 0)
            unknown = float("nan")
            return torch.full_like(judged, unknown), judged.new_full(
                (len(codes), self._scores), unknown
            )
        return truth.schema.select(truth.attributes, self.bank.schema.names), truth.identity


def _bytes(images: Tensor) -> Tensor:
    """[-1, 1] → uint8."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


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
        before: what was seen on the unedited test faces, by name; rows are test faces.

    Returns:
        Arrays over strengths S, effects R, faces N, columns A, recognisers E, and what it cost.
    """
    suite, edits = bench.suite, TaskEdits(bench, editor, task, before)
    steps = len(suite.strengths) + len(suite.effects)
    grid, matched = [], []
    for i, strength in enumerate(suite.strengths):
        grid.append(edits.at(strength))
        progress((i + 1) / steps, f"strength {strength:g}")
    effects = torch.stack([seen["effect"] for seen in grid])
    for i, wanted in enumerate(suite.effects):
        matched.append(edits.matching(wanted, effects))
        progress((len(suite.strengths) + i + 1) / steps, f"effect {wanted:g}")
    arrays = edits.unedited() | edits.undone()
    for name in (name for name in grid[0] if name != "images"):
        arrays[name] = torch.stack([seen[name] for seen in grid])
    for name in matched[0]:
        arrays[f"matched_{name}"] = torch.stack([seen[name] for seen in matched])
    return arrays, edits.cost


class TaskEdits:
    """What one editor makes of the faces that a task is asked of, N of the test split.

    Args:
        before: see `measure_edits`.

    Attributes:
        cost: seconds, faces, calls and function evaluations of all edits so far, by name.
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
        self._space = "w+" if task.layers is not None and self._home != "s" else self._home
        self._column = test.schema.columns(task.attribute).start
        self._judged, self._identity, self._features = (
            before[name][self._faces] for name in ("judged", "identity", "features")
        )
        self._spread = before["features"].std(0)
        self._embeddings = before["embeddings"][:, self._faces]
        photos = before.get("photo_embeddings")
        self._photos = None if photos is None else photos[:, self._faces]
        self._every = torch.arange(len(self._faces))
        self.cost = {"edit_seconds": 0.0, "edits": 0.0, "nfe": 0.0, "edit_calls": 0.0}

    def at(self, strength: float) -> dict[str, Tensor]:
        """What is seen where the change is asked for `strength` times; arrays of N faces."""
        edited = self._edit(torch.full((len(self._faces),), strength), self._every)
        return self._described(self.bench.look(edited, self._space))

    def matching(self, wanted: float, effects: Tensor) -> dict[str, Tensor]:
        """The same at the strength, face by face, at which the effect is `wanted`.

        Args:
            effects: (S, N) of the suite's strengths.
        """
        suite = self.bench.suite
        at = match_effect(self._tried, torch.tensor(suite.strengths), effects, wanted)
        edited = self._edit(at.nan_to_num(suite.strengths[-1]), self._every)
        sight = self.bench.look(edited, self._space, suite.show_faces, features=True)
        likelihood, mahalanobis = self.bench.likelihood(
            edited, self._space, self._target(wanted * self._change, self._every)
        )
        return {
            "strength": at,
            "likelihood": likelihood,
            "mahalanobis": mahalanobis,
            **self._described(sight),
            **distances(self._features, sight.features, ~at.isnan(), self._spread),
        }

    def unedited(self) -> dict[str, Tensor]:
        """Which faces were asked for which change, and pictures of the first of them."""
        bench = self.bench
        shown = self._originals[: bench.suite.show_faces]
        return {
            "faces": self._faces,
            "change": self._change,
            "source": self._source[:, self._column].clone(),
            "images": _bytes(bench.renderer.synthesize(shown, self._originals_space)),
        }

    def undone(self) -> dict[str, Tensor]:
        """How far an edit at strength 1, and the same edit undone, ends from where it began."""
        target = self._target(self._change, self._every)
        layers, editor = self.task.layers, self.editor
        there = editor.edit(self._codes, self._source, target, layers=layers, extrapolate=True)
        back = editor.edit(there.codes, target, self._source, layers=layers, extrapolate=True)
        embeddings, pixels = self.bench.beside(
            back.codes, self._space, self._originals, self._originals_space
        )
        began = _in(self.bench.generator, self._codes, self._home, self._space)
        return {
            "round_trip": round_trip_error(began, back.codes),
            "round_trip_identity": 1 - identity_similarity(self._embeddings, embeddings),
            "round_trip_pixels": pixels,
        }

    def _edit(self, strengths: Tensor, rows: Tensor) -> Tensor:
        codes, source = self._codes[rows], self._source[rows]
        target = self._target(strengths * self._change[rows], rows)
        started = time.perf_counter()
        edited = self.editor.edit(codes, source, target, layers=self.task.layers, extrapolate=True)
        self.cost["edit_seconds"] += time.perf_counter() - started
        self.cost["edits"] += len(rows)
        self.cost["edit_calls"] += 1
        self.cost["nfe"] += edited.nfe
        return edited.codes

    def _target(self, change: Tensor, rows: Tensor) -> Tensor:
        target = self._source[rows].clone()
        target[:, self._column] += change
        return target

    def _tried(self, strengths: Tensor, rows: Tensor) -> Tensor:
        edited = self._edit(strengths, rows)
        return self._effect(self.bench.judged(edited, self._space), rows)

    def _effect(self, judged: Tensor, rows: Tensor) -> Tensor:
        column = self._column
        return achieved_change(self._judged[rows, column], judged[:, column], self._change[rows])

    def _described(self, sight: Observation) -> dict[str, Tensor]:
        found = {
            "effect": self._effect(sight.judged, self._every),
            "judged": sight.judged,
            "similarity": identity_similarity(self._embeddings, sight.embeddings),
            "truth": sight.truth,
            "drift": identity_drift(self._identity, sight.identity),
            "images": sight.images,
        }
        if self._photos is not None:
            found["photo_similarity"] = identity_similarity(self._photos, sight.embeddings)
        return found


def _in(generator: Generator, codes: Tensor, source: str, target: str) -> Tensor:
    return codes if source == target else generator.convert(codes, source, target)


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
