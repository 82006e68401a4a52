"""A task: one requested change of one attribute."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from latentedit.benchmark.plugin_use import SuitePart


class SigmaChange(SuitePart):
    """An amount in standard deviations of the fit split's labels."""

    sigma: float = Field(gt=0, le=10, description="standard deviations")


class QuantileChange(SuitePart):
    """A value on the other side of the fit split's median: images below it are asked for this
    quantile of the split's labels, the others for the quantile 1 − q."""

    quantile: float = Field(gt=0.5, lt=1, description="q, the quantile to reach")


class Task(SuitePart):
    """One requested change of one attribute.

    `change` is ``flip`` (a binary attribute to its other end), an amount in natural units, an
    amount in standard deviations, or a quantile to reach. Each image gets the sign that leads it
    towards the fit split's median, so that no image is asked to leave the range. `among` keeps only
    images with labels in the given ranges. `layers` are the W+ rows that take the edit, or the name
    of a preset.
    """

    attribute: str = Field(description="attribute that is changed")
    change: Literal["flip"] | float | SigmaChange | QuantileChange = Field(
        description="`flip` to the other end, an amount in natural units, `{sigma: 1.0}` or "
        "`{quantile: 0.9}`"
    )
    among: dict[str, tuple[float, float]] = Field(
        default={}, description="only images with these labels, as lowest and highest value"
    )
    layers: tuple[int, ...] | str | None = Field(
        default=None, description="W+ rows that take the edit, or the name of a preset"
    )
    name: str = Field(default="", description="name of the task; the attribute's if not given")

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("name") and "attribute" in data:
            return {**data, "name": str(data["attribute"])}
        return data

    @field_validator("layers", mode="before")
    @classmethod
    def _rows(cls, layers: Any) -> Any:
        if isinstance(layers, list) and not layers:
            raise ValueError("has no rows; leave it out, so that all rows take the edit")
        if isinstance(layers, str) and not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.+-]*", layers):
            raise ValueError("are a list of rows, such as [0, 1], or the name of a layer preset")
        return layers

    @field_validator("change", mode="before")
    @classmethod
    def _one_of_them(cls, change: Any) -> Any:
        amount = isinstance(change, int | float) and not isinstance(change, bool)
        if amount and 0 < change < float("inf"):
            return change
        if change == "flip" or isinstance(change, SigmaChange | QuantileChange):
            return change
        if isinstance(change, dict) and len(change) == 1:
            ((unit, value),) = change.items()
            models: dict[str, type[SuitePart]] = {"sigma": SigmaChange, "quantile": QuantileChange}
            if str(unit) in models:
                return models[str(unit)].model_validate({unit: value})
        raise ValueError(
            "is 'flip', an amount above 0 in the attribute's units, {sigma: 1.0} or {quantile: 0.9}"
        )
