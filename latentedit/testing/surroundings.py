"""The rule on state that an editor shares with its process: environment and warnings."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from latentedit.testing.case import IMAGES, Case
from latentedit.testing.rules import Broken


def leaves_environment_and_warnings_alone(case: Case) -> None:
    """`fit` and `edit` change neither environment variables nor the filters of warnings."""
    _ = case.edited  # libraries that are imported on the way may set theirs, this once
    with _environment(case.environment), warnings.catch_warnings():
        warnings.resetwarnings()
        editor = case.new()  # called without the guard, which would put everything back
        editor.fit(case.images(IMAGES, case.seed), case.runtime)
        editor.edit(*case.request, case.runtime)
        changed = sorted(
            name
            for name in os.environ.keys() | case.environment.keys()
            if os.environ.get(name) != case.environment.get(name)
        )
        filters = len(warnings.filters)
    if changed:
        raise Broken(
            f"fit or edit changed the environment variable {', '.join(changed)}, which every other "
            "editor shares; make it an option, or put it back in a finally"
        )
    if filters:
        raise Broken(
            f"fit or edit left {filters} filters of warnings behind; silence warnings within "
            "`with warnings.catch_warnings():`"
        )


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    now = dict(os.environ)
    _become(variables)
    try:
        yield
    finally:
        _become(now)


def _become(variables: dict[str, str]) -> None:
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)
