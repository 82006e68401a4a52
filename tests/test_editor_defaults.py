"""Options of the bundled editors: what holds where nothing is said, what is tried, what is refused.

Published figures rest on these values; to change one is to change results.
"""

from __future__ import annotations

from typing import Any

import pytest

from latentedit import Editor
from latentedit_linear.conditional_mean import ConditionalMean
from latentedit_linear.controls import NearestNeighbour, NoEdit, RandomDirection, Resample
from latentedit_linear.ganspace import GANSpace
from latentedit_linear.interfacegan import InterFaceGAN
from latentedit_linear.logistic import Logistic
from latentedit_linear.mean_difference import MeanDifference
from latentedit_linear.min_norm import MinNorm
from latentedit_linear.regression import Regression
from latentedit_linear.sefa import SeFa
from latentedit_linear.stylespace import StyleSpace
from latentedit_neural.generator_optimization import GeneratorOptimization
from latentedit_neural.latent_transformer import LatentTransformer
from latentedit_neural.surrogate_gradient import SurrogateGradient
from latentedit_styleflow.editor import CouplingEditor, StyleFlow

FLOW = {
    "attributes": None,
    "gains": "none",
    "residual": False,
    "steps": 1000,
    "batch": 256,
    "learning_rate": 1e-3,
    "ema": 0.995,
    "clip": 1.0,
    "validation_share": 0.05,
    "evaluations": 20,
    "patience": 6,
}
REGRESSOR = {
    "hidden": 256,
    "steps": 1500,
    "batch": 256,
    "learning_rate": 1e-3,
    "weight_decay": 0.1,
}
RIDGES = ({"whiten": True}, {"ridge": 0.01}, {"ridge": 1.0}, {"ridge": 0.0})
EDITORS: list[tuple[type[Editor], dict[str, Any], tuple[dict[str, Any], ...]]] = [
    (NoEdit, {}, ()),
    (ConditionalMean, {}, ()),
    (MinNorm, {"ridge": 0.1}, ({"ridge": 0.01}, {"ridge": 1.0}, {"ridge": 10.0})),
    (RandomDirection, {"ridge": 0.1, "whiten": False}, RIDGES),
    (Resample, {"neighbours": 50}, ()),
    (NearestNeighbour, {"tolerance": 0.1}, ()),
    (
        GANSpace,
        {"components": 80, "axes": None},
        ({"components": 10}, {"components": 512}, {"components": 5}),
    ),
    (
        InterFaceGAN,
        {
            "extreme_share": 0.02,
            "validation_share": 0.3,
            "c": 1.0,
            "conditional": "none",
            "boundaries": {},
            "whiten": False,
        },
        (
            {"whiten": True, "extreme_share": 0.1, "c": 0.001},
            {"extreme_share": 0.1},
            {"extreme_share": 0.1, "c": 0.01},
            {"extreme_share": 0.3, "c": 0.01},
        ),
    ),
    (
        Logistic,
        {"c": 0.001, "whiten": False},
        ({"whiten": True}, {"c": 0.01}, {"c": 0.0001}, {"c": 0.1}),
    ),
    (MeanDifference, {"share": 0.5}, ({"share": 0.1}, {"share": 0.02}, {"share": 0.25})),
    (Regression, {"ridge": 0.1, "whiten": False}, RIDGES),
    (
        SeFa,
        {"components": None, "rows": None, "normalize_styles": False},
        ({"normalize_styles": True}, {"components": 10}, {"components": 20}),
    ),
    (
        StyleSpace,
        {"exemplars": 30, "channels": 1, "probes": 32},
        ({"channels": 4}, {"exemplars": 100}, {"channels": 4, "exemplars": 100}),
    ),
    (
        StyleFlow,
        FLOW
        | {
            "whiten": True,
            "objective": "flow-matching",
            "coupling": "independent",
            "trace": "hutchinson",
            "adjoint": False,
            "hidden": (512, 512, 512, 512, 512),
            "blocks": 1,
            "method": None,
            "solver_steps": 2,
            "tolerance": 1e-5,
            "residual": True,
            "edit": "invert",
            "flowedit_steps": 4,
            "flowedit_samples": 1,
            "weights": None,
        },
        ({"learning_rate": 3e-4}, {"steps": 2000}, {"batch": 64}),
    ),
    (
        CouplingEditor,
        FLOW | {"whiten": False, "hidden": 256, "layers": 8},
        ({"whiten": True}, {"learning_rate": 3e-4}, {"steps": 2000}),
    ),
    (
        GeneratorOptimization,
        {"steps": 60, "learning_rate": 0.05, "preserve": 0.5, "distance": 0.002, "pixels": 1.0},
        ({"preserve": 2.0}, {"pixels": 4.0}, {"learning_rate": 0.1}),
    ),
    (
        LatentTransformer,
        REGRESSOR
        | {"transformer_hidden": 128, "transformer_steps": 1000, "preserve": 1.0, "distance": 0.05},
        ({"preserve": 4.0}, {"distance": 0.2}, {"weight_decay": 1.0}),
    ),
    (
        SurrogateGradient,
        REGRESSOR | {"walk": 8, "ridge": 1e-3},
        ({"weight_decay": 1.0}, {"ridge": 0.1}, {"walk": 16}),
    ),
]


