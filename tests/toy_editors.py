"""Editors of the toy world: a perfect one, a leaking one, and ones that misbehave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from toy import ToyGenerator, toy_registry

from latentedit import (
    Edited,
    Editor,
    FitStats,
    Options,
    PluginSpec,
    Registry,
    Runtime,
    Split,
    hookimpl,
)

NOTE = "LATENTEDIT_TEST_NOTE"
"""The variable that says where a lingering editor leaves its note."""


class Exact(Editor):
    """w' = w + M⁺ (target − source): what the world itself would do."""

    needs = frozenset()
    fitted = ("inverse",)

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        self.inverse = torch.linalg.pinv(ToyGenerator().matrix).T.contiguous()
        return FitStats()

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited(codes + (target - source) @ self.inverse)


class Leaky(Exact):
    """Exact, and a push along the first identity direction."""

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        moved = super().edit(codes, source, target, runtime).codes
        size = ((target - source) / 10).norm(dim=1, keepdim=True)
        return Edited(moved + size * ToyGenerator().basis[6:7])


class Half(Exact):
    """Does less than half of what is asked, and less the more is asked."""

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        moved = super().edit(codes, source, target, runtime).codes - codes
        size = ((target - source) / 10).norm(dim=1, keepdim=True)
        return Edited(codes + moved * 0.4 / (1 + size) ** 0.25)


class Timid(Exact):
    """Serves only half of the faces: those with a positive first coordinate."""

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        moved = super().edit(codes, source, target, runtime).codes
        return Edited(moved, codes[:, 0] > 0, reason="its first coordinate is negative")


class Particular(Exact):
    """Refuses to change the age, and breaks where a face is not what it is said to be."""

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        if float((ToyGenerator().truth(codes).attributes - source).abs().max()) > 0.1:
            raise ValueError("this is another face")
        moved = super().edit(codes, source, target, runtime).codes
        return Edited(moved, target[:, 0] == source[:, 0])


class Unwilling(Exact):
    """Serves no face at all."""

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        moved = super().edit(codes, source, target, runtime).codes
        return Edited(
            moved, torch.zeros(len(codes), dtype=torch.bool), reason="I do\nnot \x1b want"
        )


class Draws(Exact):
    """Exact, and codes at random that have the attributes."""

    samplable = True

    def sample(self, attributes: Tensor, runtime: Runtime) -> Tensor:
        world = ToyGenerator()
        codes = torch.randn(len(attributes), world.matrix.shape[1], generator=runtime.rng())
        return codes + (attributes - world.truth(codes).attributes) @ self.inverse


