"""Edits of all editors and fits of one setting, measured side by side.

A run computes one editor, fit and task at a time. With few faces most of that time goes to batches
that are almost empty. Here all of a task's edits share their batches; the measurements are a run's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

import torch
from torch import Tensor

from latentedit import Edited, LatentBank, Registry, fit_editor, make_bank, write_tensors
from latentedit.benchmark.cells.asked import StrengthSearch, requested
from latentedit.benchmark.cells.bench import Bench
from latentedit.benchmark.cells.observing import TaskObserver, stacked
from latentedit.benchmark.cells.possible import possible_images
from latentedit.benchmark.plugin_use import PluginUse
from latentedit.benchmark.suite import Suite
from latentedit.benchmark.task import Task
from latentedit.editing.fitted import FittedEditor
from latentedit.files.artefacts import write_json

EDITS, FACES, SUITE = "edits.safetensors", "faces.safetensors", "suite.json"
BANK, SECONDS = "bank", "seconds.json"
SEEDED = ("styleflow",)
"""Plugins whose fits depend on the seed."""
OF_EDIT = ("edit", "flowedit_steps", "flowedit_samples")
"""Options of StyleFlow that decide nothing about its fit, so that editors share one."""

BY_COLUMN = ("judged", "truth")
"""Arrays whose last dimension are attributes."""

Fit = tuple[str, int]
"""An entrant's name and the seed of its fit."""


def fits(suite: Suite) -> list[Fit]:
    """Every seed for editors that a seed changes, the first for the others."""
    return [
        (name, seed)
        for name, use in suite.entrants.items()
        for seed in (suite.seeds if use.plugin in SEEDED else suite.seeds[:1])
    ]


def array_name(fit: Fit, task: str, array: str) -> str:
    return "/".join((fit[0], str(fit[1]), task, array))


class SideBySide(TaskObserver):
    """A task's faces once for each of K editors: rows k n to (k + 1) n belong to editor k."""

    def __init__(
        self,
        bench: Bench,
        editors: list[FittedEditor],
        task: Task,
        before: Mapping[str, Tensor],
        faces: Tensor,
        change: Tensor,
    ) -> None:
        self._editors, self._each, suite = editors, len(faces), bench.suite
        count, space = len(editors), bench.bank.space
        super().__init__(bench, task, before, faces.repeat(count), change.repeat(count), space, 0)
        self._search = StrengthSearch(
            self.asked,
            self._edited,
            lambda codes: bench.judged(codes, space),
            suite.strengths,
            suite.strength_limit or suite.strengths[-1],
        )

    def arrays(self) -> dict[str, Tensor]:
        """Arrays as in an edit cell, of all rows."""
        suite, every = self.bench.suite, self.asked.every
        grid = [
            self._seen(self._search.at(torch.full(every.shape, strength), every))
            for strength in suite.strengths
        ]
        effects = torch.stack([found["effect"] for found in grid])
        tried, effects = self._search.extended(effects, max(suite.effects))
        matched = []
        for wanted in suite.effects:
            edited, at = self._search.matching(wanted, tried, effects)
            matched.append(self._seen(edited) | {"strength": at})
        return stacked({}, grid, matched)

    def own(self, name: str, array: Tensor, k: int) -> Tensor:
        """Rows of editor k."""
        faces = 1 if name.removeprefix("matched_") in BY_COLUMN else array.ndim - 1
        return array.narrow(faces, k * self._each, self._each).clone()

    def _seen(self, edited: Edited) -> dict[str, Tensor]:
        return self._described(self.bench.look(edited.codes, self.space))

    def _edited(self, target: Tensor, rows: Tensor) -> Edited:
        codes, source = self.began[rows].clone(), self.asked.source[rows]
        ok = torch.ones(len(rows), dtype=torch.bool)
        for k, editor in enumerate(self._editors):
            own = rows // self._each == k
            if bool(own.any()):
                edited = editor.edit(codes[own], source[own], target[own], extrapolate=True)
                codes[own], ok[own] = edited.codes, edited.served
        return Edited(codes, ok)


def fitted(bench: Bench, suite: Suite) -> dict[Fit, FittedEditor]:
    """Every fit. Editors that differ only in how they edit share one."""
    found, shared = dict[Fit, FittedEditor](), dict[str, FittedEditor]()
    for name, seed in fits(suite):
        use = suite.entrants[name]
        of_fit = {k: v for k, v in use.options.items() if k not in OF_EDIT}
        key = repr((use.plugin, sorted(of_fit.items(), key=str), seed))
        if key not in shared:
            shared[key] = fit_editor(
                bench.registry,
                use.plugin,
                bench.bank,
                use.options,
                seed=seed,
                generator=bench.generator,
            )
        found[name, seed] = _as(shared[key], use, bench.registry)
    return found


def _as(fit: FittedEditor, use: PluginUse, registry: Registry) -> FittedEditor:
    """The same fit with the options of `use`."""
    editor = registry.editor(use.plugin, use.options)
    editor.load_state(fit.editor.state())
    return replace(fit, editor=editor)


def measure_setting(suite: Suite, folder: Path, registry: Registry) -> None:
    """Write bank and figures of a suite in `folder`; nothing to do where they are there."""
    if (folder / EDITS).is_file():
        return
    started = time.perf_counter()
    plan = suite.bank
    if not (folder / BANK).exists():
        make_bank(
            registry,
            folder / BANK,
            generator=plan.generator.plugin,
            generator_options=plan.generator.options,
            labeller=plan.labeller.plugin,
            labeller_options=plan.labeller.options,
            n_fit=plan.n_fit,
            n_test=plan.n_test,
            seed=plan.seed,
        )
    bench = Bench(suite, LatentBank.open(folder / BANK), registry)
    editors = fitted(bench, suite)
    arrays, before = measured(bench, suite, editors)
    write_json(folder / SUITE, suite.model_dump(mode="json"))
    write_tensors(folder / FACES, before)
    write_json(folder / SECONDS, {"seconds": time.perf_counter() - started})
    write_tensors(folder / EDITS, arrays)


@torch.no_grad()
def measured(
    bench: Bench, suite: Suite, editors: Mapping[Fit, FittedEditor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Arrays of all edits, by `array_name`, and of the unedited faces."""
    test = bench.bank.split("test")
    observed = bench.look(test.codes, test.space, features=True)
    before = {field.name: getattr(observed, field.name) for field in fields(observed)}
    before |= possible_images(bench, observed.judged)
    arrays: dict[str, Tensor] = {}
    for t, task in enumerate(suite.tasks):
        labels = bench.bank.split("fit").attributes
        faces, change = requested(task, test.attributes, labels, test.schema)
        if "possible" in before:
            done = before["possible"][t, faces]
            faces, change = faces[done], change[done]
        seen = SideBySide(bench, list(editors.values()), task, before, faces, change)
        found = seen.arrays()
        column = test.schema.columns(task.attribute).start
        asked = {"faces": faces, "change": change, "source": test.attributes[faces, column]}
        for k, fit in enumerate(editors):
            own = asked | {name: seen.own(name, array, k) for name, array in found.items()}
            arrays |= {array_name(fit, task.name, name): own[name].clone() for name in own}
    return arrays, before
