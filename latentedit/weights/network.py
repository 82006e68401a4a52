"""Entry points of the reader: detection of a file's format, and reading."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NoReturn

from latentedit.weights.checkpoint import read_checkpoint
from latentedit.weights.legacy import HEADER, read_legacy
from latentedit.weights.nodes import Array, InertArray, InertObject, InertTensor, Value
from latentedit.weights.pickled import TENSORFLOW, read_pickle
from latentedit.weights.source import Source

MAX_EXPANSION, EXPANSION_ROOM = 2, 8 << 20
MAX_TENSORS = 20_000
"""Limit on the entries of a state dict."""

Format = Literal["pickle", "tensorflow", "pytorch-zip", "pytorch-legacy"]

_OTHER = {
    b"\x89HDF": "an HDF5 file",
    b"\x93NUM": "a numpy array, which holds no network",
    b"\x1f\x8b": "a gzip file; unpack it first",
    b"BZh": "a bzip2 file; unpack it first",
    b"\xfd7zXZ": "an xz file; unpack it first",
    b"<!DO": "a web page; the download was answered with a notice",
    b"<htm": "a web page; the download was answered with a notice",
}


@dataclass(frozen=True, eq=False, repr=False)
class NetworkFile:
    """A weight file as plain data.

    Args:
        source: its bytes.
        format: how it is written.
        tree: its value; tensors are `InertTensor`, pickled networks `InertObject`.
    """

    source: Source
    format: Format
    tree: Value

    @property
    def path(self) -> Path:
        return self.source.path

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return len(self.source)

    @cached_property
    def sha256(self) -> str:
        """Of the whole file; computed on first use, since most refused files need none."""
        return hashlib.sha256(self.source.view).hexdigest()

    def check_expansion(self, made: int) -> None:
        """Refuse the file if `made` bytes of weights come from it, far more than it has.

        Tensors may share their numbers, so their sum can exceed the file. 16-bit numbers that
        become 32-bit ones double it.
        """
        if made > MAX_EXPANSION * self.size + EXPANSION_ROOM:
            self.refuse(
                f"{made:,} bytes of weights would come from a file of {self.size:,}",
                "Its tensors share their numbers: save each with numbers of its own",
            )

    def refuse(self, what: str, remedy: str) -> NoReturn:
        """Raise `RefusedFile` for a file that was read but cannot be used."""
        self.source.refuse(0, what, remedy)


def read_network(path: str | Path) -> NetworkFile:
    """Read a pickled network or a weight file of PyTorch, without executing anything from it.

    Raises:
        RefusedFile: it is damaged, hostile, or of another kind; names the byte.
        InputError: there is no such file.
    """
    source = Source.open(path)
    kind, tree = _read(source)
    return NetworkFile(source, kind, tree)


def read_state_dict(path: str | Path) -> dict[str, Array]:
    """Read a plain state dict by ``torch.save``: read-only arrays by name.

    Raises:
        RefusedFile: as `read_network`; also where the file holds something else.
    """
    found = read_network(path)
    if type(found.tree) is not dict:
        found.refuse("it holds no dictionary of tensors", "Give a file with a plain state dict")
    if len(found.tree) > MAX_TENSORS:
        found.refuse(
            f"it holds {len(found.tree):,} entries, more than {MAX_TENSORS:,}",
            "Give a file with a plain state dict",
        )
    arrays = {str(name): array(found, name, value) for name, value in found.tree.items()}
    found.check_expansion(sum(array.nbytes for array in arrays.values()))
    return arrays


def array(found: NetworkFile, name: str | int, value: Value) -> Array:
    """The numbers of an inert tensor or array."""
    if isinstance(value, InertTensor):
        return value.array()
    if not isinstance(value, InertArray) or value.content is None:
        found.refuse(
            f"its entry {str(name)[:80]!r} is no tensor but {type(value).__name__}",
            "Give a file with a plain state dict",
        )
    return value.content


def _read(source: Source) -> tuple[Format, Value]:
    head = bytes(source.view[:300])
    if head.startswith(b"PK\x03\x04"):
        return "pytorch-zip", read_checkpoint(source)
    if head.startswith(HEADER):
        return "pytorch-legacy", read_legacy(source.whole())
    if head[:1] == b"\x80" and len(head) > 1 and head[1] in range(2, 6):
        tree = read_pickle(source)
        return ("tensorflow" if _is_tensorflow(tree) else "pickle"), tree
    return source.refuse(
        0, f"it is {_guess(head)}", "Give a pickled network (.pkl) or a .pt or .pth of PyTorch"
    )


def _is_tensorflow(tree: Value) -> bool:
    return type(tree) is tuple and any(
        isinstance(part, InertObject) and part.class_name == TENSORFLOW for part in tree
    )


def _guess(head: bytes) -> str:
    if head[257:262] == b"ustar":
        return "a tar archive"
    if head[8:9] == b"{":
        return "a safetensors file, which needs no import, or something else"
    for magic, name in _OTHER.items():
        if head.startswith(magic):
            return name
    return "no weight file that is read" if head else "empty"
