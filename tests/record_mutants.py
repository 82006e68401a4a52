"""Mutants of JSON records and of safetensors headers that keep most of their structure."""

from __future__ import annotations

import copy
import json
import random
import struct
from collections.abc import Callable, Iterator
from typing import Any

BAD: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, 1e308, -0.0, 0.5, "", "x" * 5000, "a\0b",
    "[red]", "[/red]", "../../etc/passwd", "/dev/zero", "\ud800", "é" * 90, [], {}, [[]], [None],
    {"a": {"b": [1]}}, ["a", 1, None], {"": 1}, {"name": "x"}, "nan", "1", [0.5] * 9,
]  # fmt: skip
TEXTS = [
    "NaN", "Infinity", "-Infinity", "1e999", "9" * 500, "1" + "0" * 400, "[" * 5000,
    "[" * 99 + "]" * 99, '{"a":1,"a":2}', "\u0000", "0x10", "'a'", "// x", "1.", "\ufeff",
]  # fmt: skip


def json_mutants(record: Any, seed: int) -> Iterator[bytes]:
    """Records that differ in a few places; the text of one in four is damaged too."""
    rng = random.Random(seed)
    whole = json.dumps(record)
    while True:
        if rng.random() < 0.25:
            yield _damaged(whole, rng)
            continue
        changed = copy.deepcopy(record)
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            changed = _changed(changed, rng)
        yield json.dumps(changed).encode()


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _places(part, (*path, name))
    elif isinstance(value, list):
        for i, part in enumerate(value):
            yield from _places(part, (*path, i))


def _changed(record: Any, rng: random.Random) -> Any:
    """`record` with one value replaced, removed, added, repeated or exchanged."""
    places = list(_places(record))
    path = rng.choice(places)
    if not path:
        return rng.choice(BAD) if rng.random() < 0.2 else record
    parent = record
    for part in path[:-1]:
        parent = parent[part]
    how: Callable[[], Any] = rng.choice(
        (
            lambda: parent.__setitem__(path[-1], copy.deepcopy(rng.choice(BAD))),
            lambda: parent.__delitem__(path[-1]),
            lambda: _add(parent, rng),
            lambda: parent.__setitem__(path[-1], _other_kind(parent[path[-1]])),
            lambda: parent.__setitem__(path[-1], _at(record, rng.choice(places))),
        )
    )
    how()
    return record


def _add(parent: Any, rng: random.Random) -> None:
    value = copy.deepcopy(rng.choice(BAD))
    if isinstance(parent, dict):
        parent[rng.choice(("more", "", "a\0", "sha256", "name", "x" * 300))] = value
    else:
        parent.insert(rng.randrange(len(parent) + 1), value)


def _other_kind(value: Any) -> Any:
    """A list for an object, a text for a number, and the like."""
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list):
        return dict(enumerate(value))
    return [value] if isinstance(value, bool) or value is None else str(value)


def _at(record: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        record = record[part]
    return copy.deepcopy(record)


def _damaged(text: str, rng: random.Random) -> bytes:
    data = text.encode()
    at = rng.randrange(len(data) + 1)
    length = rng.choice((0, 1, 1, 3, 20))
    piece = rng.choice((b"", b"", bytes([rng.randrange(256)]), rng.choice(TEXTS).encode()))
    return data[:at] + piece + data[at + length :]


def header_mutants(data: bytes, seed: int) -> Iterator[bytes]:
    """Safetensors files whose header, its length, or size differ from `data`."""
    rng = random.Random(seed)
    length = int.from_bytes(data[:8], "little")
    header, numbers = json.loads(data[8 : 8 + length]), data[8 + length :]
    records = json_mutants(header, seed + 1)
    while True:
        if rng.random() < 0.5:
            text = next(records)
        else:
            changed = copy.deepcopy(header)
            entry = changed[rng.choice([name for name in changed if name != "__metadata__"])]
            field = rng.choice(("shape", "data_offsets", "dtype"))
            odd = (0, 1, 3, 4, 7, 8, 2**31, 2**62, 2**63, 2**64, -1, 10**400, 1.0, "4")
            if field == "dtype":
                entry[field] = rng.choice(("F32", "F16", "F64", "BOOL", "F4", "", 4, None))
            elif entry[field] and rng.random() < 0.7:
                entry[field][rng.randrange(len(entry[field]))] = rng.choice(odd)
            else:
                entry[field] = rng.choice(([], [0], [0, 2**62, 2**62], [1] * 70, {}, "ab", None))
            text = json.dumps(changed).encode()
        stated = rng.choice((len(text),) * 6 + (0, 7, len(text) + 1, 2**40, 2**63))
        rest = rng.choice((numbers,) * 4 + (numbers[:-1], numbers + b"\0", b""))
        yield struct.pack("<Q", stated) + text + rest
