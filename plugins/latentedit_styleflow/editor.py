"""Flow editors: encode a code under its own attributes, decode it under the wanted ones."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from latentedit import Edited, Editor, FitStats, InputError, NotFitted, Options, Runtime, Split
from latentedit_styleflow.coupling import CouplingFlow
from latentedit_styleflow.flow import ContinuousFlow, Mapped
from latentedit_styleflow.objectives import Flow, FlowMatching, Likelihood, Objective, noise
from latentedit_styleflow.presets import RELEASED_GAINS
from latentedit_styleflow.solver import Method, Solver
from latentedit_styleflow.training import Condition, Plan, Trainer

_PROBE_STREAM, _SAMPLE_STREAM, _INIT_STREAM = 3, 4, 5


class FlowOptions(Options):
    """Options of every flow editor.

    Args:
        attributes: names of the attributes to condition on; all of the bank's if None.
        gains: by how much a requested change is multiplied: numbers by attribute, or
            ``"released"`` for those hidden in the StyleFlow release's interface.
        steps: of training, at most.
        batch: codes a step.
        learning_rate: peak of the cosine schedule.
        ema: decay of the averaged weights.
        clip: largest gradient norm.
        validation_share: of the codes, held out for early stopping.
        evaluations: how often held-out loss is measured.
        patience: evaluations without a better one before training stops.
    """

    attributes: tuple[str, ...] | None = None
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

    A leaf class builds the flow and says how it is trained.
    """

    Options: ClassVar[type[FlowOptions]] = FlowOptions
    options: FlowOptions
    invertible: ClassVar[bool] = True
    absolute: ClassVar[bool] = True
    samplable: ClassVar[bool] = True
    flow: Flow
    condition: Condition
    columns: Tensor

    @abstractmethod
    def build(self, dim: int, condition: int) -> Flow:
        """An untrained flow of codes (N, D) under (N, A) standard scores."""

    @abstractmethod
    def objective(self) -> Objective:
        """What to train it for."""

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        self._take_columns(data)
        mean, variance = moments(data)
        a_mean, a_variance = moments(data, attributes=True)
        a_std = a_variance[self.columns].sqrt().clamp_min(1e-6)
        self.condition = Condition(a_mean[self.columns], a_std).to(runtime.device)
        with torch.random.fork_rng():
            torch.manual_seed(int(runtime.rng(_INIT_STREAM).initial_seed()))
            self.flow = self.build(len(mean), len(self.columns))
        self.flow.standardise(mean, variance)
        o = self.options
        plan = Plan(
            o.steps,
            o.batch,
            o.learning_rate,
            o.ema,
            o.clip,
            o.validation_share,
            o.evaluations,
            o.patience,
        )
        condition = _Chosen(self.condition, self.columns)
        trainer = Trainer(self.flow, self.objective(), condition, plan, data, runtime)
        figures = trainer.train()
        w, a = data.rows(trainer.held_out)
        held_out = self.log_prob(w.to(runtime.device), a.to(runtime.device), runtime).mean()
        return FitStats({**figures, "held_out_log_likelihood": float(held_out)})

    def _take_columns(self, data: Split) -> None:
        names = self.options.attributes or data.schema.names
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
        wanted = source + self.gains.to(source) * (target - source)
        z = self.encode(codes, source)
        w = self.decode(z.codes, wanted)
        still = (self._scores(source) == self._scores(wanted)).all(1, keepdim=True)
        return Edited(torch.where(still, codes, w.codes), nfe=z.nfe + w.nfe)

    def encode(self, codes: Tensor, attributes: Tensor) -> Mapped:
        """Codes (N, D) under attributes (N, A), natural units → base samples (N, D)."""
        return self._fitted().encode(codes, self._scores(attributes))

    def decode(self, base: Tensor, attributes: Tensor) -> Mapped:
        """Base samples (N, D) under attributes (N, A), natural units → codes (N, D)."""
        return self._fitted().decode(base, self._scores(attributes))

    @torch.no_grad()
    def sample(self, attributes: Tensor, runtime: Runtime) -> Tensor:
        """Codes (N, D) of faces that have `attributes` (N, A); equal seeds, equal codes."""
        flow = self._fitted()
        rng = runtime.rng(_SAMPLE_STREAM)
        base = noise(len(attributes), flow.dim, rng=rng, like=attributes)
        return self.decode(base, attributes).codes

    @torch.no_grad()
    def transfer(self, codes: Tensor, source: Tensor, other: Tensor, columns: list[int]) -> Tensor:
        """Codes (N, D) of the same faces with the values that `other` (N, A) has in `columns`."""
        target = source.clone()
        target[:, columns] = other[:, columns]
        return self.decode(self.encode(codes, source).codes, target).codes

    def log_prob(
        self, codes: Tensor, attributes: Tensor, runtime: Runtime, probes: int = 4
    ) -> Tensor:
        """log p(w | a) (N,) in nats; for continuous flows with Hutchinson's estimator."""
        flow, a = self._fitted(), self._scores(attributes)
        with torch.no_grad():
            if isinstance(flow, CouplingFlow):
                return flow.log_prob(codes, a)
            e = noise(probes, *codes.shape, rng=runtime.rng(_PROBE_STREAM), like=codes)
            return flow.log_prob(codes, a, e)

    def _scores(self, attributes: Tensor) -> Tensor:
        self._fitted()
        scores: Tensor = self.condition.to(attributes)(attributes[:, self.columns])
        return scores

    def _fitted(self) -> Flow:
        if not hasattr(self, "flow"):
            raise NotFitted(f"{type(self).__name__} is not fitted; call fit or load_state first")
        return self.flow

    def state(self) -> dict[str, Tensor]:
        parts = {"flow": self._fitted(), "condition": self.condition}
        tensors = {f"{p}.{k}": v for p, m in parts.items() for k, v in m.state_dict().items()}
        return {**tensors, "columns": self.columns, "gains": self.gains}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        try:
            self.columns, self.gains = state["columns"], state["gains"]
            self.condition = Condition(state["condition.mean"], state["condition.std"])
            norm = next(v for k, v in state.items() if re.match(r"flow\..*running_mean", k))
            flow = self.build(len(norm), len(self.columns))
            flow.load_state_dict({k[5:]: v for k, v in state.items() if k.startswith("flow.")})
        except (KeyError, StopIteration, RuntimeError) as error:
            raise InputError(f"not the state of a {type(self).__name__}: {error}") from None
        self.flow = flow.eval().requires_grad_(False)


