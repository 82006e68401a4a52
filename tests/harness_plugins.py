"""The toy world with eyes that differ and an editor whose every figure is known in closed form.

The labeller reads exact values. The judge reads age, glasses, yaw and lighting with the gains
`JUDGE_GAIN`. The recognisers read the first and the last four of the eight identity scores. So a
figure read by the wrong one of them is another number.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar

import torch
from torch import Tensor
from toy import IDENTITY, MIDDLE, SCALE, A, ToyEstimator, ToyGenerator, ToyIdentity

from latentedit import (
    Edited,
    Editor,
    Ended,
    Event,
    Executor,
    FitStats,
    Job,
    Options,
    PluginSpec,
    Registry,
    Runtime,
    Split,
    fingerprint,
    hookimpl,
)
from latentedit.benchmark.cells.bench import Bench
from latentedit.benchmark.execution.worker import compute, open_bench

JUDGE_GAIN = torch.tensor([0.9, 2.0, 1.25, 1.0, 1.0, 1.0])


class ShiftOptions(Options):
    """Options of the labeller.

    Args:
        light: added to every lighting coefficient.
    """

    light: float = 0.0


class Labeller(ToyEstimator):
    """Exact values, with lighting moved by a constant."""

    Options = ShiftOptions

    def __init__(self, options: ShiftOptions | None = None) -> None:
        self.light = (options or ShiftOptions()).light
        self.fingerprint = fingerprint({"estimator": "labeller", "light": self.light})

    def estimate(self, images: Tensor) -> Tensor:
        values = super().estimate(images)
        values[:, 3:] += self.light
        return values


class Recorder(Labeller):
    """Labels that are somebody's notes: the row's number in every column, 1000 up for tests."""

    def __init__(self) -> None:
        super().__init__()
        self.fingerprint = fingerprint({"estimator": "recorder"})

    def recorded(self, split: str, n: int) -> Tensor:
        first = 1000.0 if split == "test" else 0.0
        return (first + torch.arange(n))[:, None].expand(n, A).contiguous()


class JudgeOptions(Options):
    """Options of the judge.

    Args:
        tired: tells two judges of one kind apart.
    """

    tired: bool = False


class Judge(ToyEstimator):
    """Sees every attribute's distance from its middle times `JUDGE_GAIN`."""

    Options = JudgeOptions

    def __init__(self, options: JudgeOptions | None = None) -> None:
        tired = (options or JudgeOptions()).tired
        self.fingerprint = fingerprint({"estimator": "judge", "tired": tired})

    def estimate(self, images: Tensor) -> Tensor:
        return MIDDLE + JUDGE_GAIN * (super().estimate(images) - MIDDLE)


class EyeOptions(Options):
    """Options of the recogniser.

    Args:
        first: of the four identity scores that it reads.
        threshold: of one person.
    """

    first: int = 0
    threshold: float = 0.9


class Eye(ToyIdentity):
    """Four of the eight identity scores, as a unit vector."""

    Options = EyeOptions

    def __init__(self, options: EyeOptions | None = None) -> None:
        options = options or EyeOptions()
        self.first, self.same_person_threshold = options.first, options.threshold
        self.fingerprint = fingerprint({"identity": "eye", **options.model_dump()})

    def embed(self, images: Tensor) -> Tensor:
        scores = images[:, 1].flatten(1)[:, self.first : self.first + 4]
        return torch.nn.functional.normalize(scores, dim=1)


class PushOptions(Options):
    """Options of the pushing editor.

    Args:
        gain: of what is asked, how much is done.
        leak: standard deviations by which glasses move for each standard deviation asked.
        per_seed: more of it for each unit of the fit seed.
        person: standard deviations by which the first identity score moves likewise.
        deaf: faces whose second identity score is above this stay as they are.
        mark: does nothing.
    """

    gain: float = 1.0
    leak: float = 0.0
    per_seed: float = 0.0
    person: float = 0.0
    deaf: float = 1e6
    mark: int = 0


