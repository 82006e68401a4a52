"""Default plugins of commands, and example names for messages."""

from __future__ import annotations

from latentedit.errors import InputError
from latentedit.interfaces.generator import Companions
from latentedit.registry import Registry


def companions_of(registry: Registry, generator: str) -> Companions | None:
    """The plugins that read the images of `generator`; None where it names none."""
    found: Companions | None = registry.load("generator", generator).companions
    return found


def labeller_of(registry: Registry, generator: str, named: str | None) -> str:
    """The labeller that was named, else the one that `generator` names.

    Raises:
        InputError: neither names one; lists the estimators that are installed.
    """
    if named is not None:
        return named
    companions = companions_of(registry, generator)
    if companions is None:
        installed = ", ".join(registry.names("estimator")) or "(none is installed)"
        raise InputError(
            f"{generator} has no labeller of its own; choose an estimator with --labeller. "
            f"Installed: {installed}"
        )
    return companions.labeller


def example(registry: Registry, kind: str) -> str:
    """The first plugin of `kind`, for a command that users may run next; else a placeholder."""
    return next(iter(registry.specs(kind)), kind.upper())
