"""Flow editors: encode a code under its current attributes, decode it under the target ones."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from latentedit import (
    ANY_FLAT,
    Edited,
    Editor,
    FitStats,
    InputError,
    NotFitted,
    Options,
    Runtime,
    Split,
    moments,
)
from latentedit_styleflow.checkpoint import RELEASED_CONDITION, flow_of
from latentedit_styleflow.coupling import CouplingFlow
from latentedit_styleflow.flow import ContinuousFlow, Mapped
from latentedit_styleflow.importing import read_imported
from latentedit_styleflow.objectives import (
    Flow,
    FlowMatching,
    Likelihood,
    Objective,
    log_likelihood,
    noise,
)
from latentedit_styleflow.presets import RELEASED_GAINS
from latentedit_styleflow.solver import Method, Solver
from latentedit_styleflow.training import VALIDATION_ROWS, Condition, Plan, Trainer

CONSTANT = 1e-6
"""Deviation as a share of the mean, below which an attribute counts as constant."""
PLANNED = tuple(field.name for field in fields(Plan) if field.name != "warmup")
"""Options of training, which `Plan` takes."""
_PROBE_STREAM, _SAMPLE_STREAM, _INIT_STREAM = 3, 4, 5


class FlowOptions(Options):
    """Options of every flow editor.

    Args:
        attributes: names of the attributes to condition on; all of the bank's if None.
        whiten: transform codes to unit covariance before the flow. The release only scales each
            coordinate to unit variance.
        gains: factors of requested changes by attribute, or ``"released"`` for the factors in the
            interface of the StyleFlow release.
        steps: largest number of training steps.
        batch: codes per step.
        learning_rate: peak of the cosine schedule.
        ema: decay of the averaged weights.
        clip: largest gradient norm.
        validation_share: share of the codes held out for early stopping.
        evaluations, patience: of the held-out loss; those without improvement before a stop.
    """

    attributes: tuple[str, ...] | None = None
    whiten: bool = True
    gains: Literal["none", "released"] | dict[str, float] = "none"
    steps: int = Field(default=1000, ge=1)
    batch: int = Field(default=256, ge=2)
    learning_rate: float = Field(default=1e-3, gt=0)
    ema: float = Field(default=0.995, ge=0, lt=1)
    clip: float = Field(default=1.0, gt=0)
    validation_share: float = Field(default=0.05, gt=0, lt=1)
    evaluations: int = Field(default=20, ge=1)
    patience: int = Field(default=6, ge=1)


class FlowEditor(Editor):
    """Joint reverse encoding, then conditional forward editing.

        z = encode(w, a),    w' = decode(z, a')

    A subclass builds the flow and chooses its training objective.
    """

    Options: ClassVar[type[FlowOptions]] = FlowOptions
    options: FlowOptions
    spaces: ClassVar[tuple[str, ...]] = ("w", ANY_FLAT)
    invertible: ClassVar[bool] = True
    absolute: ClassVar[bool] = True
    samplable: ClassVar[bool] = True
    flow: Flow
    condition: Condition
    columns: Tensor

    @abstractmethod
    def build(self, dim: int, condition: int) -> Flow:
        """An untrained flow of codes (N, D) under (N, A) standard scores."""

    def rebuild(self, state: Mapping[str, Tensor]) -> Flow:
        """A flow of the shape that `state` was saved from."""
        mean = next(v for k, v in state.items() if re.match(r"flow\..*mean", k))
        return self.build(len(mean), len(self.columns))

    @abstractmethod
    def objective(self) -> Objective:
        """The training objective."""

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        self._take_columns(data)
        found = moments(data)
        mean, covariance = found.mean.float(), found.covariance.float()
        a_mean = found.attribute_mean.float()[self.columns]
        a_std = found.variance.float()[self.columns].sqrt()
        a_std = torch.where(a_std > CONSTANT * a_mean.abs(), a_std, 0.0)
        self.condition = Condition(a_mean, a_std).to(runtime.device)
        # Initial weights come from torch's global generator; fork_rng restores its state after.
        with torch.random.fork_rng():
            torch.manual_seed(int(runtime.rng(_INIT_STREAM).initial_seed()))
            self.flow = self.build(len(mean), len(self.columns))
        self.flow.start(mean, covariance)
        condition = _Chosen(self.condition, self.columns)
        plan = Plan(**{name: getattr(self.options, name) for name in PLANNED})
        trainer = Trainer(self.flow, self.objective(), condition, plan, data, runtime)
        figures = trainer.train()
        return self._figures(data, trainer.held_out, runtime, figures)

    def _figures(
        self, data: Split, rows: Tensor, runtime: Runtime, figures: Mapping[str, float]
    ) -> FitStats:
        w, a = data.rows(rows)
        held_out = self.log_prob(w.to(runtime.device), a.to(runtime.device), runtime).mean()
        return FitStats({**figures, "held_out_log_likelihood": float(held_out)})

    def _take_columns(self, data: Split, default: tuple[str, ...] | None = None) -> None:
        names = self.options.attributes or default or data.schema.names
        width = range(data.schema.width)
        self.columns = torch.tensor([k for n in names for k in width[data.schema.columns(n)]])
        gains = self.options.gains
        table = RELEASED_GAINS if gains == "released" else {} if gains == "none" else gains
        self.gains = torch.ones(data.schema.width)
        for name, gain in table.items():
            if gains == "released" and name not in data.schema:
                continue
            self.gains[data.schema.columns(name)] = gain

    @torch.no_grad()
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        self._fitted()
        wanted = source + self.gains.to(source) * (target - source)
        z = self.encode(codes, source)
        w = self.decode(z.codes, wanted)
        # Unchanged requests keep the exact code, free of the solver's round-off.
        still = (self._scores(source) == self._scores(wanted)).all(1, keepdim=True)
        ok = (source == target) | self._learned().to(source.device)
        return Edited(torch.where(still, codes, w.codes), ok.all(1), z.nfe + w.nfe)

    def _learned(self) -> Tensor:
        """(A,) whether each attribute is a condition of the flow and varied over the fit split."""
        learned = torch.zeros(len(self.gains), dtype=torch.bool)
        learned[self.columns.cpu()] = self.condition.std.cpu() > 0
        return learned

    def encode(self, codes: Tensor, attributes: Tensor) -> Mapped:
        """Codes (N, D) under attributes (N, A), natural units → base samples (N, D)."""
        return self._fitted(codes).encode(codes, self._scores(attributes))

    def decode(self, base: Tensor, attributes: Tensor) -> Mapped:
        """Base samples (N, D) under attributes (N, A), natural units → codes (N, D)."""
        return self._fitted(base).decode(base, self._scores(attributes))

    @torch.no_grad()
    def sample(self, attributes: Tensor, runtime: Runtime) -> Tensor:
        """Codes (N, D) of faces with `attributes` (N, A); equal seeds give equal codes."""
        flow = self._fitted()
        rng = runtime.rng(_SAMPLE_STREAM)
        base = noise(len(attributes), flow.dim, rng=rng, like=attributes)
        return self.decode(base, attributes).codes

    @torch.no_grad()
    def transfer(self, codes: Tensor, source: Tensor, other: Tensor, columns: list[int]) -> Tensor:
        """Codes (N, D) of the same faces, with the values of `other` (N, A) in `columns`."""
        target = source.clone()
        target[:, columns] = other[:, columns]
        return self.decode(self.encode(codes, source).codes, target).codes

    def log_prob(
        self, codes: Tensor, attributes: Tensor, runtime: Runtime, probes: int = 4
    ) -> Tensor:
        """log p(w | a) (N,) in nats; for continuous flows with Hutchinson's estimator."""
        rng = runtime.rng(_PROBE_STREAM)
        return log_likelihood(self._fitted(codes), codes, self._scores(attributes), rng, probes)

    def _scores(self, attributes: Tensor) -> Tensor:
        self._fitted()
        scores: Tensor = self.condition.to(attributes)(attributes[:, self.columns])
        return scores

    def _fitted(self, codes: Tensor | None = None) -> Flow:
        """The flow, on the device of `codes`."""
        if not hasattr(self, "flow"):
            raise NotFitted(f"{type(self).__name__} is not fitted; call fit or load_state first")
        return self.flow if codes is None else self.flow.to(codes.device)

    def state(self) -> dict[str, Tensor]:
        parts = {"flow": self._fitted(), "condition": self.condition}
        tensors = {f"{p}.{k}": v for p, m in parts.items() for k, v in m.state_dict().items()}
        return {**tensors, "columns": self.columns, "gains": self.gains}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        try:
            self.columns, self.gains = state["columns"], state["gains"]
            self.condition = Condition(state["condition.mean"], state["condition.std"])
            flow = self.rebuild(state)
            flow.load_state_dict(_part(state, "flow"))
        except (KeyError, StopIteration, RuntimeError) as error:
            raise InputError(f"not the state of a {type(self).__name__}: {error}") from None
        self.flow = flow.eval().requires_grad_(False)


