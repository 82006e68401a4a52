"""Keys of cells: everything that decides their results, plugin by plugin."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from latentedit.benchmark.cells.bench import BATCH, Bench
from latentedit.benchmark.cells.tuning import trial_options, tuning_key
from latentedit.benchmark.plugin_use import PluginUse
from latentedit.benchmark.suite import Suite
from latentedit.benchmark.suite_parts import Sequence
from latentedit.benchmark.task import Task
from latentedit.editing.keys import Key, code_key, core_versions, plugin_key
from latentedit.editing.layers import LayerPreset
from latentedit.errors import EnvironmentFault, LatentEditError, PluginFault
from latentedit.files.artefacts import Digest, canonical_json
from latentedit.registry import Registry

CELL_PROTOCOL = 8
"""Part of every cell's key; raised when cells measure something else or something more."""


class CellKeys:
    """The keys of a suite's cells.

    Args:
        threads: of each cell.
    """

    def __init__(self, bench: Bench, threads: int) -> None:
        self.bench, self.suite, self.registry = bench, bench.suite, bench.registry
        self.base = {
            "protocol": CELL_PROTOCOL,
            "bank": bench.bank.hash,
            "threads": threads,
            "versions": core_versions(),
            "models": bank_models(self.suite, self.registry),
            **({"device": self.suite.device} if self.suite.device else {}),
        }
        judge, recognisers = bench.judge, bench.recognisers
        self.recognisers = [
            self._observer("identity", use, encoder.fingerprint)
            for use, encoder in zip(self.suite.identity, recognisers, strict=True)
        ]
        self.observers = {
            "judge": self._observer("estimator", self.suite.judge, judge.fingerprint),
            "identity": self.recognisers,
            "batch": BATCH,
            "show_faces": self.suite.show_images,
        }

    def _observer(self, kind: str, use: PluginUse, fingerprint: Digest) -> Key:
        key = plugin_key(self.registry, kind, use.plugin, use.options)
        return key | {"fingerprint": fingerprint}

    def faces(self, shard: int | None = None) -> Key:
        """Of the unedited images; with the tasks, if these decide which images take part."""
        faces = self.base | self.observers | self._rows(shard)
        if not self.suite.only_possible:
            return faces
        tasks = [task.model_dump(mode="json") for task in self.suite.tasks]
        return faces | self._reached() | {"tasks": tasks}

    def _reached(self) -> Key:
        """What decides which strengths are tried, on which images, and what is kept of them."""
        kept = {"keep_images": True} if self.suite.keep_images else {}
        return kept | {
            "strengths": self.suite.strengths,
            "strength_limit": self.suite.strength_limit,
            "effects": self.suite.effects,
            "only_possible": self.suite.only_possible,
            "keep_codes": self.suite.keep_codes,
        }

    def editor(self, entrant: str) -> Key:
        """Of an editor with its options and tuning; a fit has a seed besides."""
        use = self.suite.entrants[entrant]
        kind = self.registry.editor_kind(use.plugin)
        tuning = tuning_key(self.bench, entrant, self.recognisers)
        editor = plugin_key(self.registry, kind, use.plugin, use.options)
        return self.base | {"editor": editor} | tuning | self._labeller(entrant)

    def _labeller(self, entrant: str) -> Key:
        """Of a bank that was there before: its labeller as it is installed, where the fit asks it.
        The labeller of another bank is a part of every key."""
        labeller = self.suite.bank.labeller
        if not self.suite.bank.exists or not asks_labeller(self.suite, self.registry, entrant):
            return {}
        try:
            built = self.registry.estimator(labeller.plugin, labeller.options)
        except LatentEditError:
            return {}  # the fit cell says what is wrong
        return {"labeller": self._observer("estimator", labeller, built.fingerprint)}

    def first_alike(self, entrant: str, seed: int) -> int:
        """The first of the suite's seeds that gives an editor the fit and edits of `seed`.

        Tuning draws its validation faces by seed, so that every seed is its own then.
        """
        use = self.suite.entrants[entrant]
        try:
            loaded = self.registry.load(self.registry.editor_kind(use.plugin), use.plugin)
        except PluginFault:
            return seed  # its fit cell says what is wrong
        alike = self.suite.tune is None and not loaded.seeded
        return self.suite.seeds[0] if alike else seed

    def _rows(self, shard: int | None) -> Key:
        """The first and the last test image of a shard; empty where one cell has all of them."""
        rows = self.suite.shards[shard]
        return {} if shard is None else {"shard": [rows[0], rows[-1]]}

    def edit(self, fit: Key, task: Task, shard: int | None = None) -> Key:
        """Of a task with the fit that has the key `fit`."""
        asked = {"task": task.model_dump(mode="json")} | self._reached()
        return (
            fit
            | self.observers
            | asked
            | self._presets([task])
            | self._metrics()
            | (self._rows(shard))
        )

    def sequence(self, fit: Key, sequence: Sequence, shard: int | None = None) -> Key:
        """Of a sequence of tasks with the fit that has the key `fit`."""
        edited = [task for task in self.suite.tasks if task.name in sequence.edits]
        asked = {
            "sequence": sequence.model_dump(mode="json"),
            "tasks": [task.model_dump(mode="json") for task in edited],
        }
        return fit | self.observers | asked | self._presets(edited) | self._rows(shard)

    def _metrics(self) -> Key:
        """The metrics that the suite adds; empty where there are none."""
        found = self.bench.metrics
        keys = {
            str(use): self._observer("metric", use, found[str(use)].fingerprint)
            for use in self.suite.metrics
        }
        return {"metrics": keys} if keys else {}

    def _presets(self, tasks: Iterable[Task]) -> Key:
        """What the layer presets that tasks name hold; empty where none is named."""
        named = sorted({task.layers for task in tasks if isinstance(task.layers, str)})
        held: dict[str, LayerPreset] = {name: self.registry.load("layers", name) for name in named}
        return {"layers": {name: p.to_json() for name, p in held.items()}} if held else {}


