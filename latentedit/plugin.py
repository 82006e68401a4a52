"""What a plugin's entry point needs. Importing this module never imports torch.

A plugin is a light module under the entry-point group ``latentedit.plugins``::

    from latentedit.plugin import PluginSpec, hookimpl

    @hookimpl
    def latentedit_plugins():
        return [PluginSpec("editor", "my-editor", "my_package.editor:MyEditor", "moves codes")]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import pluggy

API_VERSION = 1
ENTRY_POINTS = "latentedit.plugins"

Kind = Literal[
    "generator",
    "estimator",
    "identity",
    "editor",
    "importer",
    "trainer",
    "executor",
    "inverter",
    "perceptual",
]
KINDS: tuple[str, ...] = get_args(Kind)

hookspec = pluggy.HookspecMarker("latentedit")
hookimpl = pluggy.HookimplMarker("latentedit")


@dataclass(frozen=True)
class PluginSpec:
    """One named thing that a plugin offers.

    Args:
        kind: which interface it implements.
        name: how suites and commands call it; lower case, digits and hyphens.
        target: ``"package.module:Class"``, imported on first use.
        summary: one line for ``latentedit plugins list``.
        api_version: the version of the interfaces it was written against.
    """

    kind: Kind
    name: str
    target: str
    summary: str
    api_version: int = API_VERSION


@hookspec
def latentedit_plugins() -> list[PluginSpec]:
    """Everything this plugin offers."""
    raise NotImplementedError
