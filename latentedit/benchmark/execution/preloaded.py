"""What the server of processes imports once, so that none of the processes it forks does."""

from __future__ import annotations

import safetensors.torch
import scipy.stats
import sklearn.svm
from pydantic import BaseModel

from latentedit.benchmark.execution import warm_process

__all__ = ["safetensors", "scipy", "sklearn", "warm_process"]


def _build(base: type[BaseModel]) -> None:
    """Build the validators of records, which a command builds when it reads the first record."""
    for model in base.__subclasses__():
        if model.__module__.startswith("latentedit."):
            model.model_rebuild()
        _build(model)


_build(BaseModel)
