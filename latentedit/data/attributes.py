"""Attributes and attribute schemas: the columns of every (N, A) tensor."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from latentedit.errors import InputError, OutOfRange, UnknownName

if TYPE_CHECKING:
    from torch import Tensor

AttributeKind = Literal["binary", "continuous", "vector"]


@dataclass(frozen=True)
class Attribute:
    """One named property of an image, in natural units.

    Args:
        name: as users write it, for instance ``"age"``.
        kind: ``"binary"`` (a degree from absent to present), ``"continuous"`` (a quantity) or
            ``"vector"`` (`size` coefficients that are edited together, such as lighting).
        low, high: the range a target may lie in, in `unit`.
        unit: ``"years"``, ``"degrees"``, ``"σ"`` for standard deviations in a set of images, or
            empty.
        size: number of columns.
        named: values with a name, `size` numbers each, such as ``{"female": (0.0,)}``. Equality of
            attributes ignores the names, so that a judge without them fits a bank with them.

    Raises:
        InputError: a named value is not `size` numbers within the range.
    """

    name: str
    kind: AttributeKind
    low: float
    high: float
    unit: str = ""
    size: int = 1
    named: Mapping[str, tuple[float, ...]] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.named, Mapping):
            raise InputError(
                f"named values of {self.name!r} must map names to numbers, received {self.named!r}"
            )
        checked = {name: self._checked(name, value) for name, value in self.named.items()}
        object.__setattr__(self, "named", checked)  # the dataclass is frozen

    def _checked(self, name: object, value: Any) -> tuple[float, ...]:
        numbers = tuple(value) if isinstance(value, (list, tuple)) else ()
        plain = all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in numbers)
        if not (
            isinstance(name, str)
            and name
            and plain
            and len(numbers) == self.size
            and all(self.low <= number <= self.high for number in numbers)
        ):
            raise InputError(
                f"the value {name!r} of {self.name!r} must be a list of {self.size} numbers from "
                f"{self.low} to {self.high}, received {value!r}"
            )
        return tuple(float(number) for number in numbers)

    def value(self, name: str) -> Tensor:
        """The value named `name`, of shape (size,).

        >>> Attribute("gender", "binary", 0, 1, named={"female": (0,), "male": (1,)}).value("male")
        tensor([1.])

        Raises:
            UnknownName: there is no such value.
        """
        if name not in self.named:
            raise UnknownName(f"value of {self.name!r}", name, self.named)
        import torch

        return torch.tensor(self.named[name], dtype=torch.float32)

    def broadcast(self, value: Any, like: Tensor) -> Tensor:
        """`value` as a tensor that broadcasts to `like` (N, size).

        Raises:
            InputError: it is no number, list, array or tensor of numbers, or has another shape.
        """
        import torch

        try:
            numbers = torch.as_tensor(value).to(like)
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"attribute {self.name!r} takes numbers, received {str(value)[:80]}: {error}"
            ) from None
        if self.size == 1 and numbers.shape == like.shape[:1]:
            numbers = numbers[:, None]  # one number for each image
        try:
            return numbers.broadcast_to(like.shape)
        except RuntimeError:
            raise InputError(
                f"attribute {self.name!r} takes a number, or the shape {tuple(like.shape)}, "
                f"received {tuple(numbers.shape)}"
            ) from None

    def check(self, values: Tensor) -> None:
        """Raise `OutOfRange` unless every value is finite and within [low, high]."""
        bad = ~((values >= self.low) & (values <= self.high))  # also true for NaN
        if bool(bad.any()):
            unit = f" {self.unit}" if self.unit else ""
            raise OutOfRange(
                f"attribute {self.name!r} takes values from {self.low:g} to {self.high:g}{unit}, "
                f"received {values[bad].flatten()[0].item():g}"
            )


@dataclass(frozen=True)
class AttributeSchema:
    """An ordered set of attributes, which assigns them to the columns of an (N, A) tensor.

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
        """One name per column; the columns of a vector are ``name_0``, ``name_1``, …"""
        return tuple(
            a.name if a.size == 1 else f"{a.name}_{i}"
            for a in self.attributes
            for i in range(a.size)
        )

    def columns(self, name: str) -> slice:
        """The columns of the attribute `name` in an (N, A) tensor."""
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

    def changing(self, source: Tensor, target: Tensor) -> tuple[str, ...]:
        """Names of the attributes whose columns differ between source and target (N, A)."""
        import torch

        return tuple(
            name
            for name in self.names
            if not torch.equal(source[:, self.columns(name)], target[:, self.columns(name)])
        )

    def changed(self, source: Tensor, **values: Any) -> Tensor:
        """A copy of `source` (N, A) with the named attributes set.

        Args:
            source: (N, A), natural units.
            values: for each attribute a number, the name of a value, or a list, array or tensor of
                shape (size,), (N, size), or (N,) if `size` is 1.

        Raises:
            UnknownName: the schema has no such attribute, or the attribute no such named value.
            OutOfRange: a value is outside its range or not finite.
            InputError: a value is no number, or has another shape.
        """
        # Integer attributes would cut 50.7 to 50.
        target = source.clone() if source.is_floating_point() else source.float()
        for name, value in values.items():
            given = self[name].value(value) if isinstance(value, str) else value
            columns = target[:, self.columns(name)]
            columns[:] = self[name].broadcast(given, columns)
            self[name].check(columns)
        return target

    def check(self, values: Tensor) -> None:
        """Raise unless `values` is (N, A) with every column finite and within its range."""
        if values.ndim != 2 or values.shape[1] != self.width:
            raise InputError(
                f"attribute values have shape (N, {self.width}), received {tuple(values.shape)}"
            )
        for attribute in self.attributes:
            attribute.check(values[:, self.columns(attribute.name)])

    def to_json(self, *, named: bool = True) -> list[dict[str, Any]]:
        """Plain rows, one per attribute.

        Args:
            named: whether to include named values. Hashes exclude them, since they change no
                result.
        """
        return [_row(attribute, named) for attribute in self.attributes]

    @classmethod
    def from_json(cls, rows: list[Mapping[str, Any]]) -> AttributeSchema:
        try:
            schema = cls(tuple(Attribute(**row) for row in rows))
        except TypeError as error:
            raise InputError(f"not an attribute schema: {error}") from None
        for attribute in schema:
            if not -math.inf < attribute.low < attribute.high < math.inf:
                raise InputError(
                    f"attribute {attribute.name!r} needs finite low < high, received {attribute}"
                )
        return schema


def _row(attribute: Attribute, named: bool) -> dict[str, Any]:
    row = asdict(attribute)
    names = row.pop("named")
    return row | {"named": names} if names and named else row
