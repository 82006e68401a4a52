"""A suite whose parts can be told apart, in the linear world of `latentedit.testing.world`.

A code of W+ has 4 rows. Row r is w_r = w_avg + Σ_j σ_j u_rj q_j, with 24 scores u_rj.
Score k is read off row ROW_OF[k] alone. Attribute k is MIDDLE_k + SCALE_k u_k, and identity score
i is u_{6+i}. The columns are age, glasses, yaw and three of lighting.

    labels    LABEL_GAIN · truth + LABEL_OFFSET + LABEL_MIXUP · the first 6 identity scores,
              and age is rounded to whole years
    judged    JUDGE_GAIN · truth + JUDGE_OFFSET
    features  2 u_0, the identity scores 0, 1 and 2, and a constant
    narrow    unit vector of identity scores 0, 1, 2; same person above 0.93
    wide      unit vector of identity scores 3, 4, 5, 6, 7; same person above 0.985

With t = (target − source) / SCALE, T = Σ t, and e the scores that t moves, the editors add to u:

    straight  t
    leaky     t + LEAK T + SCAR |T|
    seedy     (1 − 0.23 seed) t + (1 + seed / 2) m LEAK T, where m is the mean fit label of age / 70
    wary      h t + 0.5 LEAK T + 0.3 T at score 23, where
              h = 0.6 + 0.4 u_23 + 0.1 (source of glasses − 0.5) / 0.15, between 0.05 and 1.5

`wary` does not serve faces with u_22 > 0.6. It reports ``ok`` False for them. Every effect is
linear in the strength, so that the strength that reaches an effect is a quotient.
Function evaluations of one call are 1, 3, 2 + seed and 1.

Photographs are images of known scores, as bytes. The inverter reads the 14 scores v off them
and gives row r the scores 0.8 v + 0.1 (r + 1), and zeros for the others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from toy import IDENTITY, MIDDLE, SCALE, SCHEMA, W_DIM, A, ToyGenerator, toy_registry

import latentedit_inversion
from latentedit import (
    AttributeEstimator,
    Edited,
    Editor,
    FitStats,
    IdentityEncoder,
    InversionRuntime,
    Inverted,
    Inverter,
    PluginSpec,
    Registry,
    Runtime,
    Split,
    fingerprint,
    hookimpl,
)
from latentedit.benchmark.run import RunOutcome, run_suite
from latentedit.benchmark.suite import Suite
from latentedit.data.bank import LatentBank
from latentedit.photos.align import Photograph
from latentedit.photos.invert import InversionPlan, invert_photographs

SPAN = 16.0
"""Standard deviations between the middle and the end of a pixel's range."""

LABEL_GAIN = torch.tensor([0.95, 1.05, 1.1, 0.9, 1.0, 1.2])
LABEL_OFFSET = torch.tensor([2.0, -0.02, 1.5, 0.05, -0.1, 0.0])
LABEL_MIXUP = torch.tensor([3.0, 0.03, 2.0, 0.1, 0.05, 0.08])
JUDGE_GAIN = torch.tensor([0.8, 1.15, 0.9, 1.25, 0.7, 0.85])
JUDGE_OFFSET = torch.tensor([4.0, 0.05, -3.0, 0.1, 0.2, -0.15])

LEAK = torch.zeros(W_DIM)
LEAK[:14] = torch.tensor(
    [0.05, 0.3, -0.2, 0.1, 0.25, -0.15, 0.9, -0.4, 0.5, 0.35, -0.6, 0.2, 0.45, -0.3]
)
SCAR = torch.zeros(W_DIM)
SCAR[3:14] = torch.tensor([0.2, -0.1, 0.15, 0.3, 0.25, -0.35, 0.4, 0.1, -0.2, 0.3, 0.15])
SCAR[20] = 0.5

SEEDS, STRENGTHS, EFFECTS, PSI = [0, 1, 3], [0.5, 1.0, 2.0], [0.5, 0.8], 0.7
N_FIT, N_TEST, BANK_SEED, CORRELATION = 60, 70, 5, 0.4
CONFIDENCE = 0.9
NARROW, WIDE = 0.93, 0.985