def bank_models(suite: Suite, registry: Registry) -> Key:
    """What makes the images of a suite's bank and labels them: the code and all options.

    The labels of a bank that was there before are part of its hash, whoever gave them.
    """
    maker, labeller = suite.bank.generator, suite.bank.labeller
    if suite.bank.exists:
        made = registry.generator(maker.plugin, maker.options).fingerprint
        key = plugin_key(registry, "generator", maker.plugin, maker.options)
        return {"generator": key | {"fingerprint": made}, "labeller": labeller.model_dump()}
    prints = {
        "generator": registry.generator(maker.plugin, maker.options).fingerprint,
        "labeller": registry.estimator(labeller.plugin, labeller.options).fingerprint,
    }
    return {
        role: plugin_key(registry, kind, use.plugin, use.options) | {"fingerprint": prints[role]}
        for role, kind, use in (
            ("generator", "generator", maker),
            ("labeller", "estimator", labeller),
        )
    }


def asks_labeller(suite: Suite, registry: Registry, entrant: str) -> bool:
    """Whether the fit of an entrant reads images with the bank's labeller: for its trials, or
    because the editor needs it."""
    if trial_options(suite, entrant, registry):
        return True
    plugin = suite.entrants[entrant].plugin
    try:
        return "estimator" in registry.load(registry.editor_kind(plugin), plugin).needs
    except PluginFault:
        return False  # its fit cell says what is wrong


def code_digest(registry: Registry, kind: str, name: str) -> Digest:
    """SHA-256 over version and source of a plugin; runs of one table have the same judge's."""
    key = code_key(registry, kind, name)
    written = {field: key.get(field) for field in ("version", "source")}
    return hashlib.sha256(canonical_json(written)).hexdigest()


def plugins_used(suite: Suite, registry: Registry) -> dict[str, list[PluginUse]]:
    """Every plugin that a suite names, by kind."""
    entrants: dict[str, list[PluginUse]] = {"editor": [], "control": []}
    for use in suite.entrants.values():
        entrants[registry.editor_kind(use.plugin)].append(use)
    return {
        "generator": [suite.bank.generator],
        "estimator": [*([] if suite.bank.exists else [suite.bank.labeller]), suite.judge],
        "identity": list(suite.identity),
        "metric": list(suite.metrics),
        **entrants,
        "layers": [PluginUse(plugin=t.layers) for t in suite.tasks if isinstance(t.layers, str)],
    }


def suite_code(suite: Suite, registry: Registry) -> Key:
    """By kind and name the code of every plugin that a suite names, and of the project itself."""
    used = plugins_used(suite, registry)
    asked = any(asks_labeller(suite, registry, entrant) for entrant in suite.entrants)
    labeller = suite.bank.labeller
    if asked and labeller.plugin in registry.names("estimator"):
        used["estimator"].append(labeller)
    return {"core": core_versions()} | {
        f"{kind} {use.plugin}": code_key(registry, kind, use.plugin)
        for kind, listed in used.items()
        for use in listed
    }


def check_same_code(suite: Suite, registry: Registry, wanted: Mapping[str, Any]) -> None:
    """Raise `EnvironmentFault` unless the plugins here are those of the run's own process.

    Args:
        wanted: `suite_code` of the process that started the run.
    """
    try:
        here: Mapping[str, Any] = suite_code(suite, registry)
    except LatentEditError as error:
        raise EnvironmentFault(
            f"{socket.gethostname()} cannot compute cells of this run: {error}. "
            "Install the same plugins everywhere"
        ) from error
    for name, code in wanted.items():
        found = here.get(name, {})
        for field in sorted({*code, *found}):
            if code.get(field) != found.get(field):
                raise EnvironmentFault(
                    f"{socket.gethostname()} has another {name} than the run: {field} is "
                    f"{found.get(field, 'nothing')} there and {code.get(field, 'nothing')} in the "
                    "run. Install the same versions everywhere, and run the suite again"
                )


def differing(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    """The fields of two keys that differ: dotted names, and both values or ``"nothing"``."""
    a, b = _flat(first), _flat(second)
    for field in sorted({*a, *b}):
        pair = a.get(field, "nothing"), b.get(field, "nothing")
        if pair[0] != pair[1]:
            yield field, *pair


def _flat(value: Any, place: str = "") -> dict[str, Any]:
    """Nested mappings, and lists of mappings, as dotted fields."""
    if isinstance(value, list) and any(isinstance(part, dict) for part in value):
        value = {str(i): part for i, part in enumerate(value)}
    if not isinstance(value, dict):
        return {place: value}
    return {
        key: leaf
        for name, child in value.items()
        for key, leaf in _flat(child, f"{place}.{name}".lstrip(".")).items()
    }
