"""The bytes of one file, with cursors, and limits on the cost of reading."""

from __future__ import annotations

import hashlib
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from latentedit.errors import EnvironmentFault, InputError
from latentedit.files.regular import file_size, opened
from latentedit.weights.refusal import CONVERT, RefusedFile

MAX_FILE = 8 << 30
MAX_OPCODES = 500_000
"""A 1024-pixel network with its discriminator takes about 70,000. Half a million take less than a
second."""
MAX_MEMO = 500_000
MAX_STACK = 500_000
MAX_DEPTH = 1_000
MAX_TEXT = 1 << 20
"""Limit on one string, in bytes."""
MAX_LINE = 4_096
"""Limit on one line of a text opcode, in bytes."""
MAX_BUILT = 16 << 20
"""Limit on the Python objects of one file, in bytes. Tensors are views of the file and are free: a
1024-pixel network with its discriminator takes 2 MiB."""


class Source:
    """The bytes of a file, with one budget for everything read from it.

    Args:
        path: for messages.
        data: the whole file.
    """

    def __init__(self, path: Path, data: bytes | mmap.mmap) -> None:
        self.path, self.data, self.view = path, data, memoryview(data)
        self.opcodes = self.built = 0
        self._texts: dict[str, str] = {}

    @classmethod
    def open(cls, path: str | Path) -> Source:
        """Map a file into memory: only the parts that are looked at are read.

        Raises:
            InputError: there is no such regular file, or it is too large.
            EnvironmentFault: it cannot be read.
        """
        path = Path(path)
        with opened(path) as file:
            size = file_size(file)
            if size > MAX_FILE:
                raise InputError(f"{path} has {size} bytes; weight files up to {MAX_FILE} are read")
            try:
                # An empty file cannot be mapped.
                return cls(
                    path, mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else b""
                )
            except MemoryError:
                raise EnvironmentFault(f"{path} does not fit into memory; free some") from None

    def __len__(self) -> int:
        return len(self.view)

    def refuse(self, offset: int, what: str, remedy: str = CONVERT) -> NoReturn:
        raise RefusedFile(self.path, offset, what, remedy)

    def charge(self, size: int, offset: int) -> None:
        """Add `size` bytes to the budget of Python objects; refuse the file if it is exceeded."""
        self.built += size
        if self.built > MAX_BUILT:
            self.refuse(offset, f"it builds more than {MAX_BUILT >> 20} MiB of objects")

    def count_opcode(self, offset: int) -> None:
        self.opcodes += 1
        if self.opcodes > MAX_OPCODES:
            self.refuse(offset, f"it has more than {MAX_OPCODES:,} opcodes")

    def text_digest(self, text: str) -> str:
        """SHA-256 of a text of the file. A file may repeat one text often; it is hashed once."""
        if text not in self._texts:
            data = text.encode("utf-8", "surrogatepass")
            self._texts[text] = hashlib.sha256(data).hexdigest()
        return self._texts[text]

    def whole(self) -> Span:
        return Span(self, 0, len(self))


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """The bytes from `start` to `end` of a file, without a copy."""

    source: Source
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    @property
    def view(self) -> memoryview:
        return self.source.view[self.start : self.end]

    def part(self, start: int, end: int) -> Span:
        """The bytes from `start` to `end` of this span."""
        return Span(self.source, self.start + start, self.start + end)


class Cursor:
    """Reads a span from its start, and refuses to read past its end."""

    def __init__(self, span: Span) -> None:
        self.source, self.at, self.end = span.source, span.start, span.end

    def take(self, count: int) -> Span:
        if count < 0 or count > self.end - self.at:
            self.source.refuse(
                self.at, f"{count} bytes are claimed where {self.end - self.at} are left"
            )
        self.at += count
        return Span(self.source, self.at - count, self.at)

    def byte(self) -> int:
        if self.at >= self.end:
            self.source.refuse(self.at, "it ends in the middle")
        self.at += 1
        return self.source.view[self.at - 1]

    def unsigned(self, count: int) -> int:
        return int.from_bytes(self.take(count).view, "little")

    def signed(self, count: int) -> int:
        return int.from_bytes(self.take(count).view, "little", signed=True)

    def big_endian_float(self) -> float:
        value: float = struct.unpack(">d", self.take(8).view)[0]
        return value

    def line(self) -> str:
        """Text up to the next newline, which is read too."""
        end = self.source.data.find(b"\n", self.at, min(self.at + MAX_LINE, self.end))
        if end < 0:
            self.source.refuse(self.at, f"a line of text has no end within {MAX_LINE} bytes")
        text = self.text(end - self.at)
        self.at += 1
        return text

    def text(self, length: int) -> str:
        """`length` bytes of UTF-8."""
        if length > MAX_TEXT:
            self.source.refuse(self.at, f"a string claims {length} bytes, more than {MAX_TEXT}")
        start = self.at
        try:
            # Python 2 pickles contain lone surrogates; strict UTF-8 would refuse them.
            return str(self.take(length).view, "utf-8", "surrogatepass")
        except UnicodeDecodeError:
            self.source.refuse(start, "a string is not UTF-8")

    @property
    def done(self) -> bool:
        return self.at == self.end
