"""The plugins of the cluster in `cluster.py`, as every process of a node finds them."""

from __future__ import annotations

import os

from metric_worlds import toy_metrics_registry

import latentedit_ray
from latentedit import PluginSpec, Registry, hookimpl

VERSION = "LATENTEDIT_TEST_VERSION"
"""The variable that says which version of `moves` a node has."""


class _OnNode:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [PluginSpec("editor", "moves", "node_editor:Moves", "for tests")]


def registry() -> Registry:
    """The toy world, Ray, and an editor that a node has in a folder of its own."""
    found = toy_metrics_registry()
    found.add(latentedit_ray, "ray")
    found.add(_OnNode(), "node", version=os.environ.get(VERSION, "1"))
    return found
