"""SynthFace: a small offline world of faces whose every factor is known.

This module lists the plugins; importing it never imports torch.
"""

from __future__ import annotations

from latentedit.plugin import PluginKind, PluginSpec, hookimpl

_PLUGINS: list[tuple[PluginKind, str, str, str]] = [
    (
        "generator",
        "synthface",
        "generator:SynthFace",
        "rendered faces whose attributes and identity are read off the code exactly",
    ),
    (
        "generator",
        "synthface-net",
        "trained_generator:SynthFaceNet",
        "faces drawn by a trained style-based network, with what it learned and what it missed",
    ),
    (
        "estimator",
        "synthface-labeller",
        "estimators:SynthFaceLabeller",
        "attributes and lighting of synthface images, for labelling banks",
    ),
    (
        "estimator",
        "synthface-judge",
        "estimators:SynthFaceJudge",
        "attributes and lighting of synthface images, for judging edits",
    ),
    (
        "estimator",
        "synthface-net-labeller",
        "estimators:SynthFaceNetLabeller",
        "the labeller for pictures of synthface-net",
    ),
    (
        "estimator",
        "synthface-net-judge",
        "estimators:SynthFaceNetJudge",
        "the judge for pictures of synthface-net",
    ),
    (
        "identity",
        "synthface-identity-contrastive",
        "identity:ContrastiveIdentity",
        "embeds synthface people; trained to tell them apart",
    ),
    (
        "identity",
        "synthface-identity-regression",
        "identity:RegressionIdentity",
        "embeds synthface people; trained to measure their features",
    ),
    (
        "perceptual",
        "synthface-features",
        "perceptual:SynthFaceFeatures",
        "features of the labeller's network, for images of 64 pixels and more",
    ),
]
"""Kind, name, target within this package, and summary of each."""


@hookimpl
def latentedit_plugins() -> list[PluginSpec]:
    """Two generators, four attribute estimators, two identity encoders, one perceptual loss."""
    return [
        PluginSpec(kind, name, f"latentedit_synthface.{target}", summary)
        for kind, name, target, summary in _PLUGINS
    ]