@pytest.mark.parametrize(("editor", "defaults", "candidates"), EDITORS)
def test_what_is_not_said_and_what_is_tried_are_as_published(
    editor: type[Editor], defaults: dict[str, Any], candidates: tuple[dict[str, Any], ...]
) -> None:
    assert editor.Options().model_dump() == defaults
    assert tuple(editor.candidates) == candidates


TINY = 1e-12
AT_LEAST_ONE = (1, 0)
ABOVE_ZERO = (TINY, 0.0)
FROM_ZERO = (0.0, -TINY)
FLOW_BOUNDS = {
    "steps": [AT_LEAST_ONE],
    "batch": [(2, 1)],
    "learning_rate": [ABOVE_ZERO],
    "ema": [FROM_ZERO, (1 - TINY, 1.0)],
    "clip": [ABOVE_ZERO],
    "validation_share": [ABOVE_ZERO, (1 - TINY, 1.0)],
    "evaluations": [AT_LEAST_ONE],
    "patience": [AT_LEAST_ONE],
}
REGRESSOR_BOUNDS = {
    "hidden": [AT_LEAST_ONE],
    "steps": [AT_LEAST_ONE],
    "batch": [(2, 1)],
    "learning_rate": [ABOVE_ZERO],
    "weight_decay": [FROM_ZERO],
}
BOUNDS: dict[type[Editor], dict[str, list[tuple[float, float]]]] = {
    Resample: {"neighbours": [AT_LEAST_ONE]},
    NearestNeighbour: {"tolerance": [ABOVE_ZERO]},
    GANSpace: {"components": [AT_LEAST_ONE]},
    InterFaceGAN: {
        "extreme_share": [ABOVE_ZERO, (0.5, 0.5 + TINY)],
        "validation_share": [FROM_ZERO, (1 - TINY, 1.0)],
        "c": [ABOVE_ZERO],
    },
    Logistic: {"c": [ABOVE_ZERO]},
    MeanDifference: {"share": [ABOVE_ZERO, (0.5, 0.5 + TINY)]},
    Regression: {"ridge": [FROM_ZERO]},
    SeFa: {"components": [AT_LEAST_ONE]},
    StyleSpace: {"exemplars": [(2, 1)], "channels": [AT_LEAST_ONE], "probes": [(2, 1)]},
    StyleFlow: FLOW_BOUNDS
    | {"blocks": [AT_LEAST_ONE, (16, 17)], "solver_steps": [AT_LEAST_ONE]}
    | {"tolerance": [ABOVE_ZERO]},
    CouplingEditor: FLOW_BOUNDS | {"hidden": [AT_LEAST_ONE], "layers": [AT_LEAST_ONE]},
    GeneratorOptimization: {
        "steps": [AT_LEAST_ONE],
        "learning_rate": [ABOVE_ZERO],
        "preserve": [FROM_ZERO],
        "distance": [FROM_ZERO],
        "pixels": [FROM_ZERO],
    },
    LatentTransformer: REGRESSOR_BOUNDS
    | {"transformer_hidden": [AT_LEAST_ONE], "transformer_steps": [AT_LEAST_ONE]}
    | {"preserve": [FROM_ZERO], "distance": [FROM_ZERO]},
    SurrogateGradient: REGRESSOR_BOUNDS | {"walk": [AT_LEAST_ONE], "ridge": [ABOVE_ZERO]},
}


@pytest.mark.parametrize("editor", BOUNDS)
def test_the_last_number_is_taken_and_the_next_is_refused(editor: type[Editor]) -> None:
    for name, bounds in BOUNDS[editor].items():
        for inside, outside in bounds:
            assert editor.Options.model_validate({name: inside})
            with pytest.raises(ValueError, match=name):
                editor.Options.model_validate({name: outside})


def test_a_seed_decides_the_edits_of_what_draws_random_numbers_alone() -> None:
    """All others are fitted once for all fit seeds of a suite."""
    drawing = {RandomDirection, Resample, LatentTransformer, SurrogateGradient}
    flows = {CouplingEditor, StyleFlow}
    assert {editor for editor, *_ in EDITORS if editor.seeded} == drawing | flows
