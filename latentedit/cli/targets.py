"""Parsers of images and of target values on the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from latentedit.data.attributes import Attribute, AttributeSchema
from latentedit.errors import InputError, OutOfRange
from latentedit.files.strict_yaml import read_yaml


@dataclass(frozen=True)
class AttributeTarget:
    """A target of one edit of the attribute `name`.

    Args:
        values: (size,) or (N, size), natural units.
        relative: whether `values` are added to the current ones.
    """

    name: str
    values: Tensor
    title: str
    relative: bool = False

    def target(self, schema: AttributeSchema, source: Tensor, amount: float) -> Tensor:
        """`source` (N, A) with the attribute moved towards the target by the share `amount`.

        Raises:
            OutOfRange: a target is outside the attribute's range.
        """
        now = source[:, schema.columns(self.name)]
        values = self.values.to(now)
        ends = now + values if self.relative else values.expand_as(now)
        try:
            return schema.changed(source, **{self.name: torch.lerp(now, ends, amount)})
        except OutOfRange as error:
            if not self.relative:
                raise
            raise OutOfRange(
                f"{self.title}: {error}; choose a smaller change or other images"
            ) from None


def parse_rows(text: str, count: int, option: str) -> list[int]:
    """``"0..2,7"`` → ``[0, 1, 2, 7]``; raises `InputError` unless all are in ``[0, count)``.

    >>> parse_rows("0..2,7", 10, "--index")
    [0, 1, 2, 7]
    """
    rows: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,9})(?:\.\.([0-9]{1,9}))?\s*", part)
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
    """Targets of ``NAME=VALUE``, ``NAME+=VALUE`` and ``NAME-=VALUE``, checked against the schema.

    An attribute may occur more than once; edits are done in order.
    """
    return [_setting(schema, *_parts(pair)) for pair in pairs]


def parse_transfers(
    pairs: tuple[str, ...], schema: AttributeSchema, values: Tensor, one: str
) -> list[AttributeTarget]:
    """Targets of ``NAME=ROW`` pairs, copied from the values (N, A) of N images.

    Args:
        one: what an image shows.
    """
    settings = []
    for name, sign, text in map(_parts, pairs):
        if sign or not re.fullmatch(r"[0-9]{1,9}", text):
            raise InputError(f"--transfer takes one row, as in {name}=12, received {text!r}")
        (row,) = parse_rows(text, len(values), "--transfer")
        columns = schema.columns(schema[name].name)
        settings.append(AttributeTarget(name, values[row, columns], f"{name} of {one} {row}"))
    return settings


def _parts(pair: str) -> tuple[str, str, str]:
    """``"age+=20"`` → ``("age", "+", "20")``; the sign of ``"age=20"`` is empty."""
    name, found, value = pair.partition("=")
    sign = name[-1:] if name[-1:] in ("+", "-") else ""
    name = name.removesuffix(sign).strip()
    if not found or not name:
        raise InputError(f"write NAME=VALUE, or NAME+=VALUE for a change, received {pair!r}")
    return name, sign, value.strip()


def _setting(schema: AttributeSchema, name: str, sign: str, text: str) -> AttributeTarget:
    attribute = schema[name]
    if text in attribute.named and not sign:
        return AttributeTarget(name, attribute.value(text), text)
    if text.startswith("+"):
        raise InputError(f"write {name}+={text[1:]} for a change, or {name}={text[1:]} for a value")
    numbers = _numbers(attribute, text)
    title = f"{name} = {float(numbers):g}" if len(numbers) == 1 else name
    if not sign:
        attribute.check(numbers)
        return AttributeTarget(name, numbers, title)
    if not bool(numbers.isfinite().all()):
        raise InputError(f"{name} takes finite numbers, received {text!r}")
    title = f"{name} {sign} {float(numbers):g}" if len(numbers) == 1 else f"{name} {sign} …"
    return AttributeTarget(name, numbers if sign == "+" else -numbers, title, relative=True)


def _numbers(attribute: Attribute, text: str) -> Tensor:
    """The number or list of numbers in `text`, decimal, as (1,) or (size,)."""
    value = read_yaml(text, attribute.name)
    if isinstance(value, str) and attribute.named:
        return attribute.value(value)
    numbers = value if isinstance(value, list) else [value]
    if not all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in numbers):
        raise InputError(f"{attribute.name} takes {_kind(attribute)}, received {text!r}")
    if len(numbers) not in (1, attribute.size):
        raise InputError(f"{attribute.name} takes {_kind(attribute)}, received {len(numbers)}")
    return torch.tensor(numbers, dtype=torch.float64).float()


def _kind(attribute: Attribute) -> str:
    numbers = "a number" if attribute.size == 1 else f"{attribute.size} numbers"
    return f"{numbers}, or one of {', '.join(attribute.named)}" if attribute.named else numbers
