"""The controls of a run, and the worst and the best of them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from latentedit.benchmark.suite import Suite
from latentedit.editing.checks import check_counterfactuals
from latentedit.errors import LatentEditError, PluginFault, Unsupported
from latentedit.registry import Registry


def with_controls(suite: Suite, registry: Registry) -> tuple[Suite, dict[str, str]]:
    """`suite` with its controls, and why others were left out, by name.

    Where the suite names no controls, it gets every installed one that its generator can serve.

    Raises:
        SuiteError: a control has the name of an editor of the suite.
        Unsupported: the suite names a control that its generator cannot serve.
    """
    if suite.controls is not None:
        for name in suite.controls:
            _check(name, suite, registry)
        return suite, {}
    left_out = {}
    for name in registry.specs("control"):
        try:
            _check(name, suite, registry)
        except Unsupported as error:
            left_out[name] = str(error)
    installed = [name for name in registry.specs("control") if name not in left_out]
    return suite.with_controls(installed), left_out


def bounds(names: Iterable[str], registry: Registry) -> dict[str, str]:
    """The first control of `names` that is a floor, and the first that is a ceiling."""
    found: dict[str, str] = {}
    for name in names:
        with suppress(LatentEditError):  # its fit cell says what is wrong
            bound = registry.load("control", name).bound
            if bound is not None:
                found.setdefault(bound, name)
    return found


def _check(control: str, suite: Suite, registry: Registry) -> None:
    with suppress(PluginFault):  # its fit cell says what is wrong
        needs = registry.load(registry.editor_kind(control), control).needs
        check_counterfactuals(registry, control, needs, suite.bank.generator.plugin)
