"""Editors of the toy world that have a best option."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from toy import ToyGenerator, toy_registry
from toy_editors import Exact

from latentedit import Edited, Options, PluginSpec, Registry, Runtime, hookimpl


class AdjustableOptions(Options):
    """Options of the adjustable editor.

    Args:
        gain: of what is asked, how much to do; less than 0.4 never reaches 80 %.
        leak: standard deviations of yaw for each 10 years of age.
    """

    gain: float = 1.0
    leak: float = 0.3


class Adjustable(Exact):
    """Exact with gain 1 and leak 0, and worse by a known amount otherwise."""

    Options: ClassVar[type[AdjustableOptions]] = AdjustableOptions
    options: AdjustableOptions
    candidates = ({"gain": 0.1, "leak": 0.0}, {"leak": 0.0}, {"leak": 0.0, "gain": 1.5})

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        world = ToyGenerator()
        change = self.options.gain * (target - source)
        yaw = self.options.leak * change[:, :1] / 10 * world.deviations[2]
        return Edited(codes + change @ self.inverse.to(codes) + yaw * world.basis[2])


class Fixed(Exact):
    """Declares nothing to try."""


class _Editors:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [
            PluginSpec("editor", "adjustable", "tunable_editors:Adjustable", "for tests"),
            PluginSpec("editor", "fixed", "tunable_editors:Fixed", "for tests"),
            PluginSpec("editor", "no-edit", "toy_editors:NoEdit", "for tests"),
        ]


def registry() -> Registry:
    """The toy world with these editors, as every process of a test run builds it."""
    return toy_registry(_Editors())
