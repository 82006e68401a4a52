"""latentedit: edit images in a generator's latent space, and see which method keeps the person.

Everything a plugin or a script needs is here; the names load what they need on first use, so that
importing the package itself stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "arrays": ["mapped_array", "parsed_array"],
    "artefacts": [
        "file_digest",
        "fingerprint",
        "new_folder",
        "read_json",
        "read_tensors",
        "write_json",
        "write_tensors",
    ],
    "attributes": ["Attribute", "AttributeSchema"],
    "bank": ["LatentBank", "ModelReference", "Split"],
    "bank_images": ["write_images"],
    "benchmark.cells": ["CellStore"],
    "benchmark.events": ["Ended", "Event", "Progressed"],
    "benchmark.executor": ["Executor", "ExecutorOptions"],
    "benchmark.worker": ["Job"],
    "benchmark.zygote": ["Zygote"],
    "calibration": ["slopes"],
    "code_spaces": ["CodeSpaces"],
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
    "estimators": [
        "AttributeEstimator",
        "EstimatorTrainer",
        "IdentityEncoder",
        "TrainedEstimator",
    ],
    "generator": ["Generator", "Truth", "Tunable"],
    "inert": [
        "InertArray",
        "InertObject",
        "InertTensor",
        "NetworkFile",
        "RefusedFile",
        "read_network",
        "read_state_dict",
    ],
    "layers": ["preset_rows"],
    "lighting": ["LIGHT_PRESETS", "lighting_preset"],
    "inversion": [
        "InversionRuntime",
        "Inverted",
        "Inverter",
        "PerceptualLoss",
        "WeightedLoss",
    ],
    "plugin": ["PluginSpec", "hookimpl"],
    "registry": ["Registry"],
    "relabelling": ["relabel_bank"],
    "sampling": ["make_bank"],
    "styleflow_data": ["read_styleflow_data"],
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
    from latentedit.arrays import mapped_array as mapped_array
    from latentedit.arrays import parsed_array as parsed_array
    from latentedit.artefacts import file_digest as file_digest
    from latentedit.artefacts import fingerprint as fingerprint
    from latentedit.artefacts import new_folder as new_folder
    from latentedit.artefacts import read_json as read_json
    from latentedit.artefacts import read_tensors as read_tensors
    from latentedit.artefacts import write_json as write_json
    from latentedit.artefacts import write_tensors as write_tensors
    from latentedit.attributes import Attribute as Attribute
    from latentedit.attributes import AttributeSchema as AttributeSchema
    from latentedit.bank import LatentBank as LatentBank
    from latentedit.bank import ModelReference as ModelReference
    from latentedit.bank import Split as Split
    from latentedit.bank_images import write_images as write_images
    from latentedit.benchmark.cells import CellStore as CellStore
    from latentedit.benchmark.events import Ended as Ended
    from latentedit.benchmark.events import Event as Event
    from latentedit.benchmark.events import Progressed as Progressed
    from latentedit.benchmark.executor import Executor as Executor
    from latentedit.benchmark.executor import ExecutorOptions as ExecutorOptions
    from latentedit.benchmark.worker import Job as Job
    from latentedit.benchmark.zygote import Zygote as Zygote
    from latentedit.calibration import slopes as slopes
    from latentedit.code_spaces import CodeSpaces as CodeSpaces
    from latentedit.editing import FittedEditor as FittedEditor
    from latentedit.editing import fit_editor as fit_editor
    from latentedit.editing import load_editor as load_editor
    from latentedit.editor import Edited as Edited
    from latentedit.editor import Editor as Editor
    from latentedit.editor import FitStats as FitStats
    from latentedit.editor import Options as Options
    from latentedit.editor import Runtime as Runtime
    from latentedit.errors import CorruptArtefact as CorruptArtefact
    from latentedit.errors import EnvironmentFault as EnvironmentFault
    from latentedit.errors import FingerprintMismatch as FingerprintMismatch
    from latentedit.errors import InputError as InputError
    from latentedit.errors import LatentEditError as LatentEditError
    from latentedit.errors import NotFitted as NotFitted
    from latentedit.errors import OutOfRange as OutOfRange
    from latentedit.errors import PluginFault as PluginFault
    from latentedit.errors import SuiteError as SuiteError
    from latentedit.errors import UnknownName as UnknownName
    from latentedit.errors import Unsupported as Unsupported
    from latentedit.estimators import AttributeEstimator as AttributeEstimator
    from latentedit.estimators import EstimatorTrainer as EstimatorTrainer
    from latentedit.estimators import IdentityEncoder as IdentityEncoder
    from latentedit.estimators import TrainedEstimator as TrainedEstimator
    from latentedit.generator import Generator as Generator
    from latentedit.generator import Truth as Truth
    from latentedit.generator import Tunable as Tunable
    from latentedit.inert import InertArray as InertArray
    from latentedit.inert import InertObject as InertObject
    from latentedit.inert import InertTensor as InertTensor
    from latentedit.inert import NetworkFile as NetworkFile
    from latentedit.inert import RefusedFile as RefusedFile
    from latentedit.inert import read_network as read_network
    from latentedit.inert import read_state_dict as read_state_dict
    from latentedit.inversion import InversionRuntime as InversionRuntime
    from latentedit.inversion import Inverted as Inverted
    from latentedit.inversion import Inverter as Inverter
    from latentedit.inversion import PerceptualLoss as PerceptualLoss
    from latentedit.inversion import WeightedLoss as WeightedLoss
    from latentedit.layers import preset_rows as preset_rows
    from latentedit.lighting import LIGHT_PRESETS as LIGHT_PRESETS
    from latentedit.lighting import lighting_preset as lighting_preset
    from latentedit.plugin import PluginSpec as PluginSpec
    from latentedit.plugin import hookimpl as hookimpl
    from latentedit.registry import Registry as Registry
    from latentedit.relabelling import relabel_bank as relabel_bank
    from latentedit.sampling import make_bank as make_bank
    from latentedit.styleflow_data import read_styleflow_data as read_styleflow_data
