"""Trackers: where the figures of fits and runs go. Importing this module imports no torch."""

from __future__ import annotations

from latentedit.plugin import PluginSpec, hookimpl


@hookimpl
def latentedit_plugins() -> list[PluginSpec]:
    """Three trackers; each needs the package of its program."""
    here = "latentedit_trackers"
    table = [
        ("tensorboard", "event_files:TensorBoard", "event files for TensorBoard"),
        ("wandb", "offline_runs:WeightsAndBiases", "Weights & Biases, offline if not said"),
        ("mlflow", "file_store:MLflow", "a store of files for MLflow"),
    ]
    return [
        PluginSpec("tracker", name, f"{here}.{target}", summary) for name, target, summary in table
    ]
