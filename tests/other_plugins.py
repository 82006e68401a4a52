"""The toy world with one plugin of another version. Processes of a run import this, not a test."""

from __future__ import annotations

from typing import Any

import toy_editors
from toy import ToyEstimator, ToyGenerator, ToyIdentity, ToyJudge, toy_plugins

from latentedit import PluginSpec, Registry, fingerprint, hookimpl


class OtherGenerator(ToyGenerator):
    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        self.fingerprint = fingerprint({"world": "toy-2"})


class OtherLabeller(ToyEstimator):
    fingerprint = fingerprint({"estimator": "toy-labeller-2"})


class OtherJudge(ToyJudge):
    fingerprint = fingerprint({"estimator": "toy-judge-2"})


class OtherIdentity(ToyIdentity):
    fingerprint = fingerprint({"identity": "toy-identity-2"})


class _With:
    """The toy world with another class in place of one."""

    def __init__(self, name: str, target: str) -> None:
        self.name, self.target = name, target

    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [
            PluginSpec(spec.kind, spec.name, self.target, spec.summary)
            if spec.name == self.name
            else spec
            for spec in toy_plugins.latentedit_plugins()
        ]


def _registry(world: object, editors_version: str = "") -> Registry:
    made = Registry()
    made.add(world, "toy")
    made.add(toy_editors.plugins, "plugin-0", version=editors_version)
    return made


def other_generator() -> Registry:
    return _registry(_With("toy", "other_plugins:OtherGenerator"))


def other_labeller() -> Registry:
    return _registry(_With("toy-labeller", "other_plugins:OtherLabeller"))


def other_judge() -> Registry:
    return _registry(_With("toy-judge", "other_plugins:OtherJudge"))


def other_identity() -> Registry:
    return _registry(_With("toy-identity", "other_plugins:OtherIdentity"))


def other_editors() -> Registry:
    return _registry(toy_plugins, "2")
