"""Files of ``torch.save`` since version 1.6: a zip file with one pickle and its storages."""

from __future__ import annotations

import re

from latentedit.weights.archive import Archive
from latentedit.weights.nodes import Storage, Value
from latentedit.weights.objects import UPDATES, dictionary, empty_object
from latentedit.weights.opcodes import Machine, Vocabulary
from latentedit.weights.source import Cursor, Source
from latentedit.weights.tensors import STORAGES, TENSOR_CALLS, bind, storage_of

CALLS = {"collections.OrderedDict": dictionary, **TENSOR_CALLS}
NEWS = {"argparse.Namespace": empty_object("argparse.Namespace")}
NAMES = frozenset([*CALLS, *NEWS, *STORAGES])


def read_checkpoint(source: Source) -> Value:
    """The value of a zip file's ``data.pkl``."""
    archive = Archive(source)
    pickles = [name for name in archive.names if re.fullmatch(r"[^/]+/data\.pkl", name)]
    if len(pickles) != 1:
        source.refuse(0, "a zip file, but not one of PyTorch: it has no single data.pkl")
    prefix = pickles[0].removesuffix("data.pkl")
    if f"{prefix}constants.pkl" in archive:
        source.refuse(0, "a TorchScript program, not a file of weights")
    if f"{prefix}byteorder" in archive:
        order = archive.read(f"{prefix}byteorder")
        if bytes(order.view[:8]) != b"little":
            source.refuse(order.start, "its numbers are not little-endian")
    storages: dict[str, Storage] = {}

    def persistent(machine: Machine, identifier: Value) -> Storage:
        key, dtype, count = storage_of(machine, identifier)
        if not re.fullmatch(r"[0-9]{1,9}", key):
            machine.refuse("a storage's key is no number")
        if key not in storages:
            data = archive.read(f"{prefix}data/{key}", machine.opcode_at)
            storages[key] = bind(Storage(dtype, count, None), data)
        if storages[key].dtype != dtype or storages[key].count != count:
            machine.refuse(f"storage {key} is claimed with two types or sizes")
        return storages[key]

    data = archive.read(pickles[0])
    cursor = Cursor(data)
    value = Machine(cursor, Vocabulary(NAMES, CALLS, NEWS, UPDATES, persistent)).run()
    if not cursor.done:
        source.refuse(cursor.at, "there is more in data.pkl after its end")
    return value
