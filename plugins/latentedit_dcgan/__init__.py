"""A DCGAN of faces, read from the package that publishes it.

This module lists the plugin; importing it never imports torch.
"""

from __future__ import annotations

from latentedit.plugin import PluginSpec, hookimpl


@hookimpl
def latentedit_plugins() -> list[PluginSpec]:
    """A generator whose weights another package holds."""
    return [
        PluginSpec(
            "generator",
            "dcgan-faces",
            "latentedit_dcgan.generator:DcganFaces",
            "faces of 64 pixels by a published DCGAN; needs the package gan-face-generate",
        )
    ]