class Push(Editor):
    """Does what is asked, and pushes as much as its options and its fit seed say."""

    Options: ClassVar[type[PushOptions]] = PushOptions
    options: PushOptions
    fitted = ("leak", "seen")
    candidates = ({"leak": 0.5}, {"leak": 0.1, "person": 0.3}, {"mark": 1}, {"gain": 0.1})

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        runtime.progress(0.5, "halfway")
        self.leak = torch.tensor(self.options.leak + self.options.per_seed * runtime.seed)
        self.seen = data.codes.clone()
        return FitStats({"faces": float(len(data))})

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        world, change = ToyGenerator(), target - source
        size = (change[:, :3:2] / SCALE[:3:2]).abs().sum(1, keepdim=True)
        moved = self.options.gain * change @ torch.linalg.pinv(world.matrix).T
        moved = moved + size * self.leak * world.deviations[1] * world.basis[1]
        moved = moved + size * self.options.person * world.deviations[A] * world.basis[A]
        hears = (scores(codes)[:, 1:2] <= self.options.deaf).to(codes)
        return Edited(codes + hears * moved)


class Stay(Push):
    """A control that does nothing."""

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited(codes.clone())


def scores(codes: Tensor) -> Tensor:
    """(N, 8) identity scores of W codes: projections on the axes, in standard deviations."""
    world = ToyGenerator()
    axes, deviations = world.basis[A : A + IDENTITY], world.deviations[A : A + IDENTITY]
    return (codes - world.w_avg) @ axes.T / deviations


class Here(Executor):
    """Computes each cell at once, in this process; remembers the order."""

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        self.ended: list[Event] = []
        self.benches: dict[str, Bench] = {}

    def free(self) -> int:
        return 1 - len(self.ended)

    def start(self, job: Job) -> None:
        bench = self.benches.setdefault("one", open_bench(job))
        staged = compute(job, bench, lambda fraction, message: None)
        self.ended.append(Ended(job.cell.id, "ok", 0.0, staged=str(staged)))

    def events(self, seconds: float) -> list[Event]:
        found, self.ended = self.ended, []
        return found

    def close(self) -> None:
        pass


class Idle(Here):
    """Computes nothing: every cell has failed."""

    def start(self, job: Job) -> None:
        self.ended.append(Ended(job.cell.id, "failed", 0.0, "idle"))


class Silent:
    """An observer that remembers what ended."""

    def __init__(self) -> None:
        self.ended: dict[str, str] = {}

    def progressed(self, cell_id: str, fraction: float, message: str) -> None:
        assert 0 <= fraction <= 1

    def finished(self, cell_id: str, status: str, error: str) -> None:
        self.ended[cell_id] = status


class _Plugins:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        classes = [
            ("generator", "toy", ToyGenerator),
            ("estimator", "labeller", Labeller),
            ("estimator", "recorder", Recorder),
            ("estimator", "judge", Judge),
            ("identity", "eye", Eye),
            ("editor", "push", Push),
            ("editor", "no-edit", Stay),
            ("executor", "here", Here),
            ("executor", "idle", Idle),
        ]
        return [
            PluginSpec(kind, name, f"{found.__module__}:{found.__name__}", "for tests")  # type: ignore[arg-type]
            for kind, name, found in classes
        ]


def registry() -> Registry:
    """The toy world with these eyes, editors and executors."""
    found = Registry()
    found.add(_Plugins(), "harness", version="1")
    return found


def error_in_process(pipe: Any) -> None:
    """Tells of its progress, and then of an error."""
    pipe.send((0.25, "a quarter"))
    pipe.send(ValueError("that was all"))
    time.sleep(60)


def leave_in_process(code: int, pipe: Any) -> None:
    """Ends with an exit code."""
    pipe.send((1.0, "done"))
    raise SystemExit(code)
