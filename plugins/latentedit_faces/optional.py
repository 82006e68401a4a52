"""Optional libraries: imported on first use, with an error that says what to install."""

from __future__ import annotations

import importlib
from types import ModuleType

from latentedit import EnvironmentFault


def library(module: str, *, needed_by: str, install: str) -> ModuleType:
    """Import `module`.

    Raises:
        EnvironmentFault: it is not installed, or does not load; says what to install.

    >>> library("json", needed_by="faces-onnx", install="pip install json").__name__
    'json'
    >>> library("no_such_library", needed_by="faces-onnx", install="pip install x")
    Traceback (most recent call last):
    latentedit.errors.EnvironmentFault: faces-onnx needs the library no_such_library: ...
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise EnvironmentFault(
            f"{needed_by} needs the library {module}: {install} ({error})"
        ) from None