SUITE: dict[str, Any] = {
    "name": "telling",
    "bank": {
        "generator": {"plugin": "toy", "options": {"correlation": CORRELATION}},
        "labeller": "telling-labeller",
        "n_fit": N_FIT,
        "n_test": N_TEST,
        "seed": BANK_SEED,
        "truncation_psi": PSI,
    },
    "judge": "telling-judge",
    "identity": ["narrow", {"plugin": "wide", "name": "broad"}],
    "editors": {name: {"plugin": name} for name in ("straight", "leaky", "seedy", "wary")},
    "controls": ["no-edit"],
    "tasks": [
        {"attribute": "age", "change": 12, "name": "older"},
        {"attribute": "glasses", "change": "flip", "name": "specs"},
        {
            "attribute": "yaw",
            "change": 15,
            "name": "turned",
            "among": {"age": [29, 42], "glasses": [0.3, 0.75]},
            "layers": [0, 3],
        },
    ],
    "sequences": [{"name": "all-three", "edits": ["older", "specs", "turned"]}],
    "strengths": STRENGTHS,
    "effects": EFFECTS,
    "seeds": SEEDS,
    "show_images": 2,
    "statistics": {"confidence": CONFIDENCE},
}

PHOTO_SUITE: dict[str, Any] = SUITE | {
    "name": "telling-photographs",
    "editors": {name: {"plugin": name} for name in ("leaky", "wary")},
    "controls": [],
    "tasks": [
        {"attribute": "age", "change": 12, "name": "older"},
        {"attribute": "yaw", "change": 15, "name": "turned", "layers": [0, 3]},
    ],
    "sequences": [],
    "seeds": [1],
}
N_PHOTOS, PHOTO_SEED = 12, 77


def _attributes(images: Tensor) -> Tensor:
    return MIDDLE.to(images) + SCALE.to(images) * SPAN * images[:, 0].flatten(1)[:, :A]


def _identity(images: Tensor) -> Tensor:
    return SPAN * images[:, 1].flatten(1)[:, :IDENTITY]


class Labeller(AttributeEstimator):
    schema = SCHEMA
    fingerprint = fingerprint({"estimator": "telling-labeller"})

    def estimate(self, images: Tensor) -> Tensor:
        labels = LABEL_GAIN * _attributes(images) + LABEL_OFFSET
        labels = labels + LABEL_MIXUP * _identity(images)[:, :A]
        labels[:, 0] = labels[:, 0].round()
        return labels


class LabellerAgain(Labeller):
    """The labeller under another name: the same fingerprint."""


class Judge(AttributeEstimator):
    schema = SCHEMA
    fingerprint = fingerprint({"estimator": "telling-judge"})

    def estimate(self, images: Tensor) -> Tensor:
        return JUDGE_GAIN * _attributes(images) + JUDGE_OFFSET

    def features(self, images: Tensor) -> Tensor:
        age = 2 * SPAN * images[:, 0].flatten(1)[:, :1]
        return torch.cat([age, _identity(images)[:, :3], torch.full_like(age, 7.0)], 1)


class Narrow(IdentityEncoder):
    same_person_threshold = NARROW
    fingerprint = fingerprint({"identity": "narrow"})

    def embed(self, images: Tensor) -> Tensor:
        return torch.nn.functional.normalize(_identity(images)[:, :3], dim=1)

    def card(self) -> dict[str, Any]:
        return {"held_out": {"auc": 0.875, "true_accept_rate": 0.62}}


class Wide(IdentityEncoder):
    same_person_threshold = WIDE
    fingerprint = fingerprint({"identity": "wide"})

    def embed(self, images: Tensor) -> Tensor:
        return torch.nn.functional.normalize(_identity(images)[:, 3:], dim=1)


class _Push(Editor):
    """Adds to the scores of a code."""

    needs = frozenset({"attributes"})
    fitted = ("steps", "centre", "pull", "seed")

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        world = ToyGenerator()
        self.steps = world.deviations[:, None] * world.basis
        self.centre = world.w_avg.clone()
        self.pull = data.attributes[:, 0].mean() / 70
        self.seed = torch.tensor(float(runtime.seed))
        return FitStats({"seconds_of_thought": 1.0})

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        asked = torch.zeros_like(codes)
        asked[:, :A] = (target - source) / SCALE
        return self.push(codes, source, asked, asked.sum(1, keepdim=True))

    def push(self, codes: Tensor, source: Tensor, asked: Tensor, total: Tensor) -> Edited:
        raise NotImplementedError


class Straight(_Push):
    def push(self, codes: Tensor, source: Tensor, asked: Tensor, total: Tensor) -> Edited:
        return Edited(codes + asked @ self.steps, nfe=1)


