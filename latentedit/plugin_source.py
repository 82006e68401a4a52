"""A fingerprint of a plugin's source code, which can change without a new version."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path


def source_digest(target: str) -> str:
    """SHA-256 over the Python files of the package of ``"package.module:Class"``.

    The package is found but not imported. The result is "" if it cannot be found.

    >>> len(source_digest("latentedit.plugin:PluginSpec"))
    64
    >>> source_digest("no_such_package:Class")
    ''
    """
    found = find_spec(target.split(":", maxsplit=1)[0].split(".", maxsplit=1)[0])
    if found is None or (found.origin is None and not found.submodule_search_locations):
        return ""
    digest = hashlib.sha256()
    for home in found.submodule_search_locations or [str(found.origin)]:
        root = Path(home)
        for file in [root] if root.is_file() else sorted(root.rglob("*.py")):
            digest.update(f"{file.relative_to(root.parent)}\n".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
