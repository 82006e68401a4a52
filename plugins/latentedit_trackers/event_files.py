"""Event files, as TensorBoard reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from latentedit import EnvironmentFault, Tracker


class TensorBoard(Tracker):
    """Writes event files: ``tensorboard --logdir PLACE`` shows them."""

    def begin(self, name: str, settings: Mapping[str, Any]) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415
        except ImportError:
            raise EnvironmentFault(
                "the tracker tensorboard takes the package tensorboard; "
                "pip install 'latentedit[tensorboard]'"
            ) from None
        self.writer: Any = SummaryWriter(self.options.place)
        self.writer.add_text("settings", f"{name}\n\n```\n{json.dumps(settings, indent=2)}\n```")

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self.writer.add_scalar(name, value, step)

    def end(self) -> None:
        self.writer.close()
