"""What an attribute is, and an ordered set of them: the columns of every (N, A) tensor."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from torch import Tensor

from latentedit.errors import InputError, OutOfRange, UnknownName

Kind = Literal["binary", "continuous", "vector"]


@dataclass(frozen=True)
class Attribute:
    """One named property of an image, in natural units.

    Args:
        name: as users write it, for instance ``"age"``.
        kind: ``"binary"`` (a degree from absent to present), ``"continuous"`` (a quantity) or
            ``"vector"`` (`size` coefficients that are edited together, such as lighting).
        low, high: the range a target may lie in, in `unit`.
        unit: ``"years"``, ``"degrees"``, or empty.
        size: number of columns.
    """

    name: str
    kind: Kind
    low: float
    high: float
    unit: str = ""
    size: int = 1

    def check(self, values: Tensor) -> None:
        """Raise `OutOfRange` unless every value is finite and within [low, high]."""
        bad = ~((values >= self.low) & (values <= self.high))
        if bool(bad.any()):
            unit = f" {self.unit}" if self.unit else ""
            raise OutOfRange(
                f"attribute {self.name!r} takes values from {self.low:g} to {self.high:g}{unit}, "
                f"received {values[bad].flatten()[0].item():g}"
            )


@dataclass(frozen=True)
class AttributeSchema:
    """An ordered set of attributes; says which columns of an (N, A) tensor belong to which.

    >>> schema = AttributeSchema((Attribute("age", "continuous", 0, 70, "years"),
    ...                           Attribute("lighting", "vector", -1, 1, size=9)))
    >>> schema.width, schema.columns("lighting")
    (10, slice(1, 10, None))
    """

    attributes: tuple[Attribute, ...]

    def __post_init__(self) -> None:
        names = self.names
        if len(set(names)) != len(names):
            raise InputError(f"attribute names must differ, received {', '.join(names)}")

    def __iter__(self) -> Iterator[Attribute]:
        return iter(self.attributes)

    def __len__(self) -> int:
        return len(self.attributes)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Attribute:
        for attribute in self.attributes:
            if attribute.name == name:
                return attribute
        raise UnknownName("attribute", name, self.names)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(attribute.name for attribute in self.attributes)

    @property
    def width(self) -> int:
        """A, the number of columns."""
        return sum(attribute.size for attribute in self.attributes)

    @property
    def column_names(self) -> tuple[str, ...]:
        """One name a column; the columns of a vector are ``name_0``, ``name_1``, …"""
        return tuple(
            a.name if a.size == 1 else f"{a.name}_{i}"
            for a in self.attributes
            for i in range(a.size)
        )

    def columns(self, name: str) -> slice:
        """Which columns of an (N, A) tensor belong to the attribute `name`."""
        start = 0
        for attribute in self.attributes:
            if attribute.name == name:
                return slice(start, start + attribute.size)
            start += attribute.size
        raise UnknownName("attribute", name, self.names)

    def subset(self, names: tuple[str, ...]) -> AttributeSchema:
        return AttributeSchema(tuple(self[name] for name in names))

    def select(self, values: Tensor, names: tuple[str, ...]) -> Tensor:
        """(N, A) → (N, A'), the columns of `names`, in that order."""
        index = [i for name in names for i in range(self.width)[self.columns(name)]]
        return values[:, index]

    def changed(self, source: Tensor, **values: float | Tensor) -> Tensor:
        """A copy of `source` (N, A) with the named attributes set.

        Args:
            source: (N, A), natural units.
            values: by attribute name a number, or a tensor that broadcasts to (N, size).

        Raises:
            UnknownName: for an attribute that the schema does not have.
            OutOfRange: for a value outside its range, or not finite.
        """
        target = source.clone()
        for name, value in values.items():
            target[:, self.columns(name)] = (
                source.new_tensor(value) if isinstance(value, (int, float)) else value.to(source)
            )
            self[name].check(target[:, self.columns(name)])
        return target

    def check(self, values: Tensor) -> None:
        """Raise unless `values` is (N, A) with every column finite and within its range."""
        if values.ndim != 2 or values.shape[1] != self.width:
            raise InputError(
                f"attribute values have shape (N, {self.width}), received {tuple(values.shape)}"
            )
        for attribute in self.attributes:
            attribute.check(values[:, self.columns(attribute.name)])

    def to_json(self) -> list[dict[str, Any]]:
        return [asdict(attribute) for attribute in self.attributes]

    @classmethod
    def from_json(cls, rows: list[Mapping[str, Any]]) -> AttributeSchema:
        try:
            schema = cls(tuple(Attribute(**row) for row in rows))
        except TypeError as error:
            raise InputError(f"not an attribute schema: {error}") from None
        for attribute in schema:
            if not -math.inf < attribute.low < attribute.high < math.inf:
                raise InputError(f"attribute {attribute.name!r} has no range: {attribute}")
        return schema
