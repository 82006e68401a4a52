"""Training of all flows: seeded, with early stopping, and resumable to the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from latentedit import InputError, Runtime, Split, read_tensors, write_tensors
from latentedit_styleflow.objectives import Flow, Objective, log_likelihood

VALIDATION_ROWS = 256
SHOWN_ROWS = 64
"""Number of held-out codes for the log-likelihood in progress messages."""
PREPARED_BYTES = 64 * 2**20
"""Codes of so many bytes are prepared once. Those of a larger split are prepared batch by batch."""
_AT_ONCE = 4_096
"""Rows that are prepared together."""
_ORDER, _NOISE, _HELD_OUT = 10, 1_000_000, 2
"""Separate random streams for data order (by epoch), noise (by step) and the split.

Each draw depends only on seed and step, so a resumed training continues to the same bits.
"""


@dataclass(frozen=True)
class Plan:
    """Settings of training.

    Args:
        steps: largest number of optimiser steps.
        batch: codes per step.
        learning_rate: peak of a cosine schedule after `warmup` steps.
        ema: decay of the averaged weights, which are the result.
        clip: largest gradient norm.
        validation_share: share of the data that is held out; see `HeldOut`.
        evaluations: number of evenly spaced measurements of the held-out loss.
        patience: evaluations without improvement after which training stops.
    """

    steps: int
    batch: int
    learning_rate: float
    ema: float
    clip: float
    validation_share: float
    evaluations: int
    patience: int
    warmup: int = 100


@dataclass(frozen=True)
class HeldOut:
    """Rows of a split by their use, at random by seed.

    Args:
        stopping: (S,) rows whose loss decides when training stops.
        measured: (M,) rows that have no part in the fit, for the log-likelihood.
        kept: (K,) all others.
    """

    stopping: Tensor
    measured: Tensor
    kept: Tensor

    @classmethod
    def of(cls, data: Split, plan: Plan, runtime: Runtime) -> HeldOut:
        """Raises `InputError` if fewer than two rows are kept."""
        order = torch.randperm(len(data), generator=runtime.rng(_HELD_OUT))
        held = max(2, min(VALIDATION_ROWS, int(plan.validation_share * len(data))))
        if len(data) - held < 2:
            raise InputError(f"a flow needs at least 4 codes to fit, received {len(data)}")
        return cls(order[: held // 2], order[held // 2 : held], order[held:])


class Condition(nn.Module):
    """Attribute values to standard scores: (a − mean) / std, 0 where std is 0.

    Args:
        mean, std: (A,) of the attributes, natural units.
        effect: (A, D) change of the mean code per standard score, which the flow does not learn;
            the flow learns everything if None.
    """

    mean: Tensor
    std: Tensor
    effect: Tensor | None

    def __init__(self, mean: Tensor, std: Tensor, effect: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.register_buffer("effect", effect)

    def forward(self, a: Tensor) -> Tensor:
        return torch.where(self.std > 0, (a - self.mean) / self.std, 0.0)

    def shift(self, scores: Tensor) -> Tensor:
        """B (a − mean) of (N, A) standard scores: (N, D), or the number 0 without an effect."""
        return scores.new_zeros(()) if self.effect is None else scores @ self.effect


class Trainer:
    """Trains one flow on one split. `state` holds everything that the next step depends on."""

    def __init__(
        self,
        flow: Flow,
        objective: Objective,
        condition: Condition,
        plan: Plan,
        data: Split,
        rows: HeldOut,
        runtime: Runtime,
    ) -> None:
        self.flow, self.objective, self.condition = flow.to(runtime.device), objective, condition
        self.plan, self.data, self.rows, self.runtime = plan, data, rows, runtime
        self.optimizer = torch.optim.Adam(flow.parameters(), lr=plan.learning_rate, fused=True)
        self.schedule = LambdaLR(self.optimizer, self._rate)
        self.average = {name: p.detach().clone() for name, p in flow.named_parameters()}
        self.best = {name: p.clone() for name, p in self.average.items()}
        self.best_loss, self.stale, self.step = float("inf"), 0, 0
        self._whole: tuple[Tensor, Tensor] | None = None

    def train(self) -> dict[str, float]:
        """Train until the plan ends or the held-out loss stops falling.

        The flow then has the averaged weights with the best held-out loss.

        Returns:
            Number of steps, and the best held-out loss.
        """
        self._resume()
        self._prepare()
        every = max(1, self.plan.steps // self.plan.evaluations)
        while self.step < self.plan.steps and self.stale < self.plan.patience:
            self._step()
            if self.step % every == 0 or self.step == self.plan.steps:
                self._evaluate()
                self._checkpoint()
        self.flow.load_state_dict(self.best, strict=False)
        self.flow.requires_grad_(False).eval()
        return {"steps": float(self.step), "held_out_loss": self.best_loss}

    def _step(self) -> None:
        codes, attributes = self._batch()
        noise = self.runtime.rng(_NOISE + self.step)
        loss = self.objective.loss(self.flow, codes, attributes, noise)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.flow.parameters(), self.plan.clip)
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        # A short memory at first, so that the random initial weights leave the average.
        decay = min(self.plan.ema, self.step / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.values()), list(self.flow.parameters()), 1 - decay
            )

    def _batch(self) -> tuple[Tensor, Tensor]:
        """The next codes and conditions, in an order that depends on seed and epoch."""
        kept = self.rows.kept
        per_epoch = max(1, len(kept) // self.plan.batch)
        epoch, i = divmod(self.step, per_epoch)
        if i == 0 or not hasattr(self, "_shuffled"):
            rng = self.runtime.rng(_ORDER + epoch)
            self._shuffled = kept[torch.randperm(len(kept), generator=rng)]
        return self._prepared(self._shuffled[i * self.plan.batch : (i + 1) * self.plan.batch])

    @torch.no_grad()
    def _prepare(self) -> None:
        """Prepare all codes, unless they take too much memory."""
        rows = torch.arange(len(self.data))
        codes, _ = self._load(rows[:1])
        if codes.nbytes * len(rows) <= PREPARED_BYTES:
            parts = [self._prepared(part) for part in rows.split(_AT_ONCE)]
            codes, scores = (torch.cat(part) for part in zip(*parts, strict=True))
            self._whole = codes, scores

    def _prepared(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Of some rows, what the objective takes, and the conditions."""
        if self._whole is not None:
            codes, scores = self._whole
            return codes[index], scores[index]
        codes, scores = self._load(index)
        return self.objective.prepared(self.flow, codes), scores

    def _load(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Codes without the effects of their attributes, and the conditions."""
        codes, attributes = self.data.rows(index)
        device = self.runtime.device
        scores = self.condition(attributes.to(device))
        return codes.to(device) - self.condition.shift(scores), scores

    def _evaluate(self) -> None:
        """Held-out loss of the averaged weights, always with the same noise."""
        live = {name: p.detach().clone() for name, p in self.flow.named_parameters()}
        self.flow.load_state_dict(self.average, strict=False)
        with torch.no_grad():
            rng = self.runtime.rng(_HELD_OUT + 1)
            loss = float(self.objective.loss(self.flow, *self._prepared(self.rows.stopping), rng))
        seen = self._load(self.rows.measured[:SHOWN_ROWS])
        nats = float(log_likelihood(self.flow, *seen, self.runtime.rng(_HELD_OUT + 1)).mean())
        self.flow.load_state_dict(live, strict=False)
        if not loss < float("inf"):
            raise InputError(
                f"training diverged: held-out loss is {loss} after {self.step} steps; "
                "lower learning_rate, or look for extreme values in the bank's attributes"
            )
        self.stale += 1
        if loss < self.best_loss:
            self.best_loss, self.stale = loss, 0
            self.best = {name: p.clone() for name, p in self.average.items()}
        self.runtime.progress(
            self.step / self.plan.steps,
            f"held-out loss {loss:.4f}, log-likelihood {nats:.1f} nats",
        )
        self.runtime.log(self.step, {"held-out loss": loss, "log-likelihood": nats})

    def _rate(self, step: int) -> float:
        """Linear warm-up, then half a cosine."""
        if step < self.plan.warmup:
            return (step + 1) / self.plan.warmup
        share = (step - self.plan.warmup) / max(1, self.plan.steps - self.plan.warmup)
        return 0.5 * (1 + float(torch.cos(torch.tensor(share * torch.pi))))

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on."""
        numbers = torch.tensor([self.step, self.stale, self.best_loss], dtype=torch.float64)
        tensors = {"numbers": numbers}
        for i, (name, p) in enumerate(self.flow.named_parameters()):
            tensors[f"live.{name}"] = p.detach()
            tensors[f"average.{name}"] = self.average[name]
            tensors[f"best.{name}"] = self.best[name]
            for key, value in self.optimizer.state_dict()["state"].get(i, {}).items():
                tensors[f"adam.{i}.{key}"] = value
        return tensors

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        numbers = tensors["numbers"].tolist()
        self.step, self.stale, self.best_loss = int(numbers[0]), int(numbers[1]), numbers[2]
        adam: dict[int, dict[str, Tensor]] = {}
        for i, (name, p) in enumerate(self.flow.named_parameters()):
            p.data.copy_(tensors[f"live.{name}"])
            self.average[name].copy_(tensors[f"average.{name}"])
            self.best[name].copy_(tensors[f"best.{name}"])
            keys = ("step", "exp_avg", "exp_avg_sq")
            if f"adam.{i}.step" in tensors:
                adam[i] = {key: tensors[f"adam.{i}.{key}"] for key in keys}
        groups = self.optimizer.state_dict()["param_groups"]
        self.schedule.last_epoch = self.step
        for group in groups:
            group["lr"] = self.plan.learning_rate * self._rate(self.step)
        self.optimizer.load_state_dict({"state": adam, "param_groups": groups})

    @property
    def _file(self) -> Path | None:
        folder = self.runtime.checkpoint
        return None if folder is None else folder / "training.safetensors"

    def _checkpoint(self) -> None:
        if self._file is not None:
            write_tensors(self._file, self.state())

    def _resume(self) -> None:
        if self._file is None or not self._file.is_file():
            return
        try:
            self.load_state(read_tensors(self._file))
        except (KeyError, IndexError, RuntimeError) as error:
            raise InputError(
                f"{self._file} does not hold the state of this training ({error}): it was changed. "
                "Remove it, and run the same command again"
            ) from None
