"""SynthFace: a small offline world of faces whose every factor is known.

This module lists the plugins; importing it never imports torch.
"""

from __future__ import annotations

from latentedit.plugin import PluginSpec, hookimpl


@hookimpl
def latentedit_plugins() -> list[PluginSpec]:
    """Two generators, four attribute estimators, two identity encoders, one perceptual loss."""
    here = "latentedit_synthface"
    return [
        PluginSpec(
            "generator",
            "synthface",
            f"{here}.generator:SynthFace",
            "rendered faces whose attributes and identity are read off the code exactly",
        ),
        PluginSpec(
            "generator",
            "synthface-net",
            f"{here}.trained_generator:SynthFaceNet",
            "faces drawn by a trained style-based network, with what it learned and what it missed",
        ),
        PluginSpec(
            "estimator",
            "synthface-labeller",
            f"{here}.estimators:SynthFaceLabeller",
            "attributes and lighting of synthface images, for labelling banks",
        ),
        PluginSpec(
            "estimator",
            "synthface-judge",
            f"{here}.estimators:SynthFaceJudge",
            "attributes and lighting of synthface images, for judging edits",
        ),
        PluginSpec(
            "estimator",
            "synthface-net-labeller",
            f"{here}.estimators:SynthFaceNetLabeller",
            "the labeller for pictures of synthface-net",
        ),
        PluginSpec(
            "estimator",
            "synthface-net-judge",
            f"{here}.estimators:SynthFaceNetJudge",
            "the judge for pictures of synthface-net",
        ),
        PluginSpec(
            "identity",
            "synthface-identity-contrastive",
            f"{here}.identity:ContrastiveIdentity",
            "embeds synthface people; trained to tell them apart",
        ),
        PluginSpec(
            "identity",
            "synthface-identity-regression",
            f"{here}.identity:RegressionIdentity",
            "embeds synthface people; trained to measure their features",
        ),
        PluginSpec(
            "perceptual",
            "synthface-features",
            f"{here}.perceptual:SynthFaceFeatures",
            "features of the labeller's network, for images of 64 pixels and more",
        ),
    ]
