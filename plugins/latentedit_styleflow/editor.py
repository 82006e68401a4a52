"""Flow editors: encode a code under its current attributes, decode it under the target ones."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import fields
from typing import ClassVar

import torch
from torch import Tensor

from latentedit import (
    ANY_FLAT,
    Edited,
    Editor,
    FitStats,
    InputError,
    Moments,
    NotFitted,
    Runtime,
    Split,
    loaded_module,
    moments,
)
from latentedit_styleflow.checkpoint import RELEASED_CONDITION, flow_of
from latentedit_styleflow.coupling import CouplingFlow
from latentedit_styleflow.flow import ContinuousFlow, Mapped
from latentedit_styleflow.flowedit import face_noise, flow_edit
from latentedit_styleflow.importing import read_imported
from latentedit_styleflow.objectives import (
    Flow,
    FlowMatching,
    Likelihood,
    Objective,
    log_likelihood,
    noise,
)
from latentedit_styleflow.options import CouplingOptions, FlowOptions, StyleFlowOptions
from latentedit_styleflow.presets import RELEASED_GAINS
from latentedit_styleflow.training import VALIDATION_ROWS, Condition, HeldOut, Plan, Trainer

CONSTANT = 1e-6
"""Deviation as a share of the mean, below which an attribute counts as constant."""
PLANNED = tuple(field.name for field in fields(Plan) if field.name != "warmup")
"""Options of training, which `Plan` takes."""
_PROBE_STREAM, _SAMPLE_STREAM, _INIT_STREAM = 3, 4, 5

NOT_LEARNED = "the flow was not fitted on what is to change, or it did not vary there"
"""Why faces are refused."""


class FlowEditor(Editor):
    """Joint reverse encoding, then conditional forward editing.

        z = encode(w, a),    w' = decode(z, a')

    With `residual`, the flow maps w − B (a − ā), and B (a' − ā) is added after decoding.

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
        plan = Plan(**{name: getattr(self.options, name) for name in PLANNED})
        rows = HeldOut.of(data, plan, runtime)
        held_out = torch.cat([rows.stopping, rows.measured])
        # Rows that measure the fit have no part in its means and covariances either.
        found = moments(data).without(moments(data.take(held_out))).of_columns(self.columns)
        self.condition, covariance = self._conditions(found)
        self.condition.to(runtime.device)
        mean = found.mean.float()
        # Initial weights come from torch's global generator; fork_rng restores its state after.
        with torch.random.fork_rng():
            torch.manual_seed(int(runtime.rng(_INIT_STREAM).initial_seed()))
            self.flow = self.build(len(mean), len(self.columns))
        self.flow.start(mean, covariance.float())
        condition = _Chosen(self.condition, self.columns)
        trainer = Trainer(self.flow, self.objective(), condition, plan, data, rows, runtime)
        figures = trainer.train()
        return self._figures(data, rows.measured, runtime, figures)

    def _conditions(self, found: Moments) -> tuple[Condition, Tensor]:
        """The condition on the chosen columns, and the covariance of what the flow learns."""
        a_mean, a_std = found.attribute_mean, found.variance.sqrt()
        a_std = torch.where(a_std > CONSTANT * a_mean.abs(), a_std, 0.0)
        if not self.options.residual:
            return Condition(a_mean.float(), a_std.float()), found.covariance
        effects = torch.where(a_std > 0, found.effects(), 0.0)
        explained = effects @ found.attribute_covariance @ effects.T
        condition = Condition(a_mean.float(), a_std.float(), (effects * a_std).T.float())
        return condition, found.covariance - explained

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
        moved = self.transport(codes, source, wanted, runtime)
        # Unchanged requests keep the exact code, free of the solver's round-off.
        still = (self._scores(source) == self._scores(wanted)).all(1, keepdim=True)
        ok = (source == target) | self._learned().to(source.device)
        return Edited(torch.where(still, codes, moved.codes), ok.all(1), moved.nfe, NOT_LEARNED)

    def transport(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Mapped:
        """Codes (N, D) under `source` (N, A) → codes under `target` (N, A), natural units."""
        z = self.encode(codes, source)
        w = self.decode(z.codes, target)
        return Mapped(w.codes, z.nfe + w.nfe)

    def _learned(self) -> Tensor:
        """(A,) whether each attribute is a condition of the flow and varied over the fit split."""
        learned = torch.zeros(len(self.gains), dtype=torch.bool)
        learned[self.columns.cpu()] = self.condition.std.cpu() > 0
        return learned

    def encode(self, codes: Tensor, attributes: Tensor) -> Mapped:
        """Codes (N, D) under attributes (N, A), natural units → base samples (N, D)."""
        scores = self._scores(attributes)
        return self._fitted(codes).encode(codes - self.condition.shift(scores), scores)

    def decode(self, base: Tensor, attributes: Tensor) -> Mapped:
        """Base samples (N, D) under attributes (N, A), natural units → codes (N, D)."""
        scores = self._scores(attributes)
        decoded = self._fitted(base).decode(base, scores)
        return Mapped(decoded.codes + self.condition.shift(scores), decoded.nfe)

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
        rng, scores = runtime.rng(_PROBE_STREAM), self._scores(attributes)
        residuals = codes - self.condition.shift(scores)
        return log_likelihood(self._fitted(codes), residuals, scores, rng, probes)

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
            effect = state.get("condition.effect")
            self.condition = Condition(state["condition.mean"], state["condition.std"], effect)
            flow = loaded_module(lambda: self.rebuild(state), _part(state, "flow"))
        except (
            LookupError,
            TypeError,
            ValueError,
            StopIteration,
            RuntimeError,
            InputError,
        ) as error:
            raise InputError(f"not the state of a {type(self).__name__}: {error}") from None
        self.flow = flow.eval().requires_grad_(False)


class StyleFlow(FlowEditor):
    """A conditional continuous normalizing flow.

    Abdal, Zhu, Mitra, Wonka: "StyleFlow: attribute-conditioned exploration of StyleGAN-generated
    images using conditional continuous normalizing flows", ACM TOG 2021.
    """

    Options: ClassVar[type[StyleFlowOptions]] = StyleFlowOptions
    candidates = ({"learning_rate": 3e-4}, {"steps": 2000}, {"batch": 64})
    options: StyleFlowOptions
    flow: ContinuousFlow

    def __init__(self, options: StyleFlowOptions | None = None) -> None:
        super().__init__(options)
        # A class attribute by default; here an option decides.
        self.invertible = self.options.edit == "invert"  # type: ignore[misc]

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

    def transport(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Mapped:
        if self.options.edit == "invert":
            return super().transport(codes, source, target, runtime)
        before, after = self._scores(source), self._scores(target)
        noise = face_noise(
            codes, self.options.flowedit_steps, self.options.flowedit_samples, runtime
        )
        self._fitted(codes)
        moved = flow_edit(self.flow, codes - self.condition.shift(before), before, after, noise)
        return Mapped(moved.codes + self.condition.shift(after), moved.nfe)

    def rebuild(self, state: Mapping[str, Tensor]) -> ContinuousFlow:
        return flow_of(_part(state, "flow"), self.options.solver)

    def objective(self) -> Objective:
        o = self.options
        if o.objective == "likelihood":
            return Likelihood(o.trace, o.adjoint)
        return FlowMatching(o.coupling)


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
        super().__init__(condition.mean, condition.std, condition.effect)
        self.columns = columns

    def forward(self, a: Tensor) -> Tensor:
        return super().forward(a[:, self.columns])
