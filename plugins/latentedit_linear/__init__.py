"""Linear editors and the controls of every comparison.

This module lists the plugins; importing it never imports torch.
"""

from __future__ import annotations

from latentedit.plugin import PluginSpec, hookimpl
from latentedit_linear.citations import BY_NAME


@hookimpl
def latentedit_plugins() -> list[PluginSpec]:
    """Supervised directions, unsupervised families of axes, channels of S, controls."""
    here = "latentedit_linear"
    editors = [
        ("interfacegan", "interfacegan:InterFaceGAN", "unit normals of linear SVM boundaries"),
        ("regression", "regression:Regression", "directions of ridge regression"),
        ("logistic", "logistic:Logistic", "unit normals of logistic regression"),
        ("mean-difference", "mean_difference:MeanDifference", "from low to high faces' mean code"),
        ("conditional-mean", "conditional_mean:ConditionalMean", "as the mean of codes moves"),
        ("min-norm", "min_norm:MinNorm", "least Mahalanobis change with the wanted predictions"),
        ("ganspace", "ganspace:GANSpace", "principal axes of W, labelled by correlation"),
        ("sefa", "sefa:SeFa", "eigenvectors of the style weights, labelled by correlation"),
        ("stylespace", "stylespace:StyleSpace", "channels of S that stand out in exemplars"),
    ]
    controls = [
        ("oracle", "controls:Oracle", "the same face with nothing else changed"),
        ("no-edit", "controls:NoEdit", "leaves every code as it is"),
        ("random-direction", "controls:RandomDirection", "a random move of equal length"),
        ("resample", "controls:Resample", "another face that has what was asked for"),
        ("nearest-neighbour", "controls:NearestNeighbour", "the closest such face"),
    ]
    return [
        *(
            PluginSpec("editor", name, f"{here}.{target}", line, citation=BY_NAME.get(name, ""))
            for name, target, line in editors
        ),
        *(PluginSpec("control", name, f"{here}.{target}", line) for name, target, line in controls),
    ]
