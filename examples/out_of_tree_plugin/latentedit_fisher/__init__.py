"""List of the package's plugins. Importing it imports nothing heavy."""

from __future__ import annotations

from latentedit.plugin import PluginSpec, hookimpl


@hookimpl
def latentedit_plugins() -> list[PluginSpec]:
    target = "latentedit_fisher.editor:Fisher"
    return [PluginSpec("editor", "fisher", target, "directions of Fisher's linear discriminant")]
