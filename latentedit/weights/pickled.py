"""Networks in a bare pickle, written with PyTorch or with TensorFlow."""

from __future__ import annotations

from latentedit.weights.arrays import ARRAY_CALLS, ARRAY_UPDATES
from latentedit.weights.legacy import read_storage
from latentedit.weights.nodes import Storage, Value
from latentedit.weights.objects import (
    DICTIONARY_CALLS,
    UPDATES,
    dictionary,
    empty_object,
    network_node,
)
from latentedit.weights.opcodes import Machine, Vocabulary
from latentedit.weights.source import Cursor, Source, Span
from latentedit.weights.tensors import TENSOR_CALLS

TENSORFLOW = "dnnlib.tflib.network.Network"


def nested_storage(machine: Machine, arguments: tuple[Value, ...]) -> Storage:
    """``_load_from_bytes(bytes)`` → the storage in the bytes, read by the same rules.

    Nested bytes may name storages only. They cannot contain another such call, so nesting ends.
    """
    if len(arguments) != 1 or not isinstance(arguments[0], Span):
        machine.refuse("nested bytes are no bytes")
    return read_storage(arguments[0])


_CALLS = {
    **DICTIONARY_CALLS,
    **ARRAY_CALLS,
    **TENSOR_CALLS,
    "torch.storage._load_from_bytes": nested_storage,
    "torch_utils.persistence._reconstruct_persistent_obj": network_node,
}
_NEWS = {
    "collections.OrderedDict": dictionary,
    "dnnlib.util.EasyDict": dictionary,
    TENSORFLOW: empty_object(TENSORFLOW),
}
NAMES = frozenset([*_CALLS, *_NEWS, "numpy.ndarray"])
_VOCABULARY = Vocabulary(NAMES, _CALLS, _NEWS, {**UPDATES, **ARRAY_UPDATES})


def read_pickle(source: Source) -> Value:
    """The value of a file that is a single pickle."""
    cursor = Cursor(source.whole())
    value = Machine(cursor, _VOCABULARY).run()
    if not cursor.done:
        source.refuse(cursor.at, "there is more after the end of the pickle")
    return value
