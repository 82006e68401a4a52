"""The executor on a Ray cluster. Importing this module imports neither torch nor ray."""

from __future__ import annotations

from latentedit.plugin import PluginSpec, hookimpl


@hookimpl
def latentedit_plugins() -> list[PluginSpec]:
    """An executor for many machines; the extra ``[ray]`` brings what it needs."""
    target = "latentedit_ray.executor:RayExecutor"
    return [PluginSpec("executor", "ray", target, "cells on a Ray cluster, workers kept warm")]
