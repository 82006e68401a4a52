"""Inversion of pictures by optimisation, and a perceptual loss that needs no network.

This module lists the plugins; importing it never imports torch.
"""

from __future__ import annotations

from latentedit.plugin import PluginSpec, hookimpl


@hookimpl
def latentedit_plugins() -> list[PluginSpec]:
    """One inverter, and one perceptual loss."""
    here = "latentedit_inversion"
    return [
        PluginSpec(
            "inverter",
            "optimisation",
            f"{here}.optimisation:Optimisation",
            "W, then W+, by gradient descent; pivotal tuning of the generator on request",
        ),
        PluginSpec(
            "perceptual",
            "pyramid",
            f"{here}.pyramid:Pyramid",
            "pixels and their gradients at several scales",
        ),
    ]
