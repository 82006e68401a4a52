"""A strict JSON reader: every name once, numbers that fit, limited depth."""

from __future__ import annotations

import json
import math
from typing import Any

MAX_BYTES = 64 << 20
"""Larger records are refused before they are read. The results of 21 entrants on 8 tasks have 18
million bytes."""
_MAX_SIGNS, _BYTES_PER_SIGN = 500_000, 8
"""Signs ``, : [ {`` of any record, and bytes for each further one; results have 15 for each. Every
sign may be a value that takes 70 bytes of memory, and two bytes of the file."""
MAX_DEPTH = 100
_MAX_DIGITS = 400
"""More digits than any finite number needs."""


def strict_json(data: bytes) -> Any:
    """Plain data from JSON in UTF-8.

    Raises:
        ValueError: it is not JSON, a name occurs twice in one object, a number is not finite or
            too long, values are nested more than `MAX_DEPTH` deep, or many short ones would take
            much more memory than the file.

    >>> strict_json(b'{"a": [1, 2.5]}')
    {'a': [1, 2.5]}
    >>> strict_json(b'{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ValueError: the name 'a' occurs twice
    """
    signs = sum(map(data.count, b",:[{"))
    if signs > _MAX_SIGNS + len(data) // _BYTES_PER_SIGN:
        raise ValueError(f"{len(data):,} bytes hold up to {signs:,} values, too many for its size")
    try:
        found = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_short,
        )
    except RecursionError:
        raise ValueError(f"values are nested more than {MAX_DEPTH} deep") from None
    _check_depth(found)
    return found


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"values are nested more than {MAX_DEPTH} deep")
        lists = (part.values() if isinstance(part, dict) else part for part in level
                 if isinstance(part, dict | list))  # fmt: skip
        level = [part for parts in lists for part in parts if isinstance(part, dict | list)]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice[:80]!r} occurs twice")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:20]}… is too large")
    return number


def _short(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"the number {text[:20]}… has {len(text)} digits")
    number = int(text)
    # A field that takes any number takes it as a float, too.
    _ = _finite(text)
    return number
