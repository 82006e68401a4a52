"""Options chosen on a validation split, with an equal budget for every editor."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor

from latentedit.benchmark.cells.asked import requested
from latentedit.benchmark.cells.bench import BATCH, Bench
from latentedit.benchmark.plugin_use import PluginUse
from latentedit.benchmark.suite import Suite
from latentedit.benchmark.task import Task
from latentedit.data.split import Split
from latentedit.editing.fitted import FittedEditor, fit_editor
from latentedit.editing.generators import build_labeller, codes_for
from latentedit.editing.keys import options_in_full
from latentedit.editing.layers import space_after
from latentedit.errors import PluginFault
from latentedit.files.artefacts import canonical_json
from latentedit.interfaces.estimators import AttributeEstimator
from latentedit.interfaces.runtime import Progress
from latentedit.measures.metrics import (
    achieved_change,
    attribute_leakage,
    identity_similarity,
    strength_reaching,
)
from latentedit.registry import Registry, parse_options

NOT_REACHED = -1.0
"""Score of an image that does not reach the effect: as if it showed the opposite individual."""

_TRIAL = "trial "
"""Before the options of a trial, in the figures of a fit."""


@dataclass(frozen=True)
class Trials:
    """What tuning an editor came to.

    Args:
        scores: by the options tried, as JSON.
        seconds: of all trials together, fits and edits.
    """

    scores: Mapping[str, float]
    seconds: float

    @property
    def chosen(self) -> str:
        """The options with the highest score; the earlier ones where two are equal."""
        return max(self.scores, key=lambda options: self.scores[options])

    def figures(self) -> dict[str, float]:
        """As figures of a fit; `read` takes them up."""
        scores = {f"{_TRIAL}{options}": score for options, score in self.scores.items()}
        return {**scores, "tuning_seconds": self.seconds}

    @classmethod
    def read(cls, figures: Mapping[str, float]) -> Trials | None:
        """From the figures of a fit; None where nothing was tuned."""
        if "tuning_seconds" not in figures:
            return None
        scores = {k.removeprefix(_TRIAL): v for k, v in figures.items() if k.startswith(_TRIAL)}
        return cls(scores, figures["tuning_seconds"])


def trial_options(suite: Suite, entrant: str, registry: Registry) -> list[dict[str, Any]]:
    """The options to try, the suite's own first; empty where nothing is to be tuned.

    Two candidates that the suite's own options make equal count as one.
    """
    use = suite.entrants[entrant]
    if suite.tune is None or entrant in suite.control_names:
        return []
    try:
        loaded = registry.load(registry.editor_kind(use.plugin), use.plugin)
    except PluginFault:
        return []  # its fit cell says what is wrong
    tried: dict[bytes, dict[str, Any]] = {}
    for candidate in ({}, *loaded.candidates):
        options = {**candidate, **use.options}
        parsed = parse_options(loaded, use.plugin, options)
        tried.setdefault(canonical_json(parsed.model_dump(mode="json")), options)
    return list(tried.values())[: suite.tune.trials]


def tuning_key(bench: Bench, entrant: str, recognisers: list[dict[str, Any]]) -> dict[str, Any]:
    """What decides the outcome of tuning, for a cell's key; empty where nothing is tuned.

    Args:
        recognisers: what decides what each of them sees; they score the trials.
    """
    suite = bench.suite
    options = trial_options(suite, entrant, bench.registry)
    if not options or suite.tune is None:
        return {}
    plugin, registry = suite.entrants[entrant].plugin, bench.registry
    kind = registry.editor_kind(plugin)
    return {
        "tune": {
            "trials": suite.tune.trials,
            "faces": suite.tune.images,
            "options": [options_in_full(registry, kind, plugin, given) for given in options],
            "tasks": [task.model_dump(mode="json") for task in suite.tasks],
            "strengths": suite.strengths,
            "effect": suite.effects[0],
            "identity": recognisers,
        }
    }


def fit_entrant(
    bench: Bench, entrant: str, seed: int, progress: Progress
) -> tuple[FittedEditor, dict[str, float]]:
    """The editor, fitted with the suite's options or the best of its trials; and what tuning it
    came to, as figures."""
    use = bench.suite.entrants[entrant]
    tried = trial_options(bench.suite, entrant, bench.registry)
    if not tried or bench.suite.tune is None:
        return _fit(bench, use, use.options, seed, 0, progress), {}
    count = bench.suite.tune.images
    validation = Validation(bench, count)
    started, scores = time.perf_counter(), dict[str, float]()

    def trial(i: int, options: Mapping[str, Any]) -> tuple[float, FittedEditor]:
        def part(fraction: float, message: str) -> None:
            progress((i + fraction) / len(tried), f"trial {i + 1} of {len(tried)}: {message}")

        fitted = _fit(bench, use, options, seed, count, part)
        score = validation.score(fitted)
        scores[canonical_json(options).decode()] = score
        return score, fitted

    _, best = max((trial(i, options) for i, options in enumerate(tried)), key=itemgetter(0))
    return best, Trials(scores, time.perf_counter() - started).figures()


def _fit(
    bench: Bench,
    use: PluginUse,
    options: Mapping[str, Any],
    seed: int,
    held_out: int,
    progress: Progress,
) -> FittedEditor:
    return fit_editor(
        bench.registry,
        use.plugin,
        bench.bank,
        options,
        seed=seed,
        device=bench.suite.device or "cpu",
        generator=bench.generator,
        held_out=held_out,
        progress=progress,
    )


class Validation:
    """The last images of the fit split, and how well a fitted editor edits them.

    For every task and every image that it edits, at the least strength of the suite's grid that
    reaches the suite's first effect as the labeller sees it:

        score = identity similarity, mean over recognisers − attribute leakage by the labeller

    and −1 for an image that does not reach it, or is refused; the mean over images, then tasks.
    The judge is never asked.
    """

    def __init__(self, bench: Bench, count: int) -> None:
        self.bench = bench
        split, bank = bench.bank.split("fit"), bench.bank
        self.faces: Split = split.take(torch.arange(len(split) - count, len(split)))
        self.labeller: AttributeEstimator = build_labeller(bench.registry, bank.labeller)
        self.before, self.embeddings = self._look(self.faces.codes, self.faces.space)

    def score(self, editor: FittedEditor) -> float:
        """Mean over the suite's tasks."""
        scores = [self.task_scores(editor, task).mean() for task in self.bench.suite.tasks]
        return float(torch.stack(scores).mean())

    def task_scores(self, editor: FittedEditor, task: Task) -> Tensor:
        """(K,) of the images that `task` edits."""
        suite, schema, faces = self.bench.suite, self.faces.schema, self.faces
        fit_labels = self.bench.bank.split("fit").attributes
        rows, change = requested(task, faces.attributes, fit_labels, schema)
        codes, source = faces.rows(rows)
        codes, home = codes_for(editor.space, codes, faces.space, self.bench.generator)
        space = space_after(self.bench.generator, home, task.layers)
        column = schema.columns(task.attribute).start

        def look(strengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            target = source.clone()
            target[:, column] += strengths * change
            edited = editor.edit(codes, source, target, layers=task.layers, extrapolate=True)
            return *self._look(edited.codes, space), edited.served

        before = self.before[rows]
        seen = [look(torch.full_like(change, strength))[0] for strength in suite.strengths]
        effects = torch.stack(
            [achieved_change(before[:, column], read[:, column], change) for read in seen]
        )
        grid = torch.tensor(suite.strengths)
        at = strength_reaching(grid, effects, suite.effects[0])
        after, embeddings, served = look(at.nan_to_num(suite.strengths[-1]))
        similarity = identity_similarity(self.embeddings[:, rows], embeddings)
        kept = similarity.mean(0) if len(similarity) else 0.0
        leakage = attribute_leakage(before, after, self.bench.sigma, schema, task.attribute)
        return torch.where(at.isnan() | ~served, NOT_REACHED, kept - leakage)

    @torch.no_grad()
    def _look(self, codes: Tensor, space: str) -> tuple[Tensor, Tensor]:
        """(N, A) by the labeller and (E, N, D) by the recognisers, zero-padded to one width."""
        read, embedded = [], []
        for batch in codes.split(BATCH):
            images = self.bench.generator.synthesize(batch, space)
            read.append(self.labeller.estimate(images))
            embedded.append(self.bench.embeddings(images))
        return torch.cat(read), torch.cat(embedded, 1)
