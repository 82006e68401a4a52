"""Files of ``torch.save`` before version 1.6, also found inside other pickles:

magic number, protocol version, machine facts, the value, the keys of its storages (five pickles in
a row), then for each storage its element count (8 bytes) and its numbers.
"""

from __future__ import annotations

from latentedit.weights.checkpoint import CALLS, NAMES, NEWS
from latentedit.weights.nodes import Storage, Value
from latentedit.weights.objects import UPDATES
from latentedit.weights.opcodes import Machine, Vocabulary
from latentedit.weights.source import Cursor, Span
from latentedit.weights.tensors import STORAGES, bind, storage_of

MAGIC = 0x1950A86A20F9469CFC6C
HEADER = b"\x80\x02\x8a\x0a" + MAGIC.to_bytes(10, "little") + b"."
LEGACY_PROTOCOL = 1001

_PLAIN = Vocabulary(frozenset(), {})


def read_legacy(span: Span, names: frozenset[str] = NAMES) -> Value:
    """The value of `span`, a complete legacy file.

    Args:
        names: accepted names: all of `NAMES` for a file, only storages for a nested one.
    """
    cursor = Cursor(span)
    _read_header(cursor)
    storages: dict[str, Storage] = {}

    def persistent(machine: Machine, identifier: Value) -> Storage:
        key, dtype, count = storage_of(machine, identifier)
        if key not in storages:
            storages[key] = Storage(dtype, count, None)
        if storages[key].dtype != dtype or storages[key].count != count:
            machine.refuse("a storage is claimed with two types or sizes")
        return storages[key]

    value = Machine(cursor, Vocabulary(names, CALLS, NEWS, UPDATES, persistent)).run()
    _read_storages(cursor, storages)
    return value


def read_storage(span: Span) -> Storage:
    """The single storage in the bytes that a file passes to `torch.storage._load_from_bytes`."""
    value = read_legacy(span, frozenset(STORAGES))
    if not isinstance(value, Storage):
        span.source.refuse(span.start, "nested bytes hold something that is no storage")
    return value


def _read_header(cursor: Cursor) -> None:
    start = cursor.at
    header: list[Value] = [Machine(cursor, _PLAIN).run() for _ in range(3)]
    magic, protocol, facts = header
    if type(magic) is not int or magic != MAGIC:
        cursor.source.refuse(start, "it does not begin as PyTorch's files do")
    if type(protocol) is not int or protocol != LEGACY_PROTOCOL:
        cursor.source.refuse(start, "it has a protocol of PyTorch other than 1001")
    if type(facts) is not dict or facts.get("little_endian") is not True:
        cursor.source.refuse(start, "its numbers are not little-endian")


def _read_storages(cursor: Cursor, storages: dict[str, Storage]) -> None:
    start = cursor.at
    keys = Machine(cursor, _PLAIN).run()
    if type(keys) is not list or not all(type(key) is str for key in keys):
        cursor.source.refuse(start, "the list of storages is not one of keys")
    if len(keys) != len(storages) or set(keys) != set(storages):
        cursor.source.refuse(start, "the storages listed are not those that the tensors name")
    for key in keys:
        start = cursor.at
        storage = storages[key]
        if cursor.unsigned(8) != storage.count:
            cursor.source.refuse(start, "a storage has another length than its tensors say")
        bind(storage, cursor.take(storage.count * storage.dtype.itemsize))
    if not cursor.done:
        cursor.source.refuse(cursor.at, "there is more after the last storage")
