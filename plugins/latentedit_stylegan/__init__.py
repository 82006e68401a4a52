"""StyleGAN2 and StyleGAN3 in plain PyTorch, and the import of networks that others published.

This module only says what there is; importing it never imports torch.
"""

from __future__ import annotations

from latentedit.plugin import PluginSpec, hookimpl


@hookimpl
def latentedit_plugins() -> list[PluginSpec]:
    """Two generators, and what reads published networks into it."""
    return [
        PluginSpec(
            "generator",
            "stylegan2",
            "latentedit_stylegan.generator:StyleGAN2",
            "a StyleGAN2 network that `latentedit import` wrote",
        ),
        PluginSpec(
            "generator",
            "stylegan3",
            "latentedit_stylegan.alias_free.generator:StyleGAN3",
            "a StyleGAN3 network, T or R, that `latentedit import` wrote",
        ),
        PluginSpec(
            "importer",
            "stylegan2",
            "latentedit_stylegan.importing:import_network",
            "NVIDIA .pkl, TensorFlow .pkl, rosinality .pt and genforce .pth of StyleGAN",
        ),
    ]
