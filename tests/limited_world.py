"""A suite in which some changes cannot be seen, and some editors need more strength than 2.

The judge reads exact attributes, but sees no face older than `OLDEST`. With Δ = ±12 years towards
the median of the labels, which are exact, a face of age v that is asked to grow older shows at most
(OLDEST − v) / 12 of it.

    timid    0.1 of what is asked: it attains r at the strength 10 r
    bounded  what is asked, but never more than 0.5 of it: it stops growing at strength 0.5
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from telling_world import Silent
from torch import Tensor
from toy import SCALE, SCHEMA, ToyEstimator, ToyGenerator, toy_registry

import latentedit_linear
from latentedit import (
    Edited,
    Editor,
    FitStats,
    PluginSpec,
    Registry,
    Runtime,
    Split,
    fingerprint,
    hookimpl,
)
from latentedit.benchmark.run import RunOutcome, run_suite
from latentedit.benchmark.suite import Suite

OLDEST, ASKED, EFFECT, N_TEST = 38.0, 12.0, 0.8, 40

SUITE: dict[str, Any] = {
    "name": "limited",
    "bank": {
        "generator": {"plugin": "toy"},
        "labeller": "toy-labeller",
        "n_fit": 200,
        "n_test": N_TEST,
    },
    "judge": "limited-judge",
    "identity": ["toy-identity"],
    "editors": {name: {"plugin": name} for name in ("timid", "bounded")},
    "controls": ["oracle", "no-edit", "resample"],
    "tasks": [
        {"attribute": "age", "change": ASKED},
        {"attribute": "yaw", "change": {"sigma": 1.0}},
    ],
    "strengths": [0.5, 1.0, 2.0],
    "strength_limit": 16,
    "only_possible": True,
    "effects": [EFFECT],
    "show_images": 0,
}


class LimitedJudge(ToyEstimator):
    fingerprint = fingerprint({"estimator": "limited-judge"})

    def estimate(self, images: Tensor) -> Tensor:
        seen = super().estimate(images).clone()
        seen[:, 0] = seen[:, 0].clamp(max=OLDEST)
        return seen


class OtherJudge(ToyEstimator):
    """Sees nine tenths of every change."""

    fingerprint = fingerprint({"estimator": "other-judge"})

    def estimate(self, images: Tensor) -> Tensor:
        return 0.9 * super().estimate(images)


class _Straight(Editor):
    needs = frozenset()

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        return FitStats()

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        world = ToyGenerator()
        steps = (world.deviations[:, None] * world.basis)[: SCHEMA.width]
        return Edited(codes + self.share(target - source) / SCALE @ steps)

    def share(self, asked: Tensor) -> Tensor:
        return 0.1 * asked


class Timid(_Straight):
    pass


class Bounded(_Straight):
    def share(self, asked: Tensor) -> Tensor:
        return asked.clamp(-0.5 * ASKED, 0.5 * ASKED)


class _Plugins:
    kinds: ClassVar[dict[str, tuple[str, str]]] = {
        "limited-judge": ("estimator", "LimitedJudge"),
        "other-judge": ("estimator", "OtherJudge"),
        "timid": ("editor", "Timid"),
        "bounded": ("editor", "Bounded"),
    }

    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [
            PluginSpec(kind, name, f"limited_world:{target}", "for tests")  # type: ignore[arg-type]
            for name, (kind, target) in self.kinds.items()
        ]


plugins = _Plugins()


def registry() -> Registry:
    return toy_registry(latentedit_linear, plugins)


def carry_out(folder: Path, **changes: Any) -> RunOutcome:
    suite = Suite.model_validate(SUITE | changes)
    return run_suite(suite, folder, Silent(), registry=registry, workers=1)


def median(labels: Tensor) -> Tensor:
    """The lower of the two in the middle, as torch takes it."""
    return torch.sort(labels).values[(len(labels) - 1) // 2]
