"""Editors that each break one rule."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping

import torch
from torch import Tensor
from toy import ToyGenerator, toy_registry
from toy_editors import Exact as Free

from latentedit import Edited, FitStats, Options, PluginSpec, Registry, Runtime, Split, hookimpl


class Exact(Free):
    """The right editor: it refuses before it is fitted."""

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited(codes + self.wish(target - source))

    def wish(self, change: Tensor) -> Tensor:
        """(N, A) → (N, D)."""
        return change @ self.state()["inverse"]


class NeverStill(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited(codes + (target - source + 1) @ self.state()["inverse"])


class LooksAround(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        wish = (target - source) @ self.state()["inverse"]
        return Edited(codes + wish - wish.mean(0))


class FollowsTheMost(Exact):
    """Changes for every face what most of the batch asks for."""

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        asked = target != source
        most = asked.sum(0) == asked.sum(0).amax()
        return Edited(codes + self.wish((target - source) * most))


class RefusesNothing(Exact):
    """Calls failed what it was not asked to do."""

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        edited = super().edit(codes, source, target, runtime)
        return Edited(edited.codes, (target != source).any(1))


class Forgets(Exact):
    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        self.gain = 2.0
        return super().fit(data, runtime)

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        gain = getattr(self, "gain", 1.0)
        return Edited(codes + gain * (target - source) @ self.state()["inverse"])


class TakesAnyState(Exact):
    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self.__dict__.update(state)


class CountsInDeviations(Exact):
    """Fails all faces where one attribute never varies."""

    fitted = ("inverse", "deviation")

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        self.deviation = data.attributes.std(0)
        return super().fit(data, runtime)

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        deviation = self.state()["deviation"]
        return Edited(codes + self.wish((target - source) / deviation * deviation))


class CountsInSmallDeviations(CountsInDeviations):
    """Throws faces far away that ask for what never varies."""

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        deviation = self.state()["deviation"].clamp_min(1e-6)
        known = torch.tensor([10.0, 0.15, 12.0, 0.4, 0.4, 0.4])
        return Edited(codes + self.wish((target - source) / deviation * known))


class NeedsNoFit(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited(codes.clone())


class LearnsWhileEditing(Exact):
    fitted = ("inverse", "edits")

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        self.edits = torch.zeros(1)
        return super().fit(data, runtime)

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        edited = super().edit(codes, source, target, runtime)
        self.edits += 1
        return edited


class HasMoods(Exact):
    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        super().fit(data, runtime)
        self.inverse = self.inverse + 0.1 * torch.randn(self.inverse.shape)
        return FitStats()

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited(codes + (target - source) @ self.state()["inverse"])


class Wants(Exact):
    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        runtime.estimator.estimate(torch.zeros(1, 3, 8, 8))  # type: ignore[union-attr]
        return super().fit(data, runtime)


class SaysInvertible(Exact):
    invertible = True

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited(codes + ((target - source) @ self.state()["inverse"]).abs())


class SaysAbsolute(Exact):
    absolute = True

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        wish = torch.where(target == source, 0.0, 10.0)
        return Edited(codes + wish @ self.state()["inverse"])


class SaysUnseeded(Exact):
    seeded = False

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        stats = super().fit(data, runtime)
        self.inverse = self.inverse + 0.1 * torch.rand((), generator=runtime.rng())
        return stats


class SaysSamplable(Exact):
    samplable = True


class DrawsTheSame(Exact):
    samplable = True

    def sample(self, attributes: Tensor, runtime: Runtime) -> Tensor:
        codes = ToyGenerator().sample(len(attributes), 0)
        return codes + self.wish(attributes - ToyGenerator().truth(codes).attributes)


class TakesAnyNameOptions(Options):
    attributes: tuple[str, ...] = ("age",)


class TakesAnyName(Exact):
    Options = TakesAnyNameOptions


class WrongShape(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited((codes + self.wish(target - source))[:, :-1])


class Mutates(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited(codes.add_(self.wish(target - source)))


class UsesGlobalRandomness(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited(codes + self.wish(target - source) + torch.randn(codes.shape))


class WrongDtype(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited((codes + self.wish(target - source)).double())


class SetsVariable(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        os.environ["MY_EDITOR"] = "was here"
        return super().edit(codes, source, target, runtime)


class SilencesWarnings(Exact):
    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        warnings.simplefilter("ignore")
        return super().fit(data, runtime)


class ChangesThreads(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        torch.set_num_threads(torch.get_num_threads() + 1)
        return super().edit(codes, source, target, runtime)


STILL = "leaves codes alone where nothing is asked"
CONSTANT = "copes with what never varies"
ALONE = "leaves environment and warnings alone"
WRONG = {
    "wrong-shape": (WrongShape, "edits soundly", "returned codes (6, 23)"),
    "wrong-dtype": (WrongDtype, "edits soundly", "torch.float64 on cpu for codes"),
    "mutates": (Mutates, "edits soundly", "changed its input codes in place"),
    "global-randomness": (UsesGlobalRandomness, "edits soundly", "global random state"),
    "changes-threads": (ChangesThreads, "edits soundly", "the number of threads"),
    "wants": (Wants, "fits with what it declares", "add what it uses to `needs`"),
    "never-still": (NeverStill, STILL, "codes moved by"),
    "looks-around": (LooksAround, "treats codes one by one", "statistics over the batch"),
    "follows-the-most": (FollowsTheMost, "treats codes one by one", "images edited alone differ"),
    "refuses-nothing": (RefusesNothing, STILL, "came back as not ok"),
    "forgets": (Forgets, "survives saving", "leave something out"),
    "takes-any-state": (TakesAnyState, "refuses another state", "took another editor's tensors"),
    "counts": (CountsInDeviations, CONSTANT, "where all images have one yaw: "),
    "counts-small": (CountsInSmallDeviations, CONSTANT, "asking for another moved codes by"),
    "needs-no-fit": (NeedsNoFit, "refuses before it is fitted", "did not raise NotFitted"),
    "learns": (LearnsWhileEditing, "keeps its state while editing", "changed the fitted 'edits'"),
    "sets-variable": (SetsVariable, ALONE, "the environment variable MY_EDITOR"),
    "silences": (SilencesWarnings, ALONE, "left 1 filters of warnings"),
    "has-moods": (HasMoods, "repeats itself", "two fits with seed 0 left different inverse"),
    "takes-any-name": (TakesAnyName, "refuses unknown attributes", "accepted attributes=('agee',)"),
    "says-invertible": (SaysInvertible, "comes back if it says so", "there and back leaves"),
    "says-absolute": (SaysAbsolute, "ends at the target if it says so", "asked to be 40 years old"),
    "says-unseeded": (SaysUnseeded, "needs no seed if it says so", "seeds 0 and 1 give other"),
    "says-samplable": (SaysSamplable, "draws codes if it says so", "there is no sample"),
    "draws-the-same": (DrawsTheSame, "draws codes if it says so", "the same codes with two seeds"),
}
"""By name the class, the rule that it breaks, and a part of what is told."""


class _Plugins:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [PluginSpec("editor", "right", "wrong_editors:Exact", "for tests")] + [
            PluginSpec("editor", name, f"wrong_editors:{found.__name__}", "for tests")
            for name, (found, _, _) in WRONG.items()
        ]


def registry() -> Registry:
    return toy_registry(_Plugins())
