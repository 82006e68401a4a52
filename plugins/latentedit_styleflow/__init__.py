"""StyleFlow: conditional normalizing flows as editors.

This module lists the plugins; importing it never imports torch.
"""

from __future__ import annotations

from latentedit.plugin import PluginSpec, hookimpl
from latentedit_styleflow.citations import STYLEFLOW


@hookimpl
def latentedit_plugins() -> list[PluginSpec]:
    """The continuous flow of the paper, a discrete one, and what reads the release's files."""
    home = "latentedit_styleflow.editor"
    return [
        PluginSpec(
            "editor",
            "styleflow",
            f"{home}:StyleFlow",
            "continuous flow (CNF) under attributes",
            citation=STYLEFLOW,
        ),
        PluginSpec(
            "editor",
            "coupling-flow",
            f"{home}:CouplingEditor",
            "discrete flow (DNF) under attributes",
            citation=STYLEFLOW,
        ),
        PluginSpec(
            "weight-importer",
            "styleflow",
            "latentedit_styleflow.importing:CheckpointImporter",
            "released checkpoints of StyleFlow",
        ),
        PluginSpec(
            "bank-importer",
            "styleflow-data",
            "latentedit_styleflow.data:StyleFlowData",
            "latents.npy, attributes.npy and lighting.npy, as StyleFlow's training data",
        ),
        PluginSpec(
            "layers",
            "released",
            "latentedit_styleflow.layers:RELEASED",
            "rows of W+ that the StyleFlow release lets each edit change",
        ),
    ]
