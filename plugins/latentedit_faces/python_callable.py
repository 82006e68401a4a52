"""A function of the user's own as an estimator."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from latentedit import (
    AttributeEstimator,
    InputError,
    Options,
    PluginFault,
    file_digest,
    fingerprint,
)
from latentedit_faces.declarations import DeclaredAttributes, declared_schema
from latentedit_faces.pictures import check_images

SPEC = re.compile(r"(.+):([A-Za-z_][A-Za-z0-9_]*)")


class PythonOptions(Options):
    """Options of `faces-python`.

    Args:
        function: ``package.module:function`` or ``path/to/file.py:function``. It gets images
            (N, 3, H, W) in [-1, 1] and returns (N, A). This code is executed.
        attributes: the A columns, in order: a list, or a YAML file with the list.
        version: change it when something outside the function's file changes, such as weights that
            it loads. Earlier results are then computed again.
    """

    function: str
    attributes: DeclaredAttributes = Field(min_length=1)
    version: str = ""


class PythonFunction(AttributeEstimator):
    """Calls a Python function. The fingerprint covers the file from which it was loaded."""

    Options: ClassVar[type[PythonOptions]] = PythonOptions

    def __init__(self, options: PythonOptions | None = None) -> None:
        if options is None:
            raise InputError("faces-python needs the options function and attributes")
        self._name, self.schema = options.function, declared_schema(options.attributes)
        self._function, source = _load(options.function)
        self.fingerprint = fingerprint(
            {"source": source, "schema": self.schema.to_json(), "version": options.version}
        )

    @torch.no_grad()
    def estimate(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] → (N, A), as the function gives them.

        Raises:
            PluginFault: the function raised, or returned something else.
        """
        images = check_images(images)
        try:
            values = self._function(images.clone())
        except Exception as error:
            raise PluginFault(self._name, f"raised {type(error).__name__}: {error}") from error
        expected = (len(images), self.schema.width)
        if not isinstance(values, Tensor) or tuple(values.shape) != expected:
            found = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise PluginFault(
                self._name, f"returned {found} for {len(images)} images, not a tensor {expected}"
            )
        if not bool(values.isfinite().all()):
            raise PluginFault(self._name, "returned NaN or infinity")
        return values.float().to(images.device)


def _load(spec: str) -> tuple[Callable[[Tensor], object], str]:
    """The function, and the sha256 of the file that it is in."""
    found = SPEC.fullmatch(spec)
    if found is None:
        raise InputError(
            f"write function as package.module:name or path/to/file.py:name, received {spec!r}"
        )
    try:
        module = _module(found[1])
        function = getattr(module, found[2])
        source = file_digest(Path(inspect.getfile(module)))
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"cannot load {spec}: {type(error).__name__}: {error}") from error
    if not callable(function):
        raise InputError(f"{spec} is no function, but {type(function).__name__}")
    return function, source


def _module(name: str) -> ModuleType:
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = Path(name)
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(f"_latentedit_faces_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