class Leaky(_Push):
    def push(self, codes: Tensor, source: Tensor, asked: Tensor, total: Tensor) -> Edited:
        return Edited(codes + (asked + LEAK * total + SCAR * total.abs()) @ self.steps, nfe=3)


class Seedy(_Push):
    def push(self, codes: Tensor, source: Tensor, asked: Tensor, total: Tensor) -> Edited:
        lost = (1 + self.seed / 2) * self.pull * LEAK * total
        moved = codes + ((1 - 0.23 * self.seed) * asked + lost) @ self.steps
        return Edited(moved, nfe=2 + int(self.seed))


class Wary(_Push):
    def push(self, codes: Tensor, source: Tensor, asked: Tensor, total: Tensor) -> Edited:
        at = (codes - self.centre) @ self.steps[22:24].T / self.steps[22:24].square().sum(1)
        share = 0.6 + 0.4 * at[:, 1] + 0.1 * (source[:, 1] - 0.5) / 0.15
        moved = share.clamp(0.05, 1.5)[:, None] * asked + 0.5 * LEAK * total
        moved[:, 23] += 0.3 * total[:, 0]
        return Edited(codes + moved @ self.steps, at[:, 0] <= 0.6, nfe=1)


class NoEdit(Editor):
    needs = frozenset()

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        return FitStats()

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited(codes.clone())


class ReadsScores(Inverter):
    """Reads the scores off the pictures, and errs in a known way."""

    def invert(self, images: Tensor, runtime: InversionRuntime) -> Inverted:
        world = ToyGenerator()
        read = torch.cat([SPAN * images[:, 0].flatten(1)[:, :A], _identity(images)], 1)
        rows = 0.8 * read[:, None] + 0.1 * torch.arange(1, 5)[:, None]
        steps = (world.deviations[:, None] * world.basis)[: A + IDENTITY]
        return Inverted(world.w_avg + rows @ steps, "w+")


class _TellingPlugins:
    kinds: ClassVar[dict[str, tuple[str, str]]] = {
        "telling-labeller": ("estimator", "Labeller"),
        "telling-labeller-again": ("estimator", "LabellerAgain"),
        "telling-judge": ("estimator", "Judge"),
        "narrow": ("identity", "Narrow"),
        "wide": ("identity", "Wide"),
        "straight": ("editor", "Straight"),
        "leaky": ("editor", "Leaky"),
        "seedy": ("editor", "Seedy"),
        "wary": ("editor", "Wary"),
        "no-edit": ("editor", "NoEdit"),
        "reads-scores": ("inverter", "ReadsScores"),
    }

    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [
            PluginSpec(kind, name, f"telling_world:{target}", "for tests")  # type: ignore[arg-type]
            for name, (kind, target) in self.kinds.items()
        ]


plugins = _TellingPlugins()


def registry() -> Registry:
    """The linear world and everything above, as every process of a run builds it."""
    found = toy_registry(plugins)
    found.add(latentedit_inversion, "inversion")
    return found


class Silent:
    """An observer that says nothing."""

    def progressed(self, cell_id: str, fraction: float, message: str) -> None:
        pass

    def finished(self, cell_id: str, status: str, error: str) -> None:
        pass


def carry_out(
    folder: Path, data: dict[str, Any] | None = None, photographs: Path | None = None
) -> RunOutcome:
    """Run the suite `data` in `folder`; the whole suite above if it is not given."""
    suite = Suite.model_validate(SUITE if data is None else data)
    return run_suite(suite, folder, Silent(), registry=registry, workers=2, photographs=photographs)


def photo_images() -> Tensor:
    """(12, 3, 8, 8) the photographs, as bytes would hold them."""
    world = ToyGenerator()
    images = world.synthesize(world.sample(N_PHOTOS, PHOTO_SEED))
    return ((images + 1) * 127.5).round() / 127.5 - 1


def photo_bank(folder: Path) -> LatentBank:
    """The photographs, inverted."""
    photographs = [Photograph(f"{i}.png", x, "whole") for i, x in enumerate(photo_images())]
    plan = InversionPlan(
        ("toy", {"correlation": CORRELATION}),
        ("telling-labeller", {}),
        losses={"pyramid": 1.0},
        inverter=("reads-scores", {}),
    )
    return invert_photographs(registry(), photographs, folder, plan)
