"""Runs of Weights & Biases, on this machine unless the environment says otherwise."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latentedit import EnvironmentFault, Tracker


class WeightsAndBiases(Tracker):
    """Writes a run below PLACE. Nothing is sent, unless ``WANDB_MODE`` is ``online``;
    ``wandb sync`` sends it later."""

    def begin(self, name: str, settings: Mapping[str, Any]) -> None:
        try:
            import wandb  # noqa: PLC0415
        except ImportError:
            raise EnvironmentFault(
                "the tracker wandb takes the package wandb; pip install 'latentedit[wandb]'"
            ) from None
        Path(self.options.place).mkdir(parents=True, exist_ok=True)
        self.run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "latentedit"),
            name=name,
            config=dict(settings),
            dir=self.options.place,
            mode=os.environ.get("WANDB_MODE", "offline"),
        )

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        self.run.log(dict(figures), step=step)

    def end(self) -> None:
        self.run.finish()
