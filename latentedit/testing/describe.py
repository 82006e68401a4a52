"""What a plugin is and which options it takes, for people."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from typing import Any, cast

from latentedit.errors import InputError, UnknownName
from latentedit.plugin import INTERFACES, KINDS, PluginKind
from latentedit.registry import Registry


@dataclass(frozen=True)
class OptionDescription:
    """An option: its type, its default (empty where it is required) and its meaning."""

    name: str
    type: str
    default: str
    meaning: str


@dataclass(frozen=True)
class PluginDescription:
    """A plugin with the interface that it implements.

    Args:
        meaning: its docstring, or its summary if it has none.
        declared: what its class declares besides, by name; only of metrics.
    """

    name: str
    kind: str
    origin: str
    target: str
    interface: str
    meaning: str
    options: tuple[OptionDescription, ...]
    declared: dict[str, str] = field(default_factory=dict)


DECLARED = {"metric": ("unit", "higher_is_better", "formula", "smallest_difference", "of", "needs")}
"""By kind, the class attributes that people look for."""


def describe(registry: Registry, name: str, kind: str | None = None) -> PluginDescription:
    """The plugin `name`.

    Raises:
        UnknownName: there is no such plugin, or no such kind.
        InputError: several kinds have a plugin of this name, and none was chosen.
    """
    if kind is not None and kind not in KINDS:
        raise UnknownName("kind", kind, KINDS)
    bare = name.rpartition("/")[2]
    kinds = [kind] if kind else [each for each in KINDS if bare in registry.names(each)]
    if not kinds:
        raise UnknownName("plugin", name, sorted({n for k in KINDS for n in registry.names(k)}))
    if len(kinds) > 1:
        raise InputError(
            f"{name!r} is a plugin of several kinds, {', '.join(kinds)}; choose one with --kind"
        )
    origin, spec = registry.find(kinds[0], name)
    loaded = registry.load(kinds[0], name)
    documented = inspect.getdoc(loaded) if isinstance(loaded, type) else None
    return PluginDescription(
        spec.name,
        kinds[0],
        f"{origin.distribution} {origin.version}".strip(),
        spec.target,
        INTERFACES[cast(PluginKind, kinds[0])],
        documented or spec.summary,
        _options(getattr(loaded, "Options", None)),
        {name: _said(getattr(loaded, name)) for name in DECLARED.get(kinds[0], ())},
    )


def _said(value: Any) -> str:
    return ", ".join(sorted(value)) if isinstance(value, frozenset) else str(value)


def _options(model: Any) -> tuple[OptionDescription, ...]:
    if model is None:
        return ()
    meanings = _meanings(inspect.getdoc(model) or "")
    return tuple(
        OptionDescription(
            name,
            _type(field.annotation),
            "" if field.is_required() else repr(field.get_default(call_default_factory=True)),
            meanings.get(name, ""),
        )
        for name, field in model.model_fields.items()
    )


def _type(annotation: Any) -> str:
    plain = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return re.sub(r"\b(typing|pathlib|collections\.abc)\.", "", plain)


def _meanings(docstring: str) -> dict[str, str]:
    """The entries under ``Args:``, by name."""
    found: dict[str, str] = {}
    names: list[str] = []
    lines = docstring.partition("Args:")[2].splitlines()
    for line in lines:
        entry = re.fullmatch(r" {4}(\w+(?:, \w+)*): (.*)", line)
        if entry:
            names = entry[1].split(", ")
            found |= dict.fromkeys(names, entry[2].strip())
        elif line.startswith(" " * 8):
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
        elif line.strip():
            break
    return found