class StyleFlowOptions(FlowOptions):
    """Options of StyleFlow, beside those of every flow.

    Args:
        objective: ``"flow-matching"`` or ``"likelihood"``.
        coupling: of flow matching: ``"independent"`` or ``"optimal-transport"``.
        trace: of the likelihood: ``"hutchinson"`` or ``"exact"``.
        adjoint: gradients of the likelihood by the adjoint method.
        hidden: widths of the vector field's layers; the release has 512 five times.
        blocks: vector fields in a row, with a norm after each.
        method: of torchdiffeq, for encoding and decoding and for the likelihood.
        solver_steps: of a fixed-step method.
        tolerance: of an adaptive method.
    """

    objective: Literal["flow-matching", "likelihood"] = "flow-matching"
    coupling: Literal["independent", "optimal-transport"] = "independent"
    trace: Literal["hutchinson", "exact"] = "hutchinson"
    adjoint: bool = False
    hidden: tuple[int, ...] = (512, 512, 512, 512, 512)
    blocks: int = Field(default=1, ge=1, le=16)
    method: Method = "rk4"
    solver_steps: int = Field(default=4, ge=1)
    tolerance: float = Field(default=1e-5, gt=0)


class StyleFlow(FlowEditor):
    """A conditional continuous normalizing flow.

    Abdal, Zhu, Mitra, Wonka: "StyleFlow: attribute-conditioned exploration of StyleGAN-generated
    images using conditional continuous normalizing flows", ACM TOG 2021.
    """

    Options: ClassVar[type[StyleFlowOptions]] = StyleFlowOptions
    options: StyleFlowOptions

    def build(self, dim: int, condition: int) -> ContinuousFlow:
        o = self.options
        solver = Solver(o.method, o.solver_steps, o.tolerance)
        return ContinuousFlow(dim, condition, o.hidden, o.blocks, solver)

    def objective(self) -> Objective:
        o = self.options
        if o.objective == "likelihood":
            return Likelihood(o.trace, o.adjoint)
        return FlowMatching(o.coupling)


class CouplingOptions(FlowOptions):
    """Options of the discrete flow, beside those of every flow.

    Args:
        hidden: width of each layer's network.
        layers: affine couplings.
    """

    hidden: int = Field(default=256, ge=1)
    layers: int = Field(default=8, ge=1)


class CouplingEditor(FlowEditor):
    """A discrete conditional flow of affine couplings, trained by exact likelihood.

    What the StyleFlow paper calls a DNF: the same edits without an integral.
    """

    Options: ClassVar[type[CouplingOptions]] = CouplingOptions
    options: CouplingOptions

    def build(self, dim: int, condition: int) -> CouplingFlow:
        return CouplingFlow(dim, condition, self.options.hidden, self.options.layers)

    def objective(self) -> Objective:
        return Likelihood()


class _Chosen(Condition):
    """Standard scores of the chosen columns of all attributes."""

    def __init__(self, condition: Condition, columns: Tensor) -> None:
        super().__init__(condition.mean, condition.std)
        self.columns = columns

    def forward(self, a: Tensor) -> Tensor:
        return super().forward(a[:, self.columns])


def moments(data: Split, attributes: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and variance (D,) of the codes, or of the attributes, read in slices."""
    total, squares, n = torch.zeros(()), torch.zeros(()), len(data)
    for start in range(0, n, 4096):
        index = torch.arange(start, min(start + 4096, n))
        part = data.rows(index)[int(attributes)].double()
        total, squares = total + part.sum(0), squares + part.square().sum(0)
    mean = total / n
    return mean.float(), (squares / n - mean.square()).clamp_min(1e-12).float()
