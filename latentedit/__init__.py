"""latentedit: edit images in a generator's latent space, and see which method keeps the person.

Everything a plugin or a script needs is here; the names load what they need on first use, so that
importing the package itself stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "artefacts": ["fingerprint", "read_tensors", "write_tensors"],
    "attributes": ["Attribute", "AttributeSchema"],
    "bank": ["LatentBank", "ModelReference", "Split"],
    "calibration": ["slopes"],
    "editing": ["FittedEditor", "fit_editor", "load_editor"],
    "editor": ["Edited", "Editor", "FitStats", "Options", "Runtime"],
    "errors": [
        "CorruptArtefact",
        "EnvironmentFault",
        "FingerprintMismatch",
        "InputError",
        "LatentEditError",
        "NotFitted",
        "OutOfRange",
        "PluginFault",
        "SuiteError",
        "UnknownName",
        "Unsupported",
    ],
    "estimators": ["AttributeEstimator", "IdentityEncoder"],
    "generator": ["Generator", "Truth"],
    "plugin": ["PluginSpec", "hookimpl"],
    "registry": ["Registry"],
    "sampling": ["make_bank"],
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = ["__version__", *sorted(_MODULE_OF)]  # noqa: PLE0604  (names come from the table above)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'latentedit' has no attribute {name!r}")
    return getattr(importlib.import_module(f"latentedit.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)


if TYPE_CHECKING:
    from latentedit.artefacts import fingerprint, read_tensors, write_tensors
    from latentedit.attributes import Attribute, AttributeSchema
    from latentedit.bank import LatentBank, ModelReference, Split
    from latentedit.calibration import slopes
    from latentedit.editing import FittedEditor, fit_editor, load_editor
    from latentedit.editor import Edited, Editor, FitStats, Options, Runtime
    from latentedit.errors import (
        CorruptArtefact,
        EnvironmentFault,
        FingerprintMismatch,
        InputError,
        LatentEditError,
        NotFitted,
        OutOfRange,
        PluginFault,
        SuiteError,
        UnknownName,
        Unsupported,
    )
    from latentedit.estimators import AttributeEstimator, IdentityEncoder
    from latentedit.generator import Generator, Truth
    from latentedit.plugin import PluginSpec, hookimpl
    from latentedit.registry import Registry
    from latentedit.sampling import make_bank