class StyleFlowOptions(FlowOptions):
    """Options of StyleFlow, in addition to those of every flow.

    Args:
        objective: ``"flow-matching"`` or ``"likelihood"``.
        coupling: for flow matching: ``"independent"`` or ``"optimal-transport"``.
        trace: for the likelihood: ``"hutchinson"`` or ``"exact"``.
        adjoint: compute gradients of the likelihood by the adjoint method.
        hidden: widths of the vector field's layers; the release has five layers of 512.
        blocks: number of vector fields in sequence, with a norm after each.
        method: method of torchdiffeq for encoding, decoding and the likelihood. With `weights` the
            default is ``"dopri5"``, as in the release.
        solver_steps: number of steps of a fixed-step method.
        tolerance: atol and rtol of an adaptive method.
        weights: a folder by ``latentedit import --as styleflow``. Its flow is used without
            training, on raw attribute values. Of the other options only `attributes`, `gains` and
            those of the solver apply.
    """

    objective: Literal["flow-matching", "likelihood"] = "flow-matching"
    coupling: Literal["independent", "optimal-transport"] = "independent"
    trace: Literal["hutchinson", "exact"] = "hutchinson"
    adjoint: bool = False
    hidden: tuple[int, ...] = (512, 512, 512, 512, 512)
    blocks: int = Field(default=1, ge=1, le=16)
    method: Method = "rk4"
    solver_steps: int = Field(default=2, ge=1)
    tolerance: float = Field(default=1e-5, gt=0)
    weights: Path | None = None

    @property
    def solver(self) -> Solver:
        as_released = self.weights is not None and "method" not in self.model_fields_set
        return Solver("dopri5" if as_released else self.method, self.solver_steps, self.tolerance)


