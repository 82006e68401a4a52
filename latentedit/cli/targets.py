"""Parsers of faces and of target values on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from latentedit.cli.fit import parse_pairs
from latentedit.data.attributes import Attribute, AttributeSchema
from latentedit.errors import InputError


@dataclass(frozen=True)
class AttributeTarget:
    """A target of one edit: `values` (size,) or (N, size) for the attribute `name`."""

    name: str
    values: Tensor
    title: str

    def target(self, schema: AttributeSchema, source: Tensor, amount: float) -> Tensor:
        """`source` (N, A) with the attribute moved towards `values` by the share `amount`."""
        now = source[:, schema.columns(self.name)]
        return schema.changed(source, **{self.name: torch.lerp(now, self.values.to(now), amount)})


def parse_rows(text: str, count: int, option: str) -> list[int]:
    """``"0..2,7"`` → ``[0, 1, 2, 7]``; raises `InputError` unless all are in ``[0, count)``.

    >>> parse_rows("0..2,7", 10, "--index")
    [0, 1, 2, 7]
    """
    rows: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:\.\.(\d+))?\s*", part)
        if match is None:
            raise InputError(
                f"{option} takes a number, a range like 0..7 or a list like 1,4; received {text!r}"
            )
        first = int(match[1])
        last = int(match[2]) if match[2] else first
        if not first <= last < count:
            raise InputError(f"{option} ranges from 0 to {count - 1}, received {part.strip()!r}")
        rows.extend(range(first, last + 1))
    return rows


def parse_settings(pairs: tuple[str, ...], schema: AttributeSchema) -> list[AttributeTarget]:
    """Targets of ``NAME=VALUE`` pairs, checked against the schema."""
    return [_setting(schema[name], value) for name, value in _each(pairs)]


def parse_transfers(
    pairs: tuple[str, ...], schema: AttributeSchema, values: Tensor
) -> list[AttributeTarget]:
    """Targets of ``NAME=FACE`` pairs, copied from the values (N, A) of N faces."""
    settings = []
    for name, face in _each(pairs):
        (row,) = parse_rows(str(face), len(values), "--transfer") if "." not in str(face) else (-1,)
        if row < 0:
            raise InputError(f"--transfer takes one face, as in {name}=12, received {face!r}")
        columns = schema.columns(schema[name].name)
        settings.append(AttributeTarget(name, values[row, columns], f"{name} of face {row}"))
    return settings


def _each(pairs: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """The parsed pairs in order; an attribute may occur twice, so this is not a dictionary."""
    for pair in pairs:
        yield from parse_pairs((pair,)).items()


def _setting(attribute: Attribute, value: Any) -> AttributeTarget:
    if isinstance(value, str) and attribute.named:
        return AttributeTarget(attribute.name, attribute.value(value), value)
    try:
        numbers = torch.tensor(value, dtype=torch.float32).reshape(-1)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"{attribute.name} takes {_kind(attribute)}, received {value!r}") from None
    if len(numbers) not in (1, attribute.size):
        raise InputError(f"{attribute.name} takes {_kind(attribute)}, received {len(numbers)}")
    attribute.check(numbers)
    title = f"{attribute.name} = {float(numbers):g}" if len(numbers) == 1 else attribute.name
    return AttributeTarget(attribute.name, numbers, title)


def _kind(attribute: Attribute) -> str:
    numbers = "a number" if attribute.size == 1 else f"{attribute.size} numbers"
    return f"{numbers}, or one of {', '.join(attribute.named)}" if attribute.named else numbers
