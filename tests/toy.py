"""The linear world of `latentedit.testing` as plugins, with an executor, and without discovery."""
# ruff: noqa: PLC0414

from __future__ import annotations

from latentedit import LayerPreset, Registry, fingerprint
from latentedit.plugin import PluginSpec, hookimpl
from latentedit.testing.world import IDENTITY as IDENTITY
from latentedit.testing.world import MIDDLE as MIDDLE
from latentedit.testing.world import RESOLUTION as RESOLUTION
from latentedit.testing.world import ROW_OF as ROW_OF
from latentedit.testing.world import ROWS as ROWS
from latentedit.testing.world import SCALE as SCALE
from latentedit.testing.world import SCHEMA as SCHEMA
from latentedit.testing.world import W_DIM as W_DIM
from latentedit.testing.world import A as A
from latentedit.testing.world import ToyEstimator as ToyEstimator
from latentedit.testing.world import ToyGenerator as ToyGenerator
from latentedit.testing.world import ToyIdentity as ToyIdentity
from latentedit.testing.world import ToyOptions as ToyOptions
from latentedit.testing.world import toy_split as toy_split

MIDDLE_ROWS = LayerPreset(ROWS, {"age": (1, 2)})
ROWS_OF_ANOTHER = LayerPreset(18, {"age": range(4, 8)})


class ToyJudge(ToyEstimator):
    """Reads the same values and has another fingerprint."""

    fingerprint = fingerprint({"estimator": "toy-judge"})


class _ToyPlugins:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [
            PluginSpec("generator", "toy", "toy:ToyGenerator", "a linear world"),
            PluginSpec("estimator", "toy-labeller", "toy:ToyEstimator", "exact attributes"),
            PluginSpec("estimator", "toy-judge", "toy:ToyJudge", "exact attributes, again"),
            PluginSpec("identity", "toy-identity", "toy:ToyIdentity", "exact identity"),
            PluginSpec("layers", "middle", "toy:MIDDLE_ROWS", "rows of this world"),
            PluginSpec("layers", "other", "toy:ROWS_OF_ANOTHER", "rows of another generator"),
        ]


toy_plugins = _ToyPlugins()


def toy_registry(*plugins: object) -> Registry:
    """A registry of the toy world and of `plugins`, without discovery."""
    registry = Registry()
    registry.add(toy_plugins, "toy")
    for i, plugin in enumerate(plugins):
        registry.add(plugin, getattr(plugin, "__name__", f"plugin-{i}"))
    return registry