class StyleFlow(FlowEditor):
    """A conditional continuous normalizing flow.

    Abdal, Zhu, Mitra, Wonka: "StyleFlow: attribute-conditioned exploration of StyleGAN-generated
    images using conditional continuous normalizing flows", ACM TOG 2021.
    """

    Options: ClassVar[type[StyleFlowOptions]] = StyleFlowOptions
    candidates = ({"learning_rate": 3e-4}, {"steps": 2000}, {"batch": 64})
    options: StyleFlowOptions

    def build(self, dim: int, condition: int) -> ContinuousFlow:
        o = self.options
        return ContinuousFlow(dim, condition, o.hidden, o.blocks, o.solver, o.whiten)

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        if self.options.weights is None:
            return super().fit(data, runtime)
        self.flow = read_imported(self.options.weights, self.options.solver).to(runtime.device)
        self._take_columns(data, RELEASED_CONDITION)
        if data.code_shape != (self.flow.dim,) or len(self.columns) != self.flow.condition:
            raise InputError(
                f"{self.options.weights} maps codes of {self.flow.dim} numbers under "
                f"{self.flow.condition} attribute columns, the bank has {data.code_shape[0]} and "
                f"{len(self.columns)}: {', '.join(self.options.attributes or data.schema.names)}; "
                "name the attributes it was trained on, in its order, with the option `attributes`"
            )
        still = torch.zeros(len(self.columns), device=runtime.device)
        self.condition = Condition(still, still + 1)
        return self._figures(data, torch.arange(min(len(data), VALIDATION_ROWS)), runtime, {})

    def rebuild(self, state: Mapping[str, Tensor]) -> ContinuousFlow:
        return flow_of(_part(state, "flow"), self.options.solver)

    def objective(self) -> Objective:
        o = self.options
        if o.objective == "likelihood":
            return Likelihood(o.trace, o.adjoint)
        return FlowMatching(o.coupling)


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


class CouplingEditor(FlowEditor):
    """A discrete conditional flow of affine couplings, trained by exact likelihood.

    The StyleFlow paper calls it a DNF. It edits in the same way, but without an integral.
    """

    Options: ClassVar[type[CouplingOptions]] = CouplingOptions
    candidates = ({"whiten": True}, {"learning_rate": 3e-4}, {"steps": 2000})
    options: CouplingOptions

    def build(self, dim: int, condition: int) -> CouplingFlow:
        o = self.options
        return CouplingFlow(dim, condition, o.hidden, o.layers, o.whiten)

    def objective(self) -> Objective:
        return Likelihood()


def _part(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The entries below `name`, without it."""
    return {k.removeprefix(f"{name}."): v for k, v in state.items() if k.startswith(f"{name}.")}


class _Chosen(Condition):
    """Standard scores of the chosen columns of all attributes."""

    def __init__(self, condition: Condition, columns: Tensor) -> None:
        super().__init__(condition.mean, condition.std)
        self.columns = columns

    def forward(self, a: Tensor) -> Tensor:
        return super().forward(a[:, self.columns])
