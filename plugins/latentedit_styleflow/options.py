"""Options of flow editors."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from latentedit import Options
from latentedit_styleflow.solver import Method, Solver


class FlowOptions(Options):
    """Options of every flow editor.

    Args:
        attributes: names of the attributes to condition on; all of the bank's if None.
        whiten: transform codes to unit covariance before the flow. The release only scales each
            coordinate to unit variance.
        gains: factors of requested changes by attribute, or ``"released"`` for the factors in the
            interface of the StyleFlow release.
        residual: the flow learns w − B (a − ā) with B = cov(w, a) cov(a)⁻¹, and B is added again
            where it is used. Then an untrained flow edits by w + B (a' − a).
        steps: largest number of training steps.
        batch: codes per step.
        learning_rate: peak of the cosine schedule.
        ema: decay of the averaged weights.
        clip: largest gradient norm.
        validation_share: share of the codes that no fit sees. One half decides when training
            stops, the other half measures the log-likelihood.
        evaluations, patience: of the held-out loss; those without improvement before a stop.
    """

    attributes: tuple[str, ...] | None = None
    whiten: bool = True
    gains: Literal["none", "released"] | dict[str, float] = "none"
    residual: bool = False
    steps: int = Field(default=1000, ge=1)
    batch: int = Field(default=256, ge=2)
    learning_rate: float = Field(default=1e-3, gt=0)
    ema: float = Field(default=0.995, ge=0, lt=1)
    clip: float = Field(default=1.0, gt=0)
    validation_share: float = Field(default=0.05, gt=0, lt=1)
    evaluations: int = Field(default=20, ge=1)
    patience: int = Field(default=6, ge=1)


class StyleFlowOptions(FlowOptions):
    """Options of StyleFlow, in addition to those of every flow.

    Args:
        residual: on by default, unlike in the release; see `FlowOptions`.
        objective: ``"flow-matching"`` or ``"likelihood"``.
        coupling: for flow matching: ``"independent"`` or ``"optimal-transport"``.
        trace: for the likelihood: ``"hutchinson"`` or ``"exact"``.
        adjoint: compute gradients of the likelihood by the adjoint method.
        hidden: widths of the vector field's layers; the release has five layers of 512.
        blocks: number of vector fields in sequence, with a norm after each.
        method: method of torchdiffeq for encoding, decoding and the likelihood. If None,
            ``"rk4"``, or with `weights` ``"dopri5"``, as in the release.
        solver_steps: number of steps of a fixed-step method.
        tolerance: atol and rtol of an adaptive method.
        edit: ``"invert"`` to encode and decode, or ``"flowedit"`` for `flow_edit`, which follows
            the difference of two velocities. It needs one block trained by flow matching, and it
            is not invertible.
        flowedit_steps: number of steps from noise to codes.
        flowedit_samples: number of noise samples at every step; each costs two evaluations.
        weights: a folder by ``latentedit import --as styleflow``. Its flow is used without
            training, on raw attribute values. Of the other options only `attributes`, `gains` and
            those of the solver apply.
    """

    residual: bool = True
    objective: Literal["flow-matching", "likelihood"] = "flow-matching"
    coupling: Literal["independent", "optimal-transport"] = "independent"
    trace: Literal["hutchinson", "exact"] = "hutchinson"
    adjoint: bool = False
    hidden: tuple[int, ...] = (512, 512, 512, 512, 512)
    blocks: int = Field(default=1, ge=1, le=16)
    method: Method | None = None
    solver_steps: int = Field(default=2, ge=1)
    tolerance: float = Field(default=1e-5, gt=0)
    edit: Literal["invert", "flowedit"] = "invert"
    flowedit_steps: int = Field(default=4, ge=1)
    flowedit_samples: int = Field(default=1, ge=1)
    weights: Path | None = None

    @model_validator(mode="after")
    def _straight_paths(self) -> Self:
        matched = self.objective == "flow-matching" and self.blocks == 1 and self.weights is None
        if self.edit == "flowedit" and not matched:
            raise ValueError(
                "flowedit needs the straight paths of flow matching, received "
                f"objective={self.objective!r}, blocks={self.blocks}, weights={self.weights}; use "
                "edit='invert', or objective='flow-matching' with blocks=1 and no weights"
            )
        return self

    @property
    def solver(self) -> Solver:
        usual: Method = "rk4" if self.weights is None else "dopri5"
        return Solver(self.method or usual, self.solver_steps, self.tolerance)


class CouplingOptions(FlowOptions):
    """Options of the discrete flow, in addition to those of every flow.

    Args:
        whiten: off by default. On whitened codes the flow overfits before it learns the effect of
            attributes, and its edits move almost nothing.
        hidden: width of each layer's network.
        layers: number of affine couplings.
    """

    whiten: bool = False
    hidden: int = Field(default=256, ge=1)
    layers: int = Field(default=8, ge=1)
