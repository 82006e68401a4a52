"""Runs in a store of files, as MLflow reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latentedit import EnvironmentFault, Tracker

EXPERIMENT = "latentedit"
LONGEST = 500
"""Most characters of a parameter."""


class MLflow(Tracker):
    """Writes a run into the store PLACE: ``mlflow ui --backend-store-uri PLACE`` shows it."""

    def begin(self, name: str, settings: Mapping[str, Any]) -> None:
        try:
            from mlflow.tracking import MlflowClient  # noqa: PLC0415
        except ImportError:
            raise EnvironmentFault(
                "the tracker mlflow takes the package mlflow; pip install 'latentedit[mlflow]'"
            ) from None
        self.client: Any = MlflowClient(tracking_uri=Path(self.options.place).resolve().as_uri())
        known = self.client.get_experiment_by_name(EXPERIMENT)
        experiment = known.experiment_id if known else self.client.create_experiment(EXPERIMENT)
        run = self.client.create_run(experiment, tags={"mlflow.runName": name})
        self.run_id: str = run.info.run_id
        for setting, value in settings.items():
            text = value if isinstance(value, str) else json.dumps(value)
            self.client.log_param(self.run_id, plain(setting), text[:LONGEST])

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self.client.log_metric(self.run_id, plain(name), float(value), step=step)

    def end(self) -> None:
        self.client.set_terminated(self.run_id)


def plain(name: str) -> str:
    """`name` in the letters that MLflow allows.

    >>> plain("edit–identity area · encoder")
    'edit-identity area - encoder'
    """
    return re.sub(r"[^A-Za-z0-9_\-. /]", "-", name)
