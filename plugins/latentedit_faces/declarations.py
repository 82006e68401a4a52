"""Declarations in YAML: the attributes and the licence of a user's model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from latentedit import Attribute, AttributeSchema, InputError, read_yaml_file


class Declaration(BaseModel):
    """Base of everything that users declare: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Declared = TypeVar("Declared", bound=Declaration)


class DeclaredAttribute(Declaration):
    """An attribute as users write it: ``{name: age, low: 0, high: 70, unit: years}``.

    A binary attribute ranges from 0 to 1. A continuous one needs a range, unless it is inferred
    from labels.
    """

    name: str
    kind: Literal["binary", "continuous"] = "continuous"
    low: float | None = None
    high: float | None = None
    unit: str = ""

    def attribute(self, seen: tuple[float, float] | None = None) -> Attribute:
        """The core's attribute; `seen` is the range of the labels, if there are any."""
        low, high = (0.0, 1.0) if self.kind == "binary" else seen or (None, None)
        low = low if self.low is None else self.low
        high = high if self.high is None else self.high
        if low is None or high is None or not low < high:
            raise InputError(
                f"attribute {self.name!r} needs a range: write low and high, in its own unit; "
                f"received low {low}, high {high}"
            )
        return Attribute(self.name, self.kind, low, high, self.unit)


def read_declaration(kind: type[Declared], path: Path) -> Declared:
    """A `kind` from a YAML file.

    Raises:
        InputError: a key or value is invalid; names it, and lists the valid keys.
    """
    data = read_yaml_file(path, number_keys=True)
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{path}: {explained(error)}. Keys: {_keys(kind)}") from None


def explained(error: ValidationError) -> str:
    """The first error of a validation, with its place."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}, received {str(first['input'])[:80]}"


def _keys(kind: type[Declaration]) -> str:
    return ", ".join(kind.model_fields)


def _from_file(value: Any) -> Any:
    try:
        return (
            read_yaml_file(Path(value), number_keys=True)
            if isinstance(value, (str, Path))
            else value
        )
    except InputError as error:
        raise ValueError(str(error)) from None


FromFile = BeforeValidator(_from_file)
"""A validator for options that are given directly, or as the path of a YAML file."""

DeclaredAttributes = Annotated[tuple[DeclaredAttribute, ...], FromFile]


def declared_schema(declared: tuple[DeclaredAttribute, ...]) -> AttributeSchema:
    return AttributeSchema(tuple(each.attribute() for each in declared))
