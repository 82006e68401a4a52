"""Metrics that suites add to those of every run."""

from __future__ import annotations

from collections.abc import Iterable

from latentedit.errors import InputError
from latentedit.measures.definitions import METRICS, Metric

_ADDED: dict[str, Metric] = {}


def declare(metrics: Iterable[Metric]) -> None:
    """Make the metrics that a run's suite adds known by name; see `definition`.

    Raises:
        InputError: another run has a metric of this name with another definition.
    """
    for metric in metrics:
        if _ADDED.setdefault(metric.name, metric) != metric:
            raise InputError(
                f"two runs have a metric {metric.name!r} with two definitions; give one of them "
                "another `name` in its suite"
            )


def definition(name: str) -> Metric:
    """Of a metric of every run, or of one that was declared; raises `KeyError`."""
    return METRICS[name] if name in METRICS else _ADDED[name]
