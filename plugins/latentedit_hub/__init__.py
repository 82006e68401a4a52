"""Hubs on which fitted editors are shared. Importing this module imports no torch."""

from __future__ import annotations

from latentedit.plugin import PluginSpec, hookimpl


@hookimpl
def latentedit_plugins() -> list[PluginSpec]:
    """Hugging Face's hub, and a folder in place of a hub."""
    here = "latentedit_hub"
    return [
        PluginSpec("hub", "huggingface", f"{here}.online:HuggingFace", "repositories of models"),
        PluginSpec("hub", "shared-folder", f"{here}.offline:SharedFolder", "a folder of yours"),
    ]
