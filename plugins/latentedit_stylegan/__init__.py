"""StyleGAN2 and StyleGAN3 in plain PyTorch, and the import of published networks.

This module lists the plugins; importing it never imports torch.
"""

from __future__ import annotations

from latentedit.plugin import PluginSpec, hookimpl

_HERE = "latentedit_stylegan"
_PUBLISHED = [
    ("stylegan2-ffhq", "FFHQ", "faces, 1024 pixels"),
    ("stylegan2-ffhq-512", "FFHQ_512", "faces, 512 pixels"),
    ("stylegan2-ffhq-256", "FFHQ_256", "faces, 256 pixels"),
    ("stylegan2-ffhq-rosinality", "FFHQ_ROSINALITY", "faces, 1024 pixels; the generator alone"),
    ("stylegan2-metfaces", "METFACES", "painted faces, 1024 pixels"),
    ("stylegan2-afhqcat", "AFHQ_CAT", "cats, 512 pixels"),
    ("stylegan2-afhqdog", "AFHQ_DOG", "dogs, 512 pixels"),
    ("stylegan2-afhqwild", "AFHQ_WILD", "wild animals, 512 pixels"),
]


@hookimpl
def latentedit_plugins() -> list[PluginSpec]:
    """Two generators, what reads published networks into them, and where such networks are."""
    return [
        PluginSpec(
            "generator",
            "stylegan2",
            f"{_HERE}.generator:StyleGAN2",
            "a StyleGAN2 network that `latentedit import` wrote",
        ),
        PluginSpec(
            "generator",
            "stylegan3",
            f"{_HERE}.alias_free.generator:StyleGAN3",
            "a StyleGAN3 network, T or R, that `latentedit import` wrote",
        ),
        PluginSpec(
            "weight-importer",
            "stylegan2",
            f"{_HERE}.importing:NetworkImporter",
            "NVIDIA .pkl, TensorFlow .pkl, rosinality .pt and genforce .pth of StyleGAN",
        ),
        *(
            PluginSpec("network", name, f"{_HERE}.published:{target}", summary)
            for name, target, summary in _PUBLISHED
        ),
    ]
