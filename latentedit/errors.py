"""The error classes of latentedit.

LatentEditError                  exit code
├── InputError                   2   an invalid input of the caller
│   ├── UnknownName              2   an unknown name; lists the valid ones
│   ├── OutOfRange               2   a value outside its attribute's range, or not finite
│   ├── SuiteError               2   a suite file that does not validate
│   ├── FingerprintMismatch      2   artefacts of different generators, estimators or banks
│   ├── CorruptArtefact          2   a file whose content differs from its record or format
│   ├── NotFitted                2   an editor used before ``fit`` or ``load``
│   └── Unsupported              2   a request that this plugin does not support
├── PluginFault                  3   a plugin broke its contract; names the plugin
└── EnvironmentFault             3   a missing resource; says what to install or free
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class LatentEditError(Exception):
    """Base of all errors; `exit_code` is the exit status of the command line."""

    exit_code = 1

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle an error by its message, since constructors of subclasses take other arguments."""
        return _again, (type(self), str(self)), self.__dict__


def _again(kind: type[LatentEditError], message: str) -> LatentEditError:
    return kind.__new__(kind, message)


class InputError(LatentEditError):
    exit_code = 2


class UnknownName(InputError):
    """An unknown name.

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
    """Artefacts made with different generators, estimators or banks."""

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
    """A plugin raised an error, or returned a value that its interface does not allow."""

    exit_code = 3

    def __init__(self, plugin: str, fault: str) -> None:
        self.plugin = plugin
        super().__init__(f"plugin {plugin!r}: {fault}")


class EnvironmentFault(LatentEditError):
    exit_code = 3


def nearest(received: str, valid: Iterable[str]) -> str | None:
    """The valid name most similar to `received`, or None."""
    found = difflib.get_close_matches(received, list(valid), n=1, cutoff=0.5)
    return found[0] if found else None
