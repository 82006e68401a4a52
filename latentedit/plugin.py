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
}
"""What the target of each kind is: a subclass of this class, or, where this is a dataclass, an
instance of it."""
KINDS: tuple[str, ...] = tuple(INTERFACES)

hookspec = pluggy.HookspecMarker("latentedit")
hookimpl = pluggy.HookimplMarker("latentedit")


@dataclass(frozen=True)
class PluginSpec:
    """One named thing that a plugin offers.

    Args:
        kind: which interface it implements.
        name: how suites and commands call it; lower case, digits and hyphens.
        target: ``"package.module:Class"`` or ``"package.module:INSTANCE"``, imported on first use;
            `INTERFACES` says which.
        summary: one line for ``latentedit plugins list``.
        api_version: the version of the interfaces it was written against.
    """

    kind: PluginKind
    name: str
    target: str
    summary: str
    api_version: int = API_VERSION


@hookspec
def latentedit_plugins() -> list[PluginSpec]:
    """Everything this plugin offers."""
    raise NotImplementedError
