"""Editors with small networks on codes, and optimisation through the generator.

This module lists the plugins; importing it never imports torch.
"""

from __future__ import annotations

from latentedit.plugin import PluginSpec, hookimpl
from latentedit_neural.citations import LATENT_TRANSFORMER


@hookimpl
def latentedit_plugins() -> list[PluginSpec]:
    """Two editors with networks on codes, and the slow reference that asks the generator."""
    here = "latentedit_neural"
    table = [
        (
            "surrogate-gradient",
            "surrogate_gradient:SurrogateGradient",
            "small steps along the gradients of an attribute regressor on codes",
        ),
        (
            "latent-transformer",
            "latent_transformer:LatentTransformer",
            "a residual network an attribute, driven by a regressor on codes",
        ),
        (
            "generator-optimization",
            "generator_optimization:GeneratorOptimization",
            "gradient descent through generator and labeller: the slow reference",
        ),
    ]
    cited = {"latent-transformer": LATENT_TRANSFORMER}
    return [
        PluginSpec("editor", name, f"{here}.{target}", summary, citation=cited.get(name, ""))
        for name, target, summary in table
    ]
