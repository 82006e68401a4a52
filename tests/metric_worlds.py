"""Toy worlds with metrics that suites add. Processes of a run import this, not a test."""

from __future__ import annotations

import toy_editors
from toy_metrics import toy_metric_plugins

import latentedit_inversion
import latentedit_metrics
from latentedit import Registry


def toy_metrics_registry() -> Registry:
    """The toy world and the metrics of `toy_metrics`."""
    found = toy_editors.registry()
    found.add(toy_metric_plugins, "toy-metrics", version="1")
    return found


def bundled_metrics_registry() -> Registry:
    """The toy world, the bundled metrics, and an inverter."""
    found = toy_editors.registry()
    found.add(latentedit_metrics, "metrics")
    found.add(latentedit_inversion, "inversion")
    return found
