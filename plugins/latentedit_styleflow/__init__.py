"""StyleFlow: conditional normalizing flows as editors.

This module only says what there is; importing it never imports torch.
"""

from __future__ import annotations

from latentedit.plugin import PluginSpec, hookimpl


@hookimpl
def latentedit_plugins() -> list[PluginSpec]:
    """The continuous flow of the paper, a discrete one, and the reader of released checkpoints."""
    home = "latentedit_styleflow.editor"
    return [
        PluginSpec(
            "editor", "styleflow", f"{home}:StyleFlow", "continuous flow (CNF) under attributes"
        ),
        PluginSpec(
            "editor",
            "coupling-flow",
            f"{home}:CouplingEditor",
            "discrete flow (DNF) under attributes",
        ),
        PluginSpec(
            "importer",
            "styleflow",
            "latentedit_styleflow.importing:import_checkpoint",
            "released checkpoints of StyleFlow",
        ),
    ]
