"""Keys: what decides a result that a plugin computes.

The key of a plugin holds its name, its version, a digest of its source code, what it imports from
other packages, and its options. Options that were not given are filled in. A path stands for the
content of its file or folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python

from latentedit import __version__
from latentedit.errors import PluginFault
from latentedit.files.digests import content_digest
from latentedit.plugin_source import imported_versions, installed_version
from latentedit.registry import Registry, parse_options

Key = dict[str, Any]
"""Plain data that JSON can hold."""


def core_versions() -> dict[str, str]:
    """Versions of what computes every result."""
    return {"latentedit": __version__, "torch": installed_version("torch")}


def code_key(registry: Registry, kind: str, name: str) -> Key:
    """Name, version, source digest and imports of a plugin.

    A plugin of this project has the project's version, and no digest of its own.
    """
    _, spec = registry.find(kind, name)
    key: Key = {"plugin": spec.name, "version": registry.version(kind, name)}
    if source := registry.source(kind, name):
        key["source"] = source
    return key | {"imports": imported_versions(spec.target)}


def code_of(registry: Registry, kind: str, name: str) -> dict[str, str]:
    """Version of a plugin, and the digest of its source code unless it is of this project."""
    key = code_key(registry, kind, name)
    return {field: key[field] for field in ("version", "source") if field in key}


def plugin_key(
    registry: Registry, kind: str, name: str, options: Mapping[str, Any] | None = None
) -> Key:
    """Everything of a plugin that decides what it computes: its code and all its options."""
    options_key = options_in_full(registry, kind, name, options or {})
    return code_key(registry, kind, name) | {"options": options_key}


def options_in_full(
    registry: Registry, kind: str, name: str, options: Mapping[str, Any]
) -> dict[str, Any]:
    """All options of a plugin with their values, as plain data.

    A plugin that cannot be imported has the options that were given.
    """
    try:
        loaded = registry.load(kind, name)
        if getattr(loaded, "Options", None) is None and not options:
            return {}
        values = parse_options(loaded, name, options).model_dump()
    except PluginFault:
        values = dict(options)
    found: dict[str, Any] = to_jsonable_python(
        _with_contents(values), inf_nan_mode="strings", serialize_unknown=True
    )
    return found


def _with_contents(value: Any) -> Any:
    """`value` with the digest of a file or folder in place of its path."""
    if isinstance(value, Path):
        digest = content_digest(value)
        return str(value) if digest is None else {"sha256": digest}
    if isinstance(value, Mapping):
        return {str(name): _with_contents(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_with_contents(part) for part in value]
    if isinstance(value, set | frozenset):
        return sorted((_with_contents(part) for part in value), key=repr)
    return value
