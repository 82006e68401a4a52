"""The names that a plugin's entry point needs. This module never imports torch.

A plugin is a light module under the entry-point group ``latentedit.plugins``::

    from latentedit.plugin import PluginSpec, hookimpl

    @hookimpl
    def latentedit_plugins():
        return [PluginSpec("editor", "my-editor", "my_package.editor:MyEditor", "moves codes")]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pluggy

API_VERSION = 1
ENTRY_POINTS = "latentedit.plugins"

PluginKind = Literal[
    "generator",
    "estimator",
    "identity",
    "editor",
    "control",
    "weight-importer",
    "bank-importer",
    "network",
    "layers",
    "landmarks",
    "trainer",
    "executor",
    "inverter",
    "perceptual",
    "metric",
    "tracker",
    "hub",
]

INTERFACES: Mapping[PluginKind, str] = {
    "generator": "latentedit.interfaces.generator:Generator",
    "estimator": "latentedit.interfaces.estimators:AttributeEstimator",
    "identity": "latentedit.interfaces.estimators:IdentityEncoder",
    "editor": "latentedit.interfaces.editor:Editor",
    "control": "latentedit.interfaces.editor:Editor",
    "weight-importer": "latentedit.interfaces.importers:WeightImporter",
    "bank-importer": "latentedit.interfaces.importers:BankImporter",
    "network": "latentedit.downloads.catalogue:PublishedNetwork",
    "layers": "latentedit.editing.layers:LayerPreset",
    "landmarks": "latentedit.interfaces.landmarks:LandmarkDetector",
    "trainer": "latentedit.interfaces.estimators:EstimatorTrainer",
    "executor": "latentedit.benchmark.execution.executor:Executor",
    "inverter": "latentedit.interfaces.inverter:Inverter",
    "perceptual": "latentedit.interfaces.inverter:PerceptualLoss",
    "metric": "latentedit.interfaces.metric:EditMetric",
    "tracker": "latentedit.interfaces.tracker:Tracker",
    "hub": "latentedit.interfaces.hub:Hub",
}
"""The interface of each kind. A target is a subclass of it, or an instance if it is a dataclass."""
KINDS: tuple[str, ...] = tuple(INTERFACES)

hookspec = pluggy.HookspecMarker("latentedit")
hookimpl = pluggy.HookimplMarker("latentedit")


@dataclass(frozen=True)
class PluginSpec:
    """One named item that a plugin offers.

    Args:
        kind: the interface that it implements.
        name: its name in suites and commands: lower case letters, digits and hyphens.
        target: ``"package.module:Class"`` or ``"package.module:INSTANCE"`` (see `INTERFACES`),
            imported on first use.
        summary: one line for ``latentedit plugins list``.
        api_version: the version of the interfaces it was written against.
        citation: the BibTeX entry of the method, for the references of a run that uses it.
    """

    kind: PluginKind
    name: str
    target: str
    summary: str
    api_version: int = API_VERSION
    citation: str = ""


@hookspec
def latentedit_plugins() -> list[PluginSpec]:
    """The specs of all items that this plugin offers."""
    raise NotImplementedError
