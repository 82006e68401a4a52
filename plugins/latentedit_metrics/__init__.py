"""Metrics of edits that suites may add.

This module lists the plugins; importing it never imports torch.
"""

from __future__ import annotations

from latentedit.plugin import PluginSpec, hookimpl


@hookimpl
def latentedit_plugins() -> list[PluginSpec]:
    """Two metrics of images, and two of how an edit separates attributes."""
    here = "latentedit_metrics"
    table = [
        ("perceptual-distance", "images:PerceptualDistance", "distance in features of a network"),
        ("ssim", "images:Ssim", "structural similarity with a Gaussian window, by torchmetrics"),
        ("dci-disentanglement", "separation:Disentanglement", "how far one attribute alone moved"),
        (
            "mutual-information-gap",
            "separation:InformationGap",
            "what codes along the edit tell",
        ),
    ]
    return [
        PluginSpec("metric", name, f"{here}.{target}", summary) for name, target, summary in table
    ]
