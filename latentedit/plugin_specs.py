"""The specs that plugins offer, read through their hook and checked."""

from __future__ import annotations

import itertools
import re
from contextlib import suppress
from importlib.metadata import EntryPoint, distributions, entry_points

import pluggy

from latentedit import plugin as hooks
from latentedit.errors import InputError, UnknownName
from latentedit.measures.definitions import METRICS
from latentedit.plugin import ENTRY_POINTS, KINDS, PluginSpec

BUILT_IN = (
    PluginSpec(
        "executor",
        "local",
        "latentedit.benchmark.execution.local:LocalExecutor",
        "cells on this machine, a process each",
    ),
    PluginSpec(
        "metric",
        "structural-similarity",
        "latentedit.benchmark.cells.structural_similarity:StructuralSimilarity",
        "how much of an image's structure an edit keeps",
    ),
    *(
        PluginSpec(
            "metric",
            metric.plugin,
            f"latentedit.benchmark.results.metrics:{metric.plugin.title().replace('-', '')}",
            f"of every run: {metric.formula}",
        )
        for metric in METRICS.values()
    ),
)
"""Known without any plugin: the executor of every run that names no other, the metrics of every
run, and one that suites may name."""
MOST_SPECS = 1000
"""Most items that one plugin may offer; a hook that never ends is stopped here."""


def read_specs(plugin: object) -> list[PluginSpec]:
    """The specs of `plugin`, read through pluggy, which rejects unknown hooks."""
    manager = pluggy.PluginManager("latentedit")
    manager.add_hookspecs(hooks)
    manager.register(plugin)
    manager.check_pending()
    if not manager.hook.latentedit_plugins.get_hookimpls():
        raise InputError(
            f"{plugin!r} has no hook latentedit_plugins; "
            "decorate one with latentedit.plugin.hookimpl"
        )
    results = manager.hook.latentedit_plugins()
    if not results:
        raise InputError(f"latentedit_plugins of {plugin!r} returned None; return a list of specs")
    offered = (spec for result in results for spec in result)
    specs = list(itertools.islice(offered, MOST_SPECS + 1))
    if len(specs) > MOST_SPECS:
        raise InputError(f"latentedit_plugins returned more than {MOST_SPECS} specs")
    for spec in specs:
        _check_spec(spec)
    return specs


def _check_spec(spec: object) -> None:
    """Raise `InputError` unless it is a spec whose fields can be shown and looked up."""
    if not isinstance(spec, PluginSpec):
        raise InputError(f"latentedit_plugins returned {spec!r}, which is not a PluginSpec")
    if spec.kind not in KINDS:
        raise UnknownName("plugin kind", str(spec.kind), KINDS, f"of {spec.name!r}")
    for what in ("name", "target", "summary"):
        text = getattr(spec, what)
        if not isinstance(text, str) or not text.isprintable():
            raise InputError(f"the {what} of a {spec.kind} is {text!r}; write one line of text")
    cited = spec.citation
    if not isinstance(cited, str) or (cited and not re.match(r"@[a-z]+\{[^\s,{}]+,", cited)):
        raise InputError(
            f"the citation of {spec.name!r} is {str(cited)[:60]!r}; write a BibTeX entry"
        )
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", spec.name):
        raise InputError(
            f"the name of a {spec.kind} is {spec.name!r}; "
            "use lower case letters, digits and hyphens"
        )
    if type(spec.api_version) is not int:
        raise InputError(f"the api_version of {spec.name!r} is {spec.api_version!r}, not a number")


def entries() -> list[EntryPoint]:
    """All entry points of plugins. A package whose metadata cannot be read is left out."""
    try:
        return list(entry_points(group=ENTRY_POINTS))
    except Exception:  # one package's metadata must not hide all others
        found: list[EntryPoint] = []
        for package in distributions():
            with suppress(Exception):
                found += [entry for entry in package.entry_points if entry.group == ENTRY_POINTS]
        return found