class NoEdit(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited(codes.clone())


class Raises(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        raise ValueError("I do not feel like it")


class RaisesInFit(Exact):
    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        raise ValueError("nothing to learn here")


class GivesNaN(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited(codes * float("nan"))


class WrongShape(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited(codes[:, :-1])


class WrongDtype(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited(codes.double())


class WrongType(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return codes  # type: ignore[return-value]


class WrongMask(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited(codes, torch.ones(len(codes)))


class Mutates(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited(codes.add_(1))


class MutatesTarget(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        target.zero_()
        return Edited(codes)


class UsesGlobalRandomness(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited(codes + torch.randn(codes.shape))


class ChangesThreads(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        torch.set_num_threads(torch.get_num_threads() + 1)
        return Edited(codes.clone())


class ChangesDtype(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        torch.set_default_dtype(torch.float64)
        return Edited(codes.clone())


class Crashes(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        os.kill(os.getpid(), signal.SIGSEGV)
        return Edited(codes)


class Leaves(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        os._exit(7)


class Lingers(Exact):
    """Fits for ever where it is the first to fit on a cluster, and leaves a note of where that
    was."""

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        raylet, note = os.environ.get("RAY_RAYLET_PID"), Path(os.environ.get(NOTE, ""))
        if raylet and not note.exists():
            note.with_suffix(".new").write_text(raylet)
            note.with_suffix(".new").rename(note)
            time.sleep(3600)
        return super().fit(data, runtime)


class LeavesQuietly(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        os._exit(0)


class RaisesOnSave(Exact):
    def state(self) -> dict[str, Tensor]:
        raise ValueError("nothing that I could write down")


class RaisesOnLoad(Exact):
    def load_state(self, state: Mapping[str, Tensor]) -> None:
        raise ValueError("I cannot read my own writing")


class Unspeakable(Exact):
    """Raises an error that cannot be pickled, nor shown."""

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        class Mute(Exception):
            def __str__(self) -> str:
                raise RuntimeError("no words")

            def __reduce__(self) -> str:
                raise TypeError("not to be pickled")

        raise Mute


class Verbose(Exact):
    """Raises an error of many megabytes, and prints as much that is no text."""

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        os.write(1, b"\xff\x00\n" * 2_000_000)
        raise ValueError("too much, " * 2_000_000)


class Hangs(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        time.sleep(3600)
        return Edited(codes)


class EatsMemory(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        eaten = []
        while True:
            eaten.append(torch.ones(4_000_000))


class AsksForTooMuch(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        raise MemoryError("cannot allocate 8 EiB")


class ChangesFolder(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        os.chdir("/")
        return Edited(codes.clone())


class UsesNumpyRandomness(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited(codes + float(np.random.rand()))


class Exits(Exact):
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        sys.exit("I have had enough")


class TalksOptions(Options):
    note: str = ""


class Talks(Exact):
    """Not at fault: it only prints, and leaves threads and processes behind, whose ids it notes."""

    Options: ClassVar[type[TalksOptions]] = TalksOptions
    options: TalksOptions

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        print("not for the run's own output")
        os.write(1, b"\xff\x00 nor that")
        threading.Thread(target=time.sleep, args=(3600,)).start()
        left = subprocess.Popen(["sleep", "3600"])
        if self.options.note:
            with Path(self.options.note).open("a") as note:
                note.write(f"{left.pid}\n")
        return super().edit(codes, source, target, runtime)


GOOD = {
    "exact": "Exact",
    "leaky": "Leaky",
    "half": "Half",
    "timid": "Timid",
    "particular": "Particular",
    "unwilling": "Unwilling",
    "no-edit": "NoEdit",
    "draws": "Draws",
    "lingers": "Lingers",
    "talks": "Talks",
}
IMPURE = {
    "raises": ("Raises", "edit raised ValueError: I do not feel like it"),
    "gives-nan": ("GivesNaN", "NaN or infinity for face 0"),
    "wrong-shape": ("WrongShape", r"codes \(.*23\) torch.float32 on cpu for codes \(.*24\)"),
    "wrong-dtype": ("WrongDtype", "torch.float64 on cpu for codes"),
    "wrong-type": ("WrongType", "returned Tensor, not Edited"),
    "wrong-mask": ("WrongMask", "an ok mask"),
    "mutates": ("Mutates", "changed its input codes in place"),
    "mutates-target": ("MutatesTarget", "changed its input target in place"),
    "global-randomness": ("UsesGlobalRandomness", "global random state"),
    "changes-threads": ("ChangesThreads", "the number of threads"),
    "changes-dtype": ("ChangesDtype", "the default dtype"),
    "changes-folder": ("ChangesFolder", "the current folder"),
    "numpy-randomness": ("UsesNumpyRandomness", "numpy's global random state"),
}
DEADLY = {
    "crashes": "Crashes",
    "leaves": "Leaves",
    "hangs": "Hangs",
    "raises-in-fit": "RaisesInFit",
    "eats-memory": "EatsMemory",
    "asks-for-too-much": "AsksForTooMuch",
    "exits": "Exits",
    "leaves-quietly": "LeavesQuietly",
    "raises-on-save": "RaisesOnSave",
    "raises-on-load": "RaisesOnLoad",
    "unspeakable": "Unspeakable",
    "verbose": "Verbose",
}


class _Editors:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        classes = GOOD | DEADLY | {name: found for name, (found, _) in IMPURE.items()}
        unimportable = PluginSpec("editor", "unimportable", "toy_unimportable:Editor", "for tests")
        return [unimportable] + [
            PluginSpec("editor", name, f"toy_editors:{found}", "for tests")
            for name, found in classes.items()
        ]


plugins = _Editors()


def registry() -> Registry:
    """The toy world with these editors, as every process of a test run builds it."""
    return toy_registry(plugins)
