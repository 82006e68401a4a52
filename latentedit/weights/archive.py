"""Members of zip files, by exact name and without decompression.

PyTorch stores members uncompressed. Compressed members are refused, so no "zip bomb" can expand.
Layouts: APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16 and 4.5.3.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from latentedit.weights.source import Cursor, Source, Span

MAX_MEMBERS = 20_000
_END, _END64, _LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_ENTRY, _LOCAL = b"PK\x01\x02", b"PK\x03\x04"
_UNSET2, _UNSET4 = 0xFFFF, 0xFFFF_FFFF


@dataclass(frozen=True)
class _Directory:
    members: int
    size: int
    offset: int


@dataclass(frozen=True)
class _Entry:
    name: str
    crc: int
    size: int
    header: int


class Archive:
    """The members of a zip file, each checked against its CRC when it is read."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._entries = {entry.name: entry for entry in _entries(source, _directory(source))}

    @property
    def names(self) -> list[str]:
        return list(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def read(self, name: str, offset: int = 0) -> Span:
        """The bytes of the member `name`.

        Args:
            offset: where the file refers to it, for the message if it is missing.
        """
        if name not in self._entries:
            self.source.refuse(offset, f"the archive has no member {name[:80]!r}")
        entry = self._entries[name]
        data = _content(self.source, entry)
        if zlib.crc32(data.view) != entry.crc:
            self.source.refuse(data.start, f"the CRC of member {name[:80]!r} does not match")
        return data


def _directory(source: Source) -> _Directory:
    # Without a comment, the end record is the last 22 bytes; a search for it would be ambiguous.
    tail = bytes(source.view[-22:])
    end = len(source) - 22
    if len(tail) < 22 or not tail.startswith(_END):
        source.refuse(max(end, 0), "the archive does not end with its directory, or has a comment")
    disk, first, here, total, size, offset, comment = struct.unpack("<HHHHIIH", tail[4:])
    if comment or disk not in (0, _UNSET2) or first not in (0, _UNSET2) or here != total:
        source.refuse(end, "the archive has a comment or several parts")
    if end >= 20 and bytes(source.view[end - 20 : end - 16]) == _LOCATOR:
        return _directory64(source, end - 20)
    return _checked(source, _Directory(total, size, offset), end)


def _directory64(source: Source, locator: int) -> _Directory:
    disk, at, disks = struct.unpack("<IQI", source.view[locator + 4 : locator + 20])
    if disk or disks > 1 or at + 56 != locator or bytes(source.view[at : at + 4]) != _END64:
        source.refuse(locator, "the archive's 64-bit directory is not where it should be")
    disk, first, here, total, size, offset = struct.unpack(
        "<IIQQQQ", source.view[at + 16 : at + 56]
    )
    if disk or first or here != total:
        source.refuse(at, "the archive has several parts")
    return _checked(source, _Directory(total, size, offset), at)


def _checked(source: Source, directory: _Directory, end: int) -> _Directory:
    if directory.members > MAX_MEMBERS:
        source.refuse(end, f"the archive has {directory.members} members, over {MAX_MEMBERS}")
    if directory.offset + directory.size != end or directory.size < 46 * directory.members:
        source.refuse(end, "the archive's directory is not where it should be")
    return directory


def _entries(source: Source, directory: _Directory) -> list[_Entry]:
    cursor = Cursor(Span(source, directory.offset, directory.offset + directory.size))
    entries, seen, taken = [], set(), 0
    for _ in range(directory.members):
        start = cursor.at
        entry = _entry(cursor)
        if entry.name in seen:
            source.refuse(start, f"the archive has two members {entry.name[:80]!r}")
        seen.add(entry.name)
        # Members that overlap would sum to more than the bytes before the directory.
        taken += entry.size
        source.charge(400 + len(entry.name), start)
        entries.append(entry)
    if not cursor.done or taken > directory.offset:
        source.refuse(cursor.at, "the archive's directory claims more than the file holds")
    return entries


def _entry(cursor: Cursor) -> _Entry:
    start = cursor.at
    fixed = bytes(cursor.take(46).view)
    if not fixed.startswith(_ENTRY):
        cursor.source.refuse(start, "an entry of the archive's directory has no signature")
    flags, method = struct.unpack("<HH", fixed[8:12])
    crc, packed, size, name_length, extra_length, comment = struct.unpack("<IIIHHH", fixed[16:34])
    header = struct.unpack("<I", fixed[42:46])[0]
    name = _name(cursor, name_length)
    extra = bytes(cursor.take(extra_length).view)
    cursor.take(comment)
    size, packed, header = _wide(cursor, start, extra, (size, packed, header))
    if method or packed != size:
        cursor.source.refuse(start, f"member {name[:80]!r} is compressed; PyTorch's never are")
    if flags & ~0x0808:  # allowed: sizes in a data descriptor (bit 3), names in UTF-8 (bit 11)
        cursor.source.refuse(start, f"member {name[:80]!r} is encrypted or patched")
    return _Entry(name, crc, size, header)


def _name(cursor: Cursor, length: int) -> str:
    start = cursor.at
    name = cursor.text(length)
    parts = name.split("/")
    if "\\" in name or "\0" in name or ":" in name or set(parts[:-1]) & {"", ".", ".."}:
        cursor.source.refuse(start, f"the member name {name[:80]!r} leaves the archive")
    if parts[-1] in ("", ".", ".."):
        cursor.source.refuse(start, f"the member name {name[:80]!r} is a folder")
    return name


def _wide(cursor: Cursor, start: int, extra: bytes, short: tuple[int, ...]) -> tuple[int, ...]:
    """Sizes and offset, with unset ones taken from the Zip64 extra field (id 1)."""
    at, wide = 0, b""
    while at + 4 <= len(extra):
        kind, length = struct.unpack("<HH", extra[at : at + 4])
        if kind == 1:
            wide = extra[at + 4 : at + 4 + length]
        at += 4 + length
    missing = sum(value == _UNSET4 for value in short)
    if len(wide) < 8 * missing:
        cursor.source.refuse(start, "an entry of the archive's directory lacks its 64-bit sizes")
    values = iter(struct.unpack(f"<{missing}Q", wide[: 8 * missing]))
    return tuple(next(values) if value == _UNSET4 else value for value in short)


def _content(source: Source, entry: _Entry) -> Span:
    cursor = Cursor(source.whole())
    cursor.take(entry.header)
    fixed = bytes(cursor.take(30).view)
    name_length, extra_length = struct.unpack("<HH", fixed[26:30])
    start = cursor.at
    if not fixed.startswith(_LOCAL) or cursor.text(name_length) != entry.name:
        source.refuse(start, f"member {entry.name[:80]!r} is not where the directory says")
    cursor.take(extra_length)
    return cursor.take(entry.size)
