"""The statistics of a suite: confidence, error rate and primary endpoints."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from latentedit.errors import UnknownName
from latentedit.measures.definitions import METRICS

ENDPOINTS = (
    "reach",
    "identity similarity",
    "true leakage",
    "attribute leakage",
    "target error",
)
"""Names of the default ones. Only one kind of leakage is used: true leakage where it is known."""


class StatisticsPlan(BaseModel):
    """What a report may call better.

    Args:
        confidence: level of the intervals.
        error_rate: largest chance that a report prefers one of two equal editors.
        endpoints: names of the metrics that get verdicts, over all tasks and at the first effect;
            by default those of `ENDPOINTS`. All other comparisons are exploratory.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="level of the intervals")
    error_rate: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        description="largest chance that a report prefers one of two equal editors",
    )
    endpoints: list[str] | None = Field(
        default=None, min_length=1, description="metrics that get verdicts"
    )

    @field_validator("endpoints")
    @classmethod
    def _decidable(cls, endpoints: list[str] | None) -> list[str] | None:
        valid = [name for name, metric in METRICS.items() if metric.margin is not None]
        for name in endpoints or ():
            if name not in valid:
                raise ValueError(str(UnknownName("endpoint", name, valid)))
        return endpoints
