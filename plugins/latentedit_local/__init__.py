"""The executor on this machine. Importing this module never imports torch."""

from __future__ import annotations

from latentedit.plugin import PluginSpec, hookimpl


@hookimpl
def latentedit_plugins() -> list[PluginSpec]:
    """The executor of every run that names no other."""
    target = "latentedit_local.executor:LocalExecutor"
    return [PluginSpec("executor", "local", target, "cells on this machine, a process each")]
