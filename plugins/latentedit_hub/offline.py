"""A folder as a hub, for people who share a disk."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from latentedit import EnvironmentFault, Hub, InputError, file_digest, new_folder

PLACE = "LATENTEDIT_HUB"
"""The environment variable that says where the folder is."""
REVISION = 12
"""Hexadecimal digits of a revision: of the digest of the first pushed file, the record."""


class SharedFolder(Hub):
    """``$LATENTEDIT_HUB/OWNER/NAME/REVISION/``; the newest revision is the one made last.

    A revision is named by the digest of the editor's record, so that equal editors are one.
    """

    def push(self, folder: Path, files: Sequence[str], name: str) -> str:
        revision = file_digest(folder / files[0])[:REVISION]
        place = _place(name) / revision
        if not place.exists():
            with new_folder(place) as temporary:
                for file in files:
                    shutil.copyfile(folder / file, temporary / file)
        os.utime(place)
        return str(place)

    def fetch(self, name: str, files: Sequence[str], revision: str | None) -> Path:
        place = _place(name)
        known = {path.name: path.stat().st_mtime_ns for path in place.glob("*") if path.is_dir()}
        chosen = max(known, key=known.__getitem__, default=None) if revision is None else revision
        if chosen not in known:
            has = f"it has {', '.join(sorted(known))}" if known else "it has none"
            raise InputError(f"{place} has no revision {revision or '(newest)'}; {has}")
        return place / str(chosen)


def _place(name: str) -> Path:
    root = os.environ.get(PLACE)
    if not root:
        raise EnvironmentFault(f"set {PLACE} to the folder in which editors are shared")
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", name):
        raise InputError(
            f"a name is OWNER/NAME of letters, digits, '-', '_', '.'; received {name!r}"
        )
    return Path(root) / name
