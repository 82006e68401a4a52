"""The plugins of the cluster in `cluster.py`, as every process of a node finds them."""

from __future__ import annotations

import os

import toy_editors
import toy_metrics

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
    found = toy_editors.registry()
    found.add(latentedit_ray, "ray")
    found.add(toy_metrics.toy_metric_plugins, "toy-metrics", version="1")
    found.add(_OnNode(), "node", version=os.environ.get(VERSION, "1"))
    return found
