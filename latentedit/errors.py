"""The error classes of latentedit.

LatentEditError                  exit code
├── InputError                   2   what the caller gave cannot be used
│   ├── UnknownName              2   a name that nothing has; lists the valid ones
│   ├── OutOfRange               2   a value outside its attribute's range, or not finite
│   ├── SuiteError               2   a suite file that does not validate
│   ├── FingerprintMismatch      2   two artefacts that were not made with each other
│   ├── CorruptArtefact          2   a file whose content is not what its record says
│   ├── NotFitted                2   an editor used before ``fit`` or ``load``
│   └── Unsupported              2   a request that this plugin does not serve
├── PluginFault                  3   a plugin broke its contract; names the plugin
└── EnvironmentFault             3   the machine lacks something; says what to install or free
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class LatentEditError(Exception):
    """Root of the hierarchy; `exit_code` is what the command line returns."""

    exit_code = 1

    def __reduce__(self) -> tuple[Any, ...]:
        """Between processes, an error is its message: subclasses are made from other things."""
        return _again, (type(self), str(self)), self.__dict__


def _again(kind: type[LatentEditError], message: str) -> LatentEditError:
    return kind.__new__(kind, message)


class InputError(LatentEditError):
    exit_code = 2


class UnknownName(InputError):
    """A name that nothing has.

    >>> raise UnknownName("attribute", "agee", ["age", "yaw"])
    Traceback (most recent call last):
    latentedit.errors.UnknownName: unknown attribute 'agee'; did you mean 'age'? Valid: age, yaw
    """

    def __init__(self, what: str, received: str, valid: Iterable[str], where: str = "") -> None:
        names = list(valid)
        self.nearest = nearest(received, names)
        hint = f"; did you mean {self.nearest!r}?" if self.nearest else "."
        place = f" {where}" if where else ""
        super().__init__(
            f"unknown {what} {received!r}{place}{hint} Valid: {', '.join(names) or '(none)'}"
        )


class OutOfRange(InputError):
    pass


class SuiteError(InputError):
    pass


class FingerprintMismatch(InputError):
    """Two artefacts that were made with different generators, estimators or banks."""

    def __init__(self, what: str, first: str, first_has: str, second: str, second_has: str) -> None:
        super().__init__(
            f"{first} and {second} have different {what}s: {first} has {first_has}, "
            f"{second} has {second_has}. Use two that were made with the same {what}."
        )


class CorruptArtefact(InputError):
    pass


class NotFitted(InputError):
    pass


class Unsupported(InputError):
    pass


class PluginFault(LatentEditError):
    """A plugin raised, or returned what its interface does not allow."""

    exit_code = 3

    def __init__(self, plugin: str, fault: str) -> None:
        self.plugin = plugin
        super().__init__(f"plugin {plugin!r}: {fault}")


class EnvironmentFault(LatentEditError):
    exit_code = 3


def nearest(received: str, valid: Iterable[str]) -> str | None:
    """The valid name that `received` most looks like, or None."""
    found = difflib.get_close_matches(received, list(valid), n=1, cutoff=0.5)
    return found[0] if found else None
